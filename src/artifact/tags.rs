//! Tags: pointed at manifests, taken away, and listed.

use std::collections::HashMap;
use std::ops::ControlFlow;

use steward_proto::store::v1::{ArtifactChangeRecord, ImageRecord, TagRecord};

use super::artifacts::Artifacts;
use super::changes::Stamp;
use super::error::Error;
use super::image_name::ImageName;
use super::keys;
use super::version_metadata::write_metadata;
use super::walk::walk;
use crate::blob::Digest;
use crate::store::tx::Tx;
use crate::store::{KeyRange, Table};

/// Which manifest a tag has to name already: with no digest, there must be no such tag.
pub(super) type OnlyIf = Option<Digest>;

/// How to point tags at a manifest.
pub(super) struct Pointing<'a> {
    /// The manifest.
    pub(super) digest: &'a Digest,
    /// What to write on the versions.
    pub(super) metadata: &'a HashMap<String, String>,
    /// Only then.
    pub(super) only_if: Option<&'a OnlyIf>,
    /// Who does it.
    pub(super) user: &'a str,
    /// When.
    pub(super) now_us: u64,
}

impl Tx<'_> {
    /// Points a tag of an image at a manifest; whether that changes more than the time. The caller puts the image.
    pub(super) async fn point_tag(
        &mut self,
        image: &mut ImageRecord,
        tag: &str,
        how: &Pointing<'_>,
        stamp: &Stamp,
    ) -> Result<bool, Error> {
        let key = keys::tag(image.id, tag);
        let known: Option<TagRecord> = self.get(&key).await?;
        check_precondition(tag, known.as_ref(), how.only_if)?;
        let digest = how.digest.to_string();
        let before = known.as_ref().map(|known| known.digest.clone()).unwrap_or_default();
        // What is written on a version is about its manifest.
        let stays = known.as_ref().filter(|known| known.digest == digest);
        let old_metadata = stays.map(|known| known.metadata.clone()).unwrap_or_default();
        let metadata = write_metadata(old_metadata.clone(), how.metadata, &[])?;
        let is_changed = stays.is_none() || metadata != old_metadata;
        if before != digest {
            self.move_index(image.id, tag, &before, how.digest);
            image.modify_us = how.now_us;
            let change = change_of(image, tag, &digest, &before);
            self.note_change(image.repository_id, stamp, &change);
        }
        tag.clone_into(&mut image.latest);
        let record = TagRecord {
            digest,
            metadata,
            create_us: known.map_or(how.now_us, |known| known.create_us),
            modify_us: how.now_us,
            modified_by: how.user.to_owned(),
        };
        self.put(key, &record);
        Ok(is_changed)
    }

    fn move_index(&mut self, image: u64, tag: &str, before: &str, digest: &Digest) {
        if let Ok(before) = before.parse() {
            self.delete(keys::manifest_tag(image, &before, tag));
        }
        self.put_bytes(keys::manifest_tag(image, digest, tag), Vec::new());
    }

    /// Takes a tag away. The caller puts the image.
    pub(super) fn drop_tag(&mut self, image: &ImageRecord, tag: &str, digest: &Digest, stamp: &Stamp) {
        self.delete(keys::tag(image.id, tag));
        self.delete(keys::manifest_tag(image.id, digest, tag));
        let change = change_of(image, tag, "", &digest.to_string());
        self.note_change(image.repository_id, stamp, &change);
    }

    /// A tag that is there, and the digest that it names.
    pub(super) async fn tag(&mut self, image: &ImageRecord, tag: &str) -> Result<Option<(TagRecord, Digest)>, Error> {
        let record: Option<TagRecord> = self.get(&keys::tag(image.id, tag)).await?;
        let Some(record) = record else { return Ok(None) };
        let digest =
            record.digest.parse().map_err(|error| Error::DataDamaged(format!("the digest of a tag {error}")))?;
        Ok(Some((record, digest)))
    }

    /// Up to `limit` tags of a manifest. The record of the image guards them.
    pub(super) async fn tags_of(&self, image: u64, manifest: &Digest, limit: usize) -> Result<Vec<String>, Error> {
        let range = KeyRange::prefix(&keys::tags_of(image, manifest));
        let found = self.scan(range, limit).await?;
        Ok(found.iter().filter_map(|(key, _)| keys::tag_of(key)).collect())
    }
}

/// The change of a tag; an empty digest stands for no tag.
pub(super) fn change_of(image: &ImageRecord, tag: &str, digest: &str, before: &str) -> ArtifactChangeRecord {
    ArtifactChangeRecord {
        image: image.name.clone(),
        tag: tag.to_owned(),
        digest: digest.to_owned(),
        before: before.to_owned(),
        ..ArtifactChangeRecord::default()
    }
}

/// Refuses a change of a tag that does not name what it has to.
pub(super) fn check_precondition(tag: &str, known: Option<&TagRecord>, only_if: Option<&OnlyIf>) -> Result<(), Error> {
    let named = known.map(|known| known.digest.as_str());
    match (only_if, named) {
        (None, _) | (Some(None), None) => Ok(()),
        (Some(None), Some(named)) => Err(Error::TagConflict(format!("tag {tag:?} exists and names {named}"))),
        (Some(Some(wanted)), Some(named)) if wanted.to_string() == named => Ok(()),
        (Some(Some(wanted)), Some(named)) => {
            Err(Error::TagConflict(format!("tag {tag:?} names {named}, not {wanted}")))
        }
        (Some(Some(wanted)), None) => Err(Error::TagConflict(format!("there is no tag {tag:?} that names {wanted}"))),
    }
}

impl Artifacts {
    /// Up to `limit` tags of an image behind one, in the order of their bytes, and whether there are further ones.
    pub(super) async fn list_tags(
        &self,
        name: &ImageName,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<String>, bool), Error> {
        let listed = self.decide("the tags of an image", |mut tx| async move {
            let (_, image) = tx.existing_image(name).await?;
            let range = KeyRange::prefix(&keys::all_of_image(Table::ImageTag, image.id));
            let range = if after.is_empty() { range } else { range.after(&keys::tag(image.id, after)) };
            let mut tags = Vec::new();
            let walked = walk(&*self.store, range, |key, _| {
                tags.extend(keys::name_of(key));
                Ok(if tags.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            });
            walked.await?;
            let has_more = tags.len() > limit;
            tags.truncate(limit);
            Ok(tx.answer((tags, has_more)))
        });
        Ok(listed.await?.0)
    }
}

//! Pushing manifests.

use std::collections::HashMap;

use bytes::Bytes;
use steward_proto::store::v1::{
    ArtifactChangeRecord, ImageRecord, ManifestRecord, ReferrerRecord, RepositoryRecord, TagRecord,
};

use super::artifacts::Artifacts;
use super::changes::Stamp;
use super::error::Error;
use super::image_name::ImageName;
use super::keys::{self, BlobUse};
use super::manifest_parse::{MAX_MANIFEST_BYTES, Parsed, inspect};
use super::reference::Reference;
use super::tags::{OnlyIf, Pointing, check_precondition};
use super::version_metadata::check_metadata;
use crate::blob::{Algorithm, Digest};
use crate::store::tx::{self, Tx};
use crate::store::{Key, Step};

/// How many tags one transaction moves: each takes up to five operations.
const TAGS_AT_ONCE: usize = 16;
/// How often a manifest is tried again whose image or parts others take away meanwhile.
const MAX_ROUNDS: usize = 20;

/// A manifest to store, and where.
#[derive(Clone, Debug)]
pub(super) struct PutManifest {
    /// The image.
    pub(super) name: ImageName,
    /// A tag for it, or its digest.
    pub(super) reference: Reference,
    /// Further tags.
    pub(super) tags: Vec<String>,
    /// The media type that it came with; empty: none.
    pub(super) media_type: String,
    /// Its bytes.
    pub(super) content: Bytes,
    /// What to write on the versions.
    pub(super) metadata: HashMap<String, String>,
    /// Only if the tags name this one.
    pub(super) only_if: Option<OnlyIf>,
}

/// A manifest of an image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Manifest {
    /// Its digest.
    pub(super) digest: Digest,
    /// What is known of it.
    pub(super) record: ManifestRecord,
}

/// A manifest that is being put.
struct Putting {
    name: ImageName,
    tags: Vec<String>,
    digest: Digest,
    parsed: Parsed,
    content: Bytes,
    metadata: HashMap<String, String>,
    only_if: Option<OnlyIf>,
    user: String,
    now_us: u64,
}

/// A manifest that is stored.
struct Stored {
    image: ImageRecord,
    record: ManifestRecord,
    is_changed: bool,
}

impl Artifacts {
    /// Stores a manifest and points tags at it; whether that has changed anything but times. It is durable when this
    /// returns, and tags behind the first few are moved one batch after another.
    pub(super) async fn put_manifest(&self, what: PutManifest, user: &str) -> Result<(Manifest, bool), Error> {
        let (artifacts, user) = (self.clone(), user.to_owned());
        self.to_the_end(async move {
            let putting = artifacts.prepare(what, user).await?;
            artifacts.put_prepared(&putting).await
        })
        .await
    }

    async fn prepare(&self, what: PutManifest, user: String) -> Result<Putting, Error> {
        if what.content.len() > MAX_MANIFEST_BYTES {
            return Err(Error::TooLarge { what: "the manifest".to_owned(), limit: MAX_MANIFEST_BYTES as u64 });
        }
        check_metadata(&what.metadata)?;
        let (algorithm, expected, tag) = match what.reference {
            Reference::Tag(tag) => (Algorithm::Sha256, None, Some(tag)),
            Reference::Digest(digest) => (digest.algorithm(), Some(digest), None),
        };
        let (digest, parsed) = inspect(what.content.clone(), algorithm, what.media_type).await?;
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            return Err(Error::DigestMismatch {
                what: "the manifest".to_owned(),
                expected: expected.to_string(),
                actual: digest.to_string(),
            });
        }
        let mut tags: Vec<String> = Vec::new();
        for tag in tag.into_iter().chain(what.tags) {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        if what.only_if.is_some() && tags.is_empty() {
            return Err(Error::invalid("only_if_digest", "needs a tag"));
        }
        Ok(Putting {
            name: what.name,
            tags,
            digest,
            parsed: parsed?,
            content: what.content,
            metadata: what.metadata,
            only_if: what.only_if,
            user,
            now_us: self.now_us(),
        })
    }

    async fn put_prepared(&self, putting: &Putting) -> Result<(Manifest, bool), Error> {
        let (first, rest) = putting.tags.split_at(TAGS_AT_ONCE.min(putting.tags.len()));
        for _ in 0..MAX_ROUNDS {
            let Some(Stored { image, record, mut is_changed }) = self.round(putting, first).await? else { continue };
            for tags in rest.chunks(TAGS_AT_ONCE) {
                is_changed |= self.put_tags(putting, &image, tags).await?;
            }
            return Ok((Manifest { digest: putting.digest.clone(), record }, is_changed));
        }
        Err(Error::Busy(format!("image {:?}", putting.name.image)))
    }

    /// Prepares what a manifest needs, and stores it. `None`: something that was prepared is no longer so.
    async fn round(&self, putting: &Putting, tags: &[String]) -> Result<Option<Stored>, Error> {
        let (image, is_known) = self.find_place(putting).await?;
        if let Some(image) = &image {
            match self.write_parts(image, &putting.digest, &putting.parsed).await {
                Err(Error::ImageNotFound(_)) => return Ok(None),
                written => written?,
            }
        }
        // Those of a manifest that is there may be damaged; here they are good.
        if !is_known || !self.is_whole(&putting.digest).await? {
            self.keep_bytes(&putting.digest, putting.content.clone()).await?;
        }
        let stamps: Vec<Stamp> = (0..=tags.len()).map(|_| self.stamps.take(putting.now_us)).collect();
        let (image, stamps) = (image.as_ref(), &stamps);
        let decided = self.decide(&putting.name, |mut tx| async move {
            let stored = putting.attempt(&mut tx, image, is_known, tags, stamps).await?;
            // What was changed on the way to nothing is not to be.
            Ok(if stored.is_some() { tx.answer(stored) } else { Step::Answer(None) })
        });
        Ok(decided.await?.0)
    }

    /// The image that a manifest goes to, if it is there, and whether it has the manifest already.
    async fn find_place(&self, putting: &Putting) -> Result<(Option<ImageRecord>, bool), Error> {
        let found = self.decide(&putting.name, |mut tx| async move {
            let repository = tx.image_repository(&putting.name.project, &putting.name.repository).await?;
            let Some(image) = tx.image(repository.id, &putting.name.image).await? else {
                // Without blobs there is no image yet, and one is not founded for a manifest that is refused.
                return match putting.parsed.required().next() {
                    Some((part, _)) => Err(Error::ManifestBlobUnknown(part.to_string())),
                    None if putting.parsed.parts.is_empty() => Ok(tx.answer((None, false))),
                    None => {
                        let image = tx.found_image(repository.id, &putting.name.image, &putting.user, putting.now_us);
                        let image = image.await?;
                        Ok(tx.answer((Some(image), false)))
                    }
                };
            };
            // What is refused is refused before anything is written, though it is all decided again.
            tx.check_parts(image.id, &putting.parsed).await?;
            let known: Option<ManifestRecord> = tx.get(&keys::manifest(image.id, &putting.digest)).await?;
            Ok(tx.answer((Some(image), known.is_some())))
        });
        Ok(found.await?.0)
    }

    /// Points further tags at a manifest that is there; whether that changes more than times.
    async fn put_tags(&self, putting: &Putting, image: &ImageRecord, tags: &[String]) -> Result<bool, Error> {
        let stamps: Vec<Stamp> = tags.iter().map(|_| self.stamps.take(putting.now_us)).collect();
        let stamps = &stamps;
        let decided = self.decide(&putting.name, |mut tx| async move {
            let image = tx.same_image(image).await?;
            let mut image = image.ok_or_else(|| Error::ImageNotFound(putting.name.image.clone()))?;
            let known: Option<ManifestRecord> = tx.get(&keys::manifest(image.id, &putting.digest)).await?;
            if known.is_none() {
                return Err(Error::ManifestNotFound(putting.digest.to_string()));
            }
            let is_changed = putting.point_tags(&mut tx, &mut image, tags, stamps).await?;
            tx.put_image(&mut image);
            Ok(tx.answer(is_changed))
        });
        Ok(decided.await?.0)
    }
}

impl Putting {
    /// Decides about a manifest and its first tags. Stamps: one for each tag, and one for the manifest. `None`: something
    /// that was prepared is no longer so.
    async fn attempt(
        &self,
        tx: &mut Tx<'_>,
        prepared: Option<&ImageRecord>,
        is_known: bool,
        tags: &[String],
        stamps: &[Stamp],
    ) -> Result<Option<Stored>, Error> {
        let repository = tx.image_repository(&self.name.project, &self.name.repository).await?;
        let Some(mut image) = self.image(tx, &repository, prepared).await? else { return Ok(None) };
        self.check_tags(tx, &image).await?;
        tx.check_parts(image.id, &self.parsed).await?;
        if !tx.has_recorded_parts(image.id, &self.digest, &self.parsed).await? {
            return Ok(None);
        }
        let key = keys::manifest(image.id, &self.digest);
        let known: Option<ManifestRecord> = tx.get(&key).await?;
        if known.is_none() && is_known {
            // Its bytes were not kept again.
            return Ok(None);
        }
        let is_new = known.is_none();
        let record = self.record(known.as_ref());
        let mut is_changed = known.as_ref() != Some(&record);
        if is_new {
            let Some(stamp) = stamps.last() else { return Err(Error::Internal("a stamp is missing".to_owned())) };
            self.add(tx, &image, &record, stamp).await?;
        }
        if is_changed {
            tx.put(key, &record);
        }
        is_changed |= self.point_tags(tx, &mut image, tags, stamps).await?;
        if is_changed || !tags.is_empty() {
            tx.put_image(&mut image);
        }
        Ok(Some(Stored { image, record, is_changed }))
    }

    /// The image for which everything was prepared, or a new one if there was none.
    async fn image(
        &self,
        tx: &mut Tx<'_>,
        repository: &RepositoryRecord,
        prepared: Option<&ImageRecord>,
    ) -> Result<Option<ImageRecord>, Error> {
        let known = tx.image(repository.id, &self.name.image).await?;
        match (known, prepared) {
            (None, None) => tx.found_image(repository.id, &self.name.image, &self.user, self.now_us).await.map(Some),
            (Some(known), Some(prepared)) if known.id == prepared.id => Ok(Some(known)),
            (Some(_) | None, _) => Ok(None),
        }
    }

    /// Refuses before anything is done when one of all the tags does not name what it has to.
    async fn check_tags(&self, tx: &Tx<'_>, image: &ImageRecord) -> Result<(), Error> {
        if self.only_if.is_none() {
            return Ok(());
        }
        for tag in &self.tags {
            let known: Option<TagRecord> = tx.stored(&keys::tag(image.id, tag)).await?;
            check_precondition(tag, known.as_ref(), self.only_if.as_ref())?;
        }
        Ok(())
    }

    fn record(&self, known: Option<&ManifestRecord>) -> ManifestRecord {
        ManifestRecord {
            media_type: self.parsed.media_type.clone(),
            size: self.content.len() as u64,
            artifact_type: self.parsed.artifact_type.clone(),
            subject: self.parsed.subject.as_ref().map(ToString::to_string).unwrap_or_default(),
            push_us: known.map_or(self.now_us, |known| known.push_us),
            content_size: self.parsed.content_size,
            pushed_by: known.map_or(&self.user, |known| &known.pushed_by).clone(),
            orphan_us: 0,
        }
    }

    /// Adds what belongs to a manifest that is not there yet.
    async fn add(
        &self,
        tx: &mut Tx<'_>,
        image: &ImageRecord,
        record: &ManifestRecord,
        stamp: &Stamp,
    ) -> Result<(), Error> {
        tx.use_blob(&self.digest, BlobUse::Manifest(image.id)).await?;
        let Some(subject) = &self.parsed.subject else { return Ok(()) };
        let referrer = ReferrerRecord { artifact_type: record.artifact_type.clone() };
        tx.put(keys::referrer(image.id, subject, &self.digest), &referrer);
        let change = ArtifactChangeRecord {
            image: image.name.clone(),
            digest: self.digest.to_string(),
            subject: subject.to_string(),
            ..ArtifactChangeRecord::default()
        };
        tx.note_change(image.repository_id, stamp, &change);
        Ok(())
    }

    async fn point_tags(
        &self,
        tx: &mut Tx<'_>,
        image: &mut ImageRecord,
        tags: &[String],
        stamps: &[Stamp],
    ) -> Result<bool, Error> {
        let how = Pointing {
            digest: &self.digest,
            metadata: &self.metadata,
            only_if: self.only_if.as_ref(),
            user: &self.user,
            now_us: self.now_us,
        };
        let mut is_changed = false;
        for (tag, stamp) in tags.iter().zip(stamps) {
            is_changed |= tx.point_tag(image, tag, &how, stamp).await?;
        }
        Ok(is_changed)
    }
}

/// Reads the record of a manifest of an image as it is stored.
pub(super) fn decode_manifest(key: &Key, value: &Bytes) -> Result<Option<Manifest>, Error> {
    let Some((digest, _)) = keys::digests_of(key) else { return Ok(None) };
    Ok(Some(Manifest { digest, record: tx::decode(key, value)? }))
}

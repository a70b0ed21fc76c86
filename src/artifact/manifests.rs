//! Manifests: read, listed, and deleted.

use std::ops::ControlFlow;

use bytes::Bytes;
use steward_proto::store::v1::{ImageRecord, ManifestRecord};

use super::artifacts::Artifacts;
use super::changes::Stamp;
use super::error::Error;
use super::image_name::ImageName;
use super::keys::{self, BlobUse};
use super::manifest_parse::{Parsed, apart};
use super::manifest_put::{Manifest, decode_manifest};
use super::reference::{Reference, parse_digest};
use super::tags::{OnlyIf, check_precondition};
use super::walk::{Listed, Page, Window, walk};
use crate::blob::Digest;
use crate::store::tx::Tx;
use crate::store::{KeyRange, Step, Table};

/// How many tags one transaction takes away: each takes three operations.
const TAGS_AT_ONCE: usize = 24;

impl Tx<'_> {
    /// The manifest of an image that a reference means.
    pub(super) async fn manifest(&mut self, image: &ImageRecord, reference: &Reference) -> Result<Manifest, Error> {
        let not_found = || Error::ManifestNotFound(reference.to_string());
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => self.tag(image, tag).await?.ok_or_else(not_found)?.1,
        };
        let record: Option<ManifestRecord> = self.get(&keys::manifest(image.id, &digest)).await?;
        Ok(Manifest { record: record.ok_or_else(not_found)?, digest })
    }

    /// Takes a manifest from its image, which has no tags that name it. The caller puts the image.
    pub(super) fn drop_manifest(&mut self, image: &ImageRecord, manifest: &Manifest) {
        self.delete(keys::manifest(image.id, &manifest.digest));
        self.release_blob(&manifest.digest, BlobUse::Manifest(image.id));
        if let Ok(subject) = manifest.record.subject.parse() {
            self.delete(keys::referrer(image.id, &subject, &manifest.digest));
        }
    }
}

fn damaged(manifest: &Manifest) -> Error {
    Error::DataDamaged(format!("manifest {} is not whole", manifest.digest))
}

impl Artifacts {
    /// Reads what is known of a manifest.
    pub(super) async fn look_up_manifest(&self, name: &ImageName, reference: &Reference) -> Result<Manifest, Error> {
        let found = self.decide(name, |mut tx| async move {
            let (_, image) = tx.existing_image(name).await?;
            let mut manifest = tx.manifest(&image, reference).await?;
            self.touch_orphan(&mut tx, &image, &mut manifest);
            Ok(tx.answer(manifest))
        });
        Ok(found.await?.0)
    }

    /// Reads what is known of a manifest whose bytes can be read. Who is told that they cannot sends them again.
    pub(super) async fn look_up_whole(&self, name: &ImageName, reference: &Reference) -> Result<Manifest, Error> {
        let manifest = self.look_up_manifest(name, reference).await?;
        if self.is_whole(&manifest.digest).await? { Ok(manifest) } else { Err(damaged(&manifest)) }
    }

    /// Reads a manifest with its bytes.
    pub(super) async fn read_manifest(
        &self,
        name: &ImageName,
        reference: &Reference,
    ) -> Result<(Manifest, Bytes), Error> {
        let manifest = self.look_up_manifest(name, reference).await?;
        let content = self.read_bytes(&manifest.digest).await?;
        if content.len() as u64 == manifest.record.size { Ok((manifest, content)) } else { Err(damaged(&manifest)) }
    }

    /// Lists the manifests of an image, in the order of their digests.
    pub(super) async fn list_manifests(&self, name: &ImageName, page: &Page) -> Result<Listed<Manifest>, Error> {
        let after = match page.after.as_str() {
            "" => None,
            after => Some(parse_digest("page_token", after)?),
        };
        let after = after.as_ref();
        let listed = self.decide(name, |mut tx| async move {
            let (_, image) = tx.existing_image(name).await?;
            let after = after.map(|after| keys::manifest(image.id, after));
            let mut window = Window::new(page.size);
            let range = KeyRange::prefix(&keys::all_of_image(Table::Manifest, image.id));
            let walked = walk(&*self.store, range, |key, value| {
                let Some(manifest) = decode_manifest(key, value)? else { return Ok(ControlFlow::Continue(())) };
                window.see(after.as_ref().is_none_or(|after| key > after), || Ok(manifest))?;
                Ok(ControlFlow::Continue(()))
            });
            walked.await?;
            Ok(tx.answer(window.close(|last| last.digest.to_string())))
        });
        Ok(listed.await?.0)
    }

    /// Deletes a tag, or a manifest with all its tags.
    pub(super) async fn delete_manifest(
        &self,
        name: ImageName,
        reference: Reference,
        only_if: Option<Digest>,
    ) -> Result<(), Error> {
        let artifacts = self.clone();
        self.to_the_end(async move {
            match reference {
                Reference::Tag(tag) => artifacts.delete_tag(&name, &tag, only_if.map(Some)).await,
                Reference::Digest(digest) => artifacts.delete_by_digest(&name, digest, only_if).await,
            }
        })
        .await
    }

    async fn delete_tag(&self, name: &ImageName, tag: &str, only_if: Option<OnlyIf>) -> Result<(), Error> {
        let (stamp, now_us, only_if) = (&self.stamps.take(self.now_us()), self.now_us(), only_if.as_ref());
        let deleted = self.decide(name, |mut tx| async move {
            let (_, mut image) = tx.existing_image(name).await?;
            let named = tx.tag(&image, tag).await?;
            let (record, digest) = named.ok_or_else(|| Error::ManifestNotFound(tag.to_owned()))?;
            check_precondition(tag, Some(&record), only_if)?;
            tx.drop_tag(&image, tag, &digest, stamp);
            tx.tags_are_gone(&mut image, &[tag.to_owned()], now_us).await?;
            Ok(tx.answer(()))
        });
        deleted.await?;
        Ok(())
    }

    async fn delete_by_digest(&self, name: &ImageName, digest: Digest, only_if: Option<Digest>) -> Result<(), Error> {
        if let Some(wanted) = only_if.filter(|wanted| *wanted != digest) {
            return Err(Error::TagConflict(format!("{digest} is not {wanted}")));
        }
        let reference = &Reference::Digest(digest.clone());
        let known = self.look_up_manifest(name, reference).await?;
        let parts = self.parts_of(&known).await;
        self.orphan_parts(name, &parts).await?;
        loop {
            let now_us = self.now_us();
            let stamps: &Vec<Stamp> = &(0..TAGS_AT_ONCE).map(|_| self.stamps.take(now_us)).collect();
            let deleted = self.decide(name, |mut tx| async move {
                let (_, mut image) = tx.existing_image(name).await?;
                let manifest = tx.manifest(&image, reference).await?;
                let mut tags = tx.tags_of(image.id, &manifest.digest, TAGS_AT_ONCE + 1).await?;
                let is_last = tags.len() <= TAGS_AT_ONCE;
                tags.truncate(TAGS_AT_ONCE);
                for (tag, stamp) in tags.iter().zip(stamps) {
                    tx.drop_tag(&image, tag, &manifest.digest, stamp);
                }
                if is_last {
                    tx.drop_manifest(&image, &manifest);
                }
                tx.tags_are_gone(&mut image, &tags, now_us).await?;
                Ok(tx.answer(is_last.then_some(image)))
            });
            if let Some(image) = deleted.await?.0 {
                return self.drop_parts(&image, &digest, &parts).await;
            }
        }
    }

    /// Deletes a tag, and its manifest if nothing else needs that: no other tag, and no index. The error for a tag that
    /// is not there is the caller's.
    pub(super) async fn delete_with_tag(&self, name: &ImageName, tag: &str) -> Result<bool, Error> {
        let reference = &Reference::Tag(tag.to_owned());
        let known = match self.look_up_manifest(name, reference).await {
            Err(Error::ManifestNotFound(_) | Error::ImageNotFound(_)) => return Ok(false),
            known => known?,
        };
        let parts = self.parts_of(&known).await;
        self.orphan_parts(name, &parts).await?;
        let (stamp, now_us) = (&self.stamps.take(self.now_us()), self.now_us());
        let deleted = self.decide(name, |mut tx| async move {
            let mut image = match tx.existing_image(name).await {
                Err(Error::ImageNotFound(_)) => return Ok(Step::Answer((false, None))),
                found => found?.1,
            };
            let Some((_, digest)) = tx.tag(&image, tag).await? else { return Ok(Step::Answer((false, None))) };
            let manifest = tx.manifest(&image, &Reference::Digest(digest)).await?;
            tx.drop_tag(&image, tag, &manifest.digest, stamp);
            let others = tx.tags_of(image.id, &manifest.digest, 2).await?;
            let is_needed = others.iter().any(|other| other != tag) || tx.is_part(image.id, &manifest.digest).await?;
            if !is_needed {
                tx.drop_manifest(&image, &manifest);
            }
            tx.tags_are_gone(&mut image, &[tag.to_owned()], now_us).await?;
            Ok(tx.answer((true, (!is_needed).then_some((image, manifest.digest)))))
        });
        let (is_deleted, gone) = deleted.await?.0;
        // The tag may have moved meanwhile; then the parts are those of another manifest, and stay.
        if let Some((image, digest)) = gone.filter(|(_, digest)| *digest == known.digest) {
            self.drop_parts(&image, &digest, &parts).await?;
        }
        Ok(is_deleted)
    }

    /// What a manifest consists of. Records about one that cannot be read stay, and say nothing without it.
    pub(super) async fn parts_of(&self, manifest: &Manifest) -> Vec<Digest> {
        let parts = async {
            let content = self.read_bytes(&manifest.digest).await?;
            let media_type = manifest.record.media_type.clone();
            apart(content.len(), move || Parsed::read(&content, &media_type)).await?
        };
        match parts.await {
            Ok(parsed) => parsed.parts.into_keys().collect(),
            Err(error) => {
                tracing::warn!(digest = %manifest.digest, %error, "a manifest that is deleted cannot be read");
                Vec::new()
            }
        }
    }
}

impl Tx<'_> {
    /// Puts an image from which tags or manifests were taken.
    pub(super) async fn tags_are_gone(
        &mut self,
        image: &mut ImageRecord,
        tags: &[String],
        now_us: u64,
    ) -> Result<(), Error> {
        if !tags.is_empty() {
            image.modify_us = now_us;
            self.forget_latest(image, tags).await?;
        }
        self.put_image(image);
        Ok(())
    }
}

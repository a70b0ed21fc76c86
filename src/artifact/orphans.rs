//! Manifests that an index named which was deleted.
//!
//! They are marked before the index goes, so that none is forgotten. A mark says only that a sweep is to look: what has a
//! tag, another index or a referrer by then, or was pushed again, stays, and who asks for it postpones the look. A sweep
//! changes the record of the image with the manifest, so who is about to name that in an index decides again.

use steward_proto::store::v1::{ImageRecord, ManifestRecord};

use super::artifacts::Artifacts;
use super::blob_use::{is_older, is_touch_due};
use super::error::Error;
use super::image_name::ImageName;
use super::keys;
use super::manifest_put::Manifest;
use crate::blob::Digest;
use crate::store::tx::Tx;
use crate::store::{Key, KeyRange};

/// How many manifests one transaction marks.
const AT_A_TIME: usize = 40;
/// How many referrers are looked at together.
const BATCH: usize = 90;

/// What a sweep has found out about a manifest that is marked.
enum Orphan {
    /// It stays, marked or not.
    Stays,
    /// It is gone from this image.
    Gone(Box<ImageRecord>),
}

impl Artifacts {
    /// Marks those manifests of an image that are parts of one that is about to be deleted.
    pub(super) async fn orphan_parts(&self, name: &ImageName, parts: &[Digest]) -> Result<(), Error> {
        for some in parts.chunks(AT_A_TIME) {
            let marked = self.decide(name, |mut tx| async move {
                let image = match tx.existing_image(name).await {
                    Err(Error::ImageNotFound(_)) => return Ok(tx.answer(())),
                    found => found?.1,
                };
                tx.mark_orphans(image.id, some, self.now_us()).await?;
                Ok(tx.answer(()))
            });
            marked.await?;
        }
        Ok(())
    }

    /// Postpones the sweep of a manifest that somebody asks for; not each time.
    pub(super) fn touch_orphan(&self, tx: &mut Tx<'_>, image: &ImageRecord, manifest: &mut Manifest) {
        let (marked_us, now_us) = (manifest.record.orphan_us, self.now_us());
        if marked_us != 0 && is_touch_due(marked_us, now_us, self.settings.sweep_after) {
            manifest.record.orphan_us = now_us;
            tx.put(keys::manifest(image.id, &manifest.digest), &manifest.record);
        }
    }

    /// Takes a marked manifest from its image if nothing needs it. Returns whether it did.
    pub(in crate::artifact) async fn sweep_orphan(
        &self,
        image_key: &Key,
        image: u64,
        manifest: &Manifest,
    ) -> Result<bool, Error> {
        if !self.is_orphan_due(&manifest.record) {
            return Ok(false);
        }
        let (digest, parts) = (&manifest.digest, &self.parts_of(manifest).await);
        for some in parts.chunks(AT_A_TIME) {
            let marked = self.decide(digest, |mut tx| async move {
                tx.mark_orphans(image, some, self.now_us()).await?;
                Ok::<_, Error>(tx.answer(()))
            });
            marked.await?;
        }
        let swept = self.decide(digest, |mut tx| async move {
            // Before all else is looked at: whoever comes to need the manifest changes this record.
            let known: Option<ImageRecord> = tx.get(image_key).await?;
            let key = keys::manifest(image, digest);
            let record: Option<ManifestRecord> = tx.get(&key).await?;
            let (Some(mut known), Some(record)) = (known.filter(|known| known.id == image), record) else {
                return Ok(tx.answer(Orphan::Stays));
            };
            if !self.is_orphan_due(&record) {
                return Ok(tx.answer(Orphan::Stays));
            }
            if tx.is_manifest_needed(image, digest).await? {
                tx.put(key, &ManifestRecord { orphan_us: 0, ..record });
                return Ok(tx.answer(Orphan::Stays));
            }
            tx.drop_manifest(&known, &Manifest { digest: digest.clone(), record });
            tx.put_image(&mut known);
            Ok::<_, Error>(tx.answer(Orphan::Gone(Box::new(known))))
        });
        match swept.await?.0 {
            Orphan::Stays => Ok(false),
            Orphan::Gone(image) => {
                self.drop_parts(&image, digest, parts).await?;
                Ok(true)
            }
        }
    }

    fn is_orphan_due(&self, record: &ManifestRecord) -> bool {
        record.orphan_us != 0 && is_older(record.orphan_us, self.now_us(), self.settings.sweep_after)
    }
}

impl Tx<'_> {
    async fn mark_orphans(&mut self, image: u64, parts: &[Digest], now_us: u64) -> Result<(), Error> {
        for part in parts {
            let key = keys::manifest(image, part);
            if let Some(record) = self.get::<ManifestRecord>(&key).await? {
                self.put(key, &ManifestRecord { orphan_us: now_us, ..record });
            }
        }
        Ok(())
    }

    /// Whether a manifest has a tag, an index or a referrer. The record of the image guards that.
    async fn is_manifest_needed(&self, image: u64, manifest: &Digest) -> Result<bool, Error> {
        if !self.tags_of(image, manifest, 1).await?.is_empty() || self.is_part(image, manifest).await? {
            return Ok(true);
        }
        let mut range = KeyRange::prefix(&keys::referrers_of(image, manifest));
        loop {
            let found = self.scan(range.clone(), BATCH).await?;
            for (key, _) in &found {
                let Some((_, Some(referrer))) = keys::digests_of(key) else { continue };
                if self.stored::<ManifestRecord>(&keys::manifest(image, &referrer)).await?.is_some() {
                    return Ok(true);
                }
            }
            let Some((last, _)) = found.last() else { return Ok(false) };
            range = range.after(last);
        }
    }
}

#[cfg(test)]
mod tests;

//! What manifests consist of.
//!
//! That a manifest consists of something is recorded before there is the manifest, in as many transactions as it takes.
//! Whoever takes something from an image changes its record, so a manifest comes up only if nothing was taken since it
//! was looked for.

use steward_proto::store::v1::{ImageRecord, ManifestPartRecord, ManifestRecord};

use super::artifacts::Artifacts;
use super::error::Error;
use super::keys;
use super::manifest_parse::{Parsed, PartKind};
use crate::blob::Digest;
use crate::store::KeyRange;
use crate::store::tx::Tx;

/// How many parts one transaction writes or removes.
const BATCH: usize = 90;
/// After so many looks at parts others get their turn.
const TURN: usize = 256;

impl Tx<'_> {
    /// Refuses a manifest of which an image does not have something. The record of the image, if this transaction has
    /// read it, guards that.
    pub(super) async fn check_parts(&self, image: u64, parsed: &Parsed) -> Result<(), Error> {
        for (number, (part, kind)) in parsed.required().enumerate() {
            if !self.has_part(image, part, kind).await? {
                return Err(Error::ManifestBlobUnknown(part.to_string()));
            }
            take_turns(number).await;
        }
        Ok(())
    }

    /// Whether it is recorded, and still is, what a manifest consists of. The record of the image guards that.
    pub(super) async fn has_recorded_parts(
        &self,
        image: u64,
        manifest: &Digest,
        parsed: &Parsed,
    ) -> Result<bool, Error> {
        for (number, part) in parsed.parts.keys().enumerate() {
            let record: Option<ManifestPartRecord> = self.stored(&keys::manifest_part(image, part, manifest)).await?;
            if record.is_none() {
                return Ok(false);
            }
            take_turns(number).await;
        }
        Ok(true)
    }

    async fn has_part(&self, image: u64, part: &Digest, kind: PartKind) -> Result<bool, Error> {
        let is_manifest =
            kind == PartKind::Child && self.stored::<ManifestRecord>(&keys::manifest(image, part)).await?.is_some();
        Ok(is_manifest || self.stored::<ManifestPartRecord>(&keys::image_blob(image, part)).await?.is_some())
    }

    /// Whether a manifest of an image consists of something. The record of the image guards that.
    pub(super) async fn is_part(&self, image: u64, part: &Digest) -> Result<bool, Error> {
        let mut range = KeyRange::prefix(&keys::manifests_with(image, part));
        loop {
            let found = self.scan(range.clone(), BATCH).await?;
            for (key, _) in &found {
                let Some((_, Some(manifest))) = keys::digests_of(key) else { continue };
                if self.stored::<ManifestRecord>(&keys::manifest(image, &manifest)).await?.is_some() {
                    return Ok(true);
                }
            }
            let Some((last, _)) = found.last() else { return Ok(false) };
            range = range.after(last);
        }
    }
}

/// Lets others run, now and then.
async fn take_turns(number: usize) {
    if number % TURN == TURN - 1 {
        tokio::task::yield_now().await;
    }
}

impl Artifacts {
    /// Records what a manifest consists of that is about to come up.
    pub(super) async fn write_parts(
        &self,
        image: &ImageRecord,
        manifest: &Digest,
        parsed: &Parsed,
    ) -> Result<(), Error> {
        let record = &ManifestPartRecord { write_us: self.now_us() };
        let parts: Vec<&Digest> = parsed.parts.keys().collect();
        for batch in parts.chunks(BATCH) {
            let written = self.decide("the parts of a manifest", |mut tx| async move {
                // What is written under an image that is gone would stay for ever.
                tx.same_image(image).await?.ok_or_else(|| Error::ImageNotFound(image.name.clone()))?;
                for part in batch {
                    let key = keys::manifest_part(image.id, part, manifest);
                    if tx.stored::<ManifestPartRecord>(&key).await?.is_none() {
                        tx.put(key, record);
                    }
                }
                Ok::<_, Error>(tx.answer(()))
            });
            written.await?;
        }
        Ok(())
    }

    /// Removes the records of what a manifest consisted of, unless it has come up again.
    pub(super) async fn drop_parts(
        &self,
        image: &ImageRecord,
        manifest: &Digest,
        parts: &[Digest],
    ) -> Result<(), Error> {
        for batch in parts.chunks(BATCH) {
            let dropped = self.decide("the parts of a manifest", |mut tx| async move {
                let Some(mut image) = tx.same_image(image).await? else { return Ok(tx.answer(false)) };
                if tx.get::<ManifestRecord>(&keys::manifest(image.id, manifest)).await?.is_some() {
                    return Ok(tx.answer(false));
                }
                for part in batch {
                    tx.delete(keys::manifest_part(image.id, part, manifest));
                }
                // Somebody may have looked at them who is about to push the manifest again.
                tx.put_image(&mut image);
                Ok::<_, Error>(tx.answer(true))
            });
            if !dropped.await?.0 {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Tx<'_> {
    /// An image as it is now, unless it has been deleted meanwhile, and perhaps founded again.
    pub(super) async fn same_image(&mut self, known: &ImageRecord) -> Result<Option<ImageRecord>, Error> {
        let image = self.image(known.repository_id, &known.name).await?;
        Ok(image.filter(|image| image.id == known.id))
    }
}

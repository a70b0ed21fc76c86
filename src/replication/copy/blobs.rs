//! Brings blobs to an image: those that it does not have.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::super::progress::ArtifactMeter;
use super::super::target::{BlobPush, BlobRef, TargetError};
use super::{BLOBS_AT_ONCE, Copier, note_pushed};

impl Copier {
    /// Those of some blobs that an image does not have at the target.
    pub(in crate::replication) async fn missing(
        &self,
        image: &str,
        blobs: &[BlobRef],
    ) -> Result<Vec<BlobRef>, TargetError> {
        let unknown: Vec<BlobRef> =
            blobs.iter().filter(|blob| !self.placed.has(&blob.digest, image)).cloned().collect();
        let mut missing = Vec::new();
        for batch in unknown.chunks(BLOBS_AT_ONCE) {
            let found = self.target.missing_blobs(image, batch).await?;
            for blob in batch.iter().filter(|blob| !found.iter().any(|missing| missing.digest == blob.digest)) {
                self.placed.note(&blob.digest, image);
            }
            missing.extend(found.into_iter().cloned());
        }
        Ok(missing)
    }

    pub(super) async fn push_blobs(
        self: &Arc<Self>,
        image: &str,
        blobs: &[BlobRef],
        meter: &Arc<ArtifactMeter>,
    ) -> Result<(), TargetError> {
        let mut left = self.missing(image, blobs).await?.into_iter();
        let mut pushes = JoinSet::new();
        loop {
            while pushes.len() < self.options.parallelism
                && let Some(blob) = left.next()
            {
                let (copier, meter, image) = (Arc::clone(self), Arc::clone(meter), image.to_owned());
                pushes.spawn(async move { copier.push_blob(&image, &blob, &meter).await });
            }
            match pushes.join_next().await {
                None => return Ok(()),
                Some(Ok(result)) => result?,
                Some(Err(error)) => return Err(TargetError::Source(format!("a push broke off: {error}"))),
            }
        }
    }

    async fn push_blob(&self, image: &str, blob: &BlobRef, meter: &ArtifactMeter) -> Result<(), TargetError> {
        // Another version may be about to bring the same one.
        let _alone = self.placed.alone(&blob.digest).await;
        if self.placed.has(&blob.digest, image) {
            return Ok(());
        }
        let _permit = self.permits.acquire().await.map_err(|_| TargetError::Cancelled)?;
        let source = self.source.blob(image, &blob.digest, blob.size);
        let mount_from = self.placed.others(&blob.digest, image);
        let push = BlobPush { image, blob, mount_from: &mount_from, source: &source, sessions: &*self.sessions, meter };
        let pushed = self.target.push_blob(push).await?;
        note_pushed(meter, pushed);
        self.placed.note(&blob.digest, image);
        Ok(())
    }
}

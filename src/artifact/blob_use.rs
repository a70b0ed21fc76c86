//! Who needs which bytes.
//!
//! Whoever is about to refer to a blob reads its record in the same transaction. A sweep first dooms a blob, which
//! changes that record, and only then looks whether anything refers to it: who decided before that has to decide again,
//! and takes the doom back. So a blob is removed only when nothing refers to it and nothing can any more.

use std::time::Duration;

use steward_proto::store::v1::{BlobRecord, BlobUseRecord, ImageBlobRecord};

use super::error::Error;
use super::keys::{self, BlobUse};
use crate::blob::Digest;
use crate::store::tx::Tx;

/// Who asks for something postpones its sweep, but not each time: that would be a commit for each question.
const TOUCHES_IN_TIME: u32 = 4;

/// Whether so much time has gone by since something was touched that it has to be touched again.
pub(super) fn is_touch_due(touch_us: u64, now_us: u64, sweep_after: Duration) -> bool {
    is_older(touch_us, now_us, sweep_after / TOUCHES_IN_TIME)
}

/// Whether something was touched longer ago than this.
pub(super) fn is_older(touch_us: u64, now_us: u64, than: Duration) -> bool {
    u128::from(now_us.saturating_sub(touch_us)) > than.as_micros()
}

impl Tx<'_> {
    /// Notes that something needs a blob, which is there.
    pub(super) async fn use_blob(&mut self, blob: &Digest, user: BlobUse<'_>) -> Result<BlobRecord, Error> {
        let key = keys::blob(blob);
        let record: Option<BlobRecord> = self.get(&key).await?;
        let mut record = record.ok_or_else(|| Error::BlobNotFound(blob.to_string()))?;
        if record.doomed_us != 0 {
            record.doomed_us = 0;
            self.put(key, &record);
        }
        let path = match user {
            BlobUse::File { path, .. } => path.to_owned(),
            BlobUse::Image(_) | BlobUse::Manifest(_) => String::new(),
        };
        self.put(keys::blob_use(blob, user), &BlobUseRecord { path });
        Ok(record)
    }

    /// Notes that something does not need a blob any more.
    pub(super) fn release_blob(&mut self, blob: &Digest, user: BlobUse<'_>) {
        self.delete(keys::blob_use(blob, user));
    }

    /// Notes that a blob has its file. Who does so holds the lock of its digest.
    pub(super) async fn record_blob(
        &mut self,
        blob: &Digest,
        size: u64,
        now_us: u64,
        sweep_after: Duration,
    ) -> Result<(), Error> {
        let known = self.touch_blob(blob, now_us, sweep_after).await?;
        if known.is_none_or(|record| record.size != size) {
            self.put(keys::blob(blob), &BlobRecord { size, touch_us: now_us, doomed_us: 0 });
        }
        Ok(())
    }

    /// A blob, if it is there, which will stay for long enough that somebody can refer to it.
    pub(super) async fn touch_blob(
        &mut self,
        blob: &Digest,
        now_us: u64,
        sweep_after: Duration,
    ) -> Result<Option<BlobRecord>, Error> {
        let key = keys::blob(blob);
        let Some(mut record) = self.get::<BlobRecord>(&key).await? else { return Ok(None) };
        if record.doomed_us != 0 || is_touch_due(record.touch_us, now_us, sweep_after) {
            record = BlobRecord { touch_us: now_us, doomed_us: 0, ..record };
            self.put(key, &record);
        }
        Ok(Some(record))
    }

    /// A blob that an image knows, if it does, which will stay for long enough that a manifest can consist of it.
    pub(super) async fn touch_image_blob(
        &mut self,
        image: u64,
        blob: &Digest,
        now_us: u64,
        sweep_after: Duration,
    ) -> Result<Option<ImageBlobRecord>, Error> {
        let key = keys::image_blob(image, blob);
        let Some(mut record) = self.get::<ImageBlobRecord>(&key).await? else { return Ok(None) };
        if is_touch_due(record.touch_us, now_us, sweep_after) {
            record.touch_us = now_us;
            self.put(key, &record);
        }
        Ok(Some(record))
    }
}

//! Who needs which bytes.
//!
//! Whoever is about to refer to a blob reads its record in the same transaction. A sweep first dooms a blob, which
//! changes that record, and only then looks whether anything refers to it: who decided before that has to decide again,
//! and takes the doom back. So a blob is removed only when nothing refers to it and nothing can any more.

use steward_proto::store::v1::{BlobRecord, BlobUseRecord};

use super::error::Error;
use super::keys::{self, BlobUse};
use crate::blob::Digest;
use crate::store::tx::Tx;

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
        self.put(keys::blob_use(blob, user), &BlobUseRecord {});
        Ok(record)
    }

    /// Notes that something does not need a blob any more.
    pub(super) fn release_blob(&mut self, blob: &Digest, user: BlobUse<'_>) {
        self.delete(keys::blob_use(blob, user));
    }
}

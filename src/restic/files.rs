//! Files: what is done to them off the async threads, and when they were changed.

use std::io;
use std::os::unix::fs::MetadataExt as _;

use super::error::Error;
pub(super) use crate::blob::{Sharing, optional, sync_directory};
use crate::clock::Timestamp;

/// Does `work` on a thread that may block.
pub(super) async fn blocking<T, F>(work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::io("a file operation did not end", io::Error::other(error))),
    }
}

/// When a file was last written, or a directory last changed.
pub(super) fn modify_time(metadata: &std::fs::Metadata) -> Timestamp {
    let nanos = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    Timestamp::from_nanos(nanos)
}

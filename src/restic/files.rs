//! Files and directories: what is done to them off the async threads, and how it is made to last.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Once;

use super::error::Error;
use crate::clock::Timestamp;

/// Who may read and write what is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// The user of the server alone.
    Private,
    /// The group, too.
    Group,
}

impl Sharing {
    pub(super) fn file_mode(self) -> u32 {
        match self {
            Sharing::Private => 0o600,
            Sharing::Group => 0o660,
        }
    }

    fn directory_mode(self) -> u32 {
        match self {
            Sharing::Private => 0o700,
            Sharing::Group => 0o770,
        }
    }

    /// Makes a directory and its parents, where they are missing.
    pub(super) fn create_directory(self, path: &Path) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(self.directory_mode()).create(path)
    }

    /// Gives a small file this content, all or none, so that it lasts.
    pub(super) fn replace(self, path: &Path, content: &[u8]) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("."));
        self.create_directory(parent)?;
        let temporary = path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(self.file_mode()).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        sync_directory(parent)
    }
}

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

/// Makes the names in a directory last. A file system that cannot promise it is told of once.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    static WARNED: Once = Once::new();
    match File::open(path)?.sync_all() {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            WARNED.call_once(|| {
                tracing::warn!(directory = %path.display(), "the file system cannot sync directories: a power loss may lose objects");
            });
            Ok(())
        }
        result => result,
    }
}

/// When a file was last written, or a directory last changed.
pub(super) fn modify_time(metadata: &std::fs::Metadata) -> Timestamp {
    let nanos = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    Timestamp::from_nanos(nanos)
}

/// `None` in the place of "not found".
pub(super) fn optional<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

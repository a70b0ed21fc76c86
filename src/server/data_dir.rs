//! The data directory and that of volumes, which one process at a time may use.

use std::fmt;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// What a directory is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// All that the server keeps.
    Data,
    /// The layers of volumes.
    Volumes,
    /// The bytes of artifacts. Of two servers, each would sweep those of the other.
    Blobs,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Purpose::Data => "data directory",
            Purpose::Volumes => "directory of volumes",
            Purpose::Blobs => "directory of blobs",
        })
    }
}

impl Purpose {
    /// How another one is chosen.
    fn setting(self) -> &'static str {
        match self {
            Purpose::Data => "--data",
            Purpose::Volumes => "volumes.path",
            Purpose::Blobs => "artifacts.path",
        }
    }
}

/// A directory that is ours until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    /// Holds the lock on it.
    _lock: File,
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{purpose} {path} is in use by {user}: stop it, or choose another directory with {}", purpose.setting())]
    InUse { purpose: Purpose, path: PathBuf, user: String },
    #[error("{purpose} {path}: {error}")]
    Io { purpose: Purpose, path: PathBuf, error: io::Error },
}

impl DataDir {
    /// Creates the directory where it is missing, for its owner alone, and takes it.
    pub(super) fn take(purpose: Purpose, path: &Path) -> Result<Self, Error> {
        let io_error = |error| Error::Io { purpose, path: path.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error)?;
        let lock_path = path.join("LOCK");
        let mut lock =
            File::options().read(true).write(true).create(true).truncate(false).open(lock_path).map_err(io_error)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut user = String::new();
                // The holder writes its name right after it took the lock; until then it is a stranger.
                let _ = lock.read_to_string(&mut user);
                let user = if user.trim().is_empty() { "another process".to_owned() } else { user.trim().to_owned() };
                return Err(Error::InUse { purpose, path: path.to_owned(), user });
            }
            Err(TryLockError::Error(error)) => return Err(io_error(error)),
        }
        lock.set_len(0).map_err(io_error)?;
        lock.rewind().map_err(io_error)?;
        writeln!(lock, "process {} (steward serve)", std::process::id()).map_err(io_error)?;
        Ok(DataDir { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_that_is_made_is_for_its_owner_alone_and_another_one_stays_as_it_is() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let (made, old) = (home.path().join("made"), home.path().join("old"));
        DataDir::take(Purpose::Data, &made).expect("a free directory");
        std::fs::create_dir(&old).expect("a directory");
        std::fs::set_permissions(&old, Permissions::from_mode(0o750)).expect("permissions");
        DataDir::take(Purpose::Data, &old).expect("a free directory");
        assert_eq!((mode(&made), mode(&old)), (0o700, 0o750));
    }

    #[test]
    fn a_directory_in_use_is_refused_with_the_name_of_its_user() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let ours = DataDir::take(Purpose::Volumes, directory.path()).expect("a free directory");
        let error = DataDir::take(Purpose::Volumes, directory.path()).expect_err("a directory in use").to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(error.contains(&directory.path().display().to_string()), "{error}");
        drop(ours);
        DataDir::take(Purpose::Volumes, directory.path()).expect("a directory that was let go");
    }
}

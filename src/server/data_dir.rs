//! The data directory, which one process at a time may use.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// A data directory that is ours until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    /// Holds the lock on it.
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("data directory {path} is in use by {user}: stop it, or choose another directory with --data")]
    InUse { path: PathBuf, user: String },
    #[error("data directory {path}: {error}")]
    Io { path: PathBuf, error: io::Error },
}

impl DataDir {
    /// Creates the directory where it is missing, and takes it.
    pub(super) fn take(path: &Path) -> Result<Self, Error> {
        let io_error = |error| Error::Io { path: path.to_owned(), error };
        std::fs::create_dir_all(path).map_err(io_error)?;
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
                return Err(Error::InUse { path: path.to_owned(), user });
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
    use super::*;

    #[test]
    fn a_directory_in_use_is_refused_with_the_name_of_its_user() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let ours = DataDir::take(directory.path()).expect("a free directory");
        let error = DataDir::take(directory.path()).expect_err("a directory in use").to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(error.contains(&directory.path().display().to_string()), "{error}");
        drop(ours);
        DataDir::take(directory.path()).expect("a directory that was let go");
    }
}

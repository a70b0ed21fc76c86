//! A file that is being written: no name yet, no reader, and nothing left of it when it is given up.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bytes::Bytes;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::files::{self, Sharing};
use super::hasher::Hasher;

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// The file has its name now.
    New,
    /// Another has the name.
    Taken,
}

/// A file without a name, or with a temporary one outside of the directories that are listed.
#[derive(Debug)]
pub(crate) struct Staged {
    file: File,
    /// Only where the file system has no unnamed files.
    temporary: Option<PathBuf>,
    hasher: Hasher,
    size: u64,
}

impl Staged {
    /// Begins a file that will be published in `directory`; where that needs a name, it is one in `temporary`. Its bytes
    /// go through `hasher`.
    pub(crate) fn begin(directory: &Path, temporary: &Path, sharing: Sharing, hasher: Hasher) -> io::Result<Self> {
        let (file, temporary) = match unnamed(directory, sharing) {
            Ok(file) => (file, None),
            // What file systems say that have no unnamed files; the last is from kernels that do not know the flag.
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::IsADirectory) => {
                let (file, path) = named(temporary, sharing)?;
                (file, Some(path))
            }
            Err(error) => return Err(error),
        };
        Ok(Staged { file, temporary, hasher, size: 0 })
    }

    /// Adds bytes.
    pub(crate) fn write(&mut self, chunks: &[Bytes]) -> io::Result<()> {
        for chunk in chunks {
            self.hasher.update(chunk);
            self.file.write_all(chunk)?;
            self.size += chunk.len() as u64;
        }
        Ok(())
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// What the hashes of the bytes are so far.
    pub(crate) fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Makes the bytes last.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives it its name, unless that is taken. It lasts after [`files::sync_directory`].
    pub(crate) fn publish(&self, path: &Path) -> io::Result<Published> {
        let result = match &self.temporary {
            None => {
                let unnamed = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, unnamed, CWD, path, AtFlags::SYMLINK_FOLLOW)
            }
            // Not every file system can rename without replacing; a second name is never given to what exists. The
            // first one goes when this is dropped.
            Some(temporary) => rustix::fs::link(temporary, path),
        };
        match result.map_err(io::Error::from) {
            Ok(()) => Ok(Published::New),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Published::Taken),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // What cannot be removed now is removed at the next start.
            let _ = std::fs::remove_file(temporary);
        }
    }
}

fn unnamed(directory: &Path, sharing: Sharing) -> io::Result<File> {
    // By this way an unnamed file gets its name.
    static HAS_PROC: LazyLock<bool> = LazyLock::new(|| Path::new("/proc/self/fd").is_dir());
    if !*HAS_PROC {
        return Err(ErrorKind::Unsupported.into());
    }
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(sharing.file_mode());
    rustix::fs::open(directory, flags, mode).map(File::from).map_err(io::Error::from)
}

fn named(directory: &Path, sharing: Sharing) -> io::Result<(File, PathBuf)> {
    sharing.create_directory(directory)?;
    let path = directory.join(uuid::Uuid::new_v4().to_string());
    let file = OpenOptions::new().write(true).create_new(true).mode(sharing.file_mode()).open(&path)?;
    Ok((file, path))
}

/// Removes what uploads and creations left behind when the server was killed.
pub(crate) fn sweep_temporary(temporary: &Path) -> io::Result<()> {
    let Some(entries) = files::optional(std::fs::read_dir(temporary))? else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::{Algorithm, Digest};

    fn write_and_publish(staged: io::Result<Staged>, path: &Path) -> (Option<[u8; 32]>, Published) {
        let mut staged = staged.unwrap();
        staged.write(&[Bytes::from_static(b"ab"), Bytes::from_static(b"c")]).unwrap();
        assert_eq!(staged.size(), 3);
        let digest = staged.hasher().sha256();
        staged.sync().unwrap();
        (digest, staged.publish(path).unwrap())
    }

    #[test]
    fn a_file_appears_whole_and_is_never_replaced() {
        let home = tempfile::tempdir().unwrap();
        let (path, temporary) = (home.path().join("object"), home.path().join("temporary"));
        let begin = || Staged::begin(home.path(), &temporary, Sharing::Private, Hasher::digest_of(Algorithm::Sha256));
        let (digest, published) = write_and_publish(begin(), &path);
        let abc = Digest::of(Algorithm::Sha256, b"abc");
        assert_eq!((&digest.unwrap()[..], published), (abc.bytes(), Published::New));
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        assert_eq!(write_and_publish(begin(), &path).1, Published::Taken);
    }

    #[test]
    fn a_file_with_a_temporary_name_is_gone_when_it_is_given_up() {
        let home = tempfile::tempdir().unwrap();
        let temporary = home.path().join("temporary");
        let staged = |()| {
            let (file, path) = named(&temporary, Sharing::Private).unwrap();
            Staged { file, temporary: Some(path), hasher: Hasher::default(), size: 0 }
        };
        drop(staged(()));
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
        let path = home.path().join("object");
        assert_eq!(write_and_publish(Ok(staged(())), &path), (None, Published::New));
        assert_eq!(write_and_publish(Ok(staged(())), &path).1, Published::Taken);
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    }

    #[test]
    fn leftovers_are_swept() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("left"), b"x").unwrap();
        sweep_temporary(home.path()).unwrap();
        sweep_temporary(&home.path().join("missing")).unwrap();
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
}

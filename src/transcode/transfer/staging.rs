//! Results on their way in: `<library>/.steward/incoming/<task>.part`, which broken uploads go on with.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::time::SystemTime;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, openat, statat, unlinkat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::root::{self, Root};
use super::{Error, failed};

const SUFFIX: &str = ".part";
// What a power loss may cost: without it, a part could have its size and not its bytes.
const SYNC_BYTES: u64 = 64 << 20;
const BUFFER_BYTES: usize = 256 * 1024;

/// The results that come into a library.
#[derive(Debug)]
pub(crate) struct Staging {
    directory: OwnedFd,
}

/// A result that is being received. Nobody else receives it at the same time.
#[derive(Debug)]
pub(crate) struct Upload {
    file: File,
    name: String,
    hash: Sha256,
    size: u64,
    synced: u64,
    max_bytes: u64,
}

/// A result that is here as it was sent, and survives a power loss.
#[derive(Debug)]
pub(crate) struct Received {
    pub(super) file: File,
    pub(super) name: String,
    size: u64,
}

impl Staging {
    /// Opens the directory for results, and makes it when it is not there.
    pub(crate) fn open(root: &Root) -> Result<Self, Error> {
        root.own_directory(["incoming"]).map(|directory| Staging { directory })
    }

    /// How much of a task's result is here: where an upload goes on.
    pub(crate) fn offset(&self, task: Uuid) -> Result<u64, Error> {
        match statat(&self.directory, name_of(task), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => Ok(u64::try_from(status.st_size).unwrap_or_default()),
            Err(Errno::NOENT) => Ok(0),
            Err(error) => Err(failed("cannot look at the result")(error)),
        }
    }

    /// Goes on with a result, of at most `max_bytes`. What is here of it is read, for its digest.
    pub(crate) fn resume(&self, task: Uuid, max_bytes: u64) -> Result<Upload, Error> {
        let name = name_of(task);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.directory, &*name, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(file.map_err(failed("cannot open the result"))?);
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(Error::Busy),
            Err(error) => return Err(failed("cannot lock the result")(error)),
        }
        let mut hash = Sha256::new();
        let size = hash_all(&mut file, &mut hash).map_err(failed("cannot read the result"))?;
        Ok(Upload { file, name, hash, size, synced: size, max_bytes })
    }

    /// Forgets a result. Not an error when there is none.
    pub(crate) fn remove(&self, task: Uuid) -> Result<(), Error> {
        self.remove_name(&name_of(task))
    }

    /// Forgets the results that nothing was added to since `before`, unless `is_wanted` says that their task goes on.
    /// Returns how many.
    pub(crate) fn remove_stale(&self, before: SystemTime, is_wanted: impl Fn(Uuid) -> bool) -> Result<usize, Error> {
        let entries = rustix::fs::Dir::read_from(&self.directory).map_err(failed("cannot list the results"))?;
        let mut removed = 0;
        for entry in entries {
            let entry = entry.map_err(failed("cannot list the results"))?;
            let Some(task) = entry.file_name().to_str().ok().and_then(task_of) else { continue };
            if !is_wanted(task) && self.changed(task)?.is_some_and(|changed| changed < before) {
                self.remove(task)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Returns once the names of results survive a power loss.
    pub(super) fn sync(&self) -> Result<(), Error> {
        root::sync(&self.directory)
    }

    pub(super) fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    fn changed(&self, task: Uuid) -> Result<Option<SystemTime>, Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(&self.directory, name_of(task), flags, Mode::empty()) {
            Ok(file) => {
                let changed = File::from(file).metadata().and_then(|metadata| metadata.modified());
                changed.map(Some).map_err(failed("cannot look at the result"))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(failed("cannot open the result")(error)),
        }
    }

    fn remove_name(&self, name: &str) -> Result<(), Error> {
        match unlinkat(&self.directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed("cannot remove the result")(error)),
        }
    }
}

impl Upload {
    /// How much is here.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes, which have to continue what is here. After an error that is not about the offset or the size, the
    /// upload has to be resumed anew.
    pub(crate) fn append(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if offset != self.size {
            return Err(Error::WrongOffset { given: offset, expected: self.size });
        }
        let size = self.size.saturating_add(bytes.len() as u64);
        if size > self.max_bytes {
            return Err(Error::TooLarge { max_bytes: self.max_bytes });
        }
        self.file.write_all(bytes).map_err(failed("cannot write the result"))?;
        self.hash.update(bytes);
        self.size = size;
        if self.size - self.synced >= SYNC_BYTES {
            self.file.sync_data().map_err(failed("cannot sync the result"))?;
            self.synced = self.size;
        }
        Ok(())
    }

    /// Ends the upload. Returns once the result survives a power loss. One whose digest is another is thrown away: nobody
    /// knows which of its bytes are wrong.
    pub(crate) fn finish(self, staging: &Staging, sha256: &[u8]) -> Result<Received, Error> {
        if self.hash.finalize().as_slice() != sha256 {
            staging.remove_name(&self.name)?;
            return Err(Error::WrongDigest);
        }
        self.file.sync_all().map_err(failed("cannot sync the result"))?;
        staging.sync()?;
        Ok(Received { file: self.file, name: self.name, size: self.size })
    }
}

impl Received {
    /// How large it is.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Its path in the library, for a program that looks at it.
    pub(crate) fn path(&self) -> String {
        format!("{}/incoming/{}", super::path::OWN_DIRECTORY, self.name)
    }
}

fn name_of(task: Uuid) -> String {
    format!("{task}{SUFFIX}")
}

fn task_of(name: &str) -> Option<Uuid> {
    let task = Uuid::try_parse(name.strip_suffix(SUFFIX)?).ok()?;
    // Other spellings of the same id are not our files.
    (name_of(task) == name).then_some(task)
}

/// Reads to the end, where the next write continues.
fn hash_all(file: &mut File, hash: &mut Sha256) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(size),
            Ok(count) => {
                hash.update(&buffer[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::transcode::library::Roots;

    fn staging() -> (tempfile::TempDir, Staging) {
        let library = tempfile::tempdir().unwrap();
        let staging = Staging::open(&Root::open(library.path(), &Roots::default()).unwrap()).unwrap();
        (library, staging)
    }

    #[test]
    fn a_broken_upload_goes_on_where_it_was() {
        let ((library, staging), task) = (staging(), Uuid::new_v4());
        assert_eq!(staging.offset(task).unwrap(), 0);
        let mut upload = staging.resume(task, 100).unwrap();
        upload.append(0, b"first ").unwrap();
        drop(upload);
        assert_eq!(staging.offset(task).unwrap(), 6);
        let mut upload = staging.resume(task, 100).unwrap();
        assert_eq!(upload.size(), 6);
        upload.append(6, b"second").unwrap();
        let received = upload.finish(&staging, &Sha256::digest(b"first second")).unwrap();
        assert_eq!(std::fs::read(library.path().join(received.path())).unwrap(), b"first second");
        assert_eq!(received.size(), 12);
    }

    #[test]
    fn a_chunk_that_does_not_continue_changes_nothing() {
        let ((_library, staging), task) = (staging(), Uuid::new_v4());
        let mut upload = staging.resume(task, 8).unwrap();
        upload.append(0, b"1234").unwrap();
        for offset in [0, 3, 5, u64::MAX] {
            assert!(matches!(upload.append(offset, b"x"), Err(Error::WrongOffset { expected: 4, .. })), "{offset}");
        }
        assert!(matches!(upload.append(4, b"56789"), Err(Error::TooLarge { max_bytes: 8 })));
        upload.append(4, b"5678").unwrap();
        upload.finish(&staging, &Sha256::digest(b"12345678")).unwrap();
    }

    #[test]
    fn a_wrong_digest_throws_the_result_away() {
        let ((_library, staging), task) = (staging(), Uuid::new_v4());
        for wrong in [&[0; 32][..], &[]] {
            let mut upload = staging.resume(task, 8).unwrap();
            upload.append(0, b"1234").unwrap();
            assert!(matches!(upload.finish(&staging, wrong), Err(Error::WrongDigest)));
            assert_eq!(staging.offset(task).unwrap(), 0);
        }
    }

    #[test]
    fn a_result_is_received_once_at_a_time() {
        let ((_library, staging), task) = (staging(), Uuid::new_v4());
        let upload = staging.resume(task, 8).unwrap();
        assert!(matches!(staging.resume(task, 8), Err(Error::Busy)));
        drop(upload);
        staging.resume(task, 8).unwrap();
    }

    #[test]
    fn what_is_stale_and_not_wanted_is_removed() {
        let ((library, staging), stale, wanted) = (staging(), Uuid::new_v4(), Uuid::new_v4());
        for task in [stale, wanted] {
            staging.resume(task, 8).unwrap().append(0, b"1").unwrap();
        }
        let other = library.path().join(".steward/incoming/notes.part");
        std::fs::write(&other, "x").unwrap();
        assert_eq!(staging.remove_stale(SystemTime::UNIX_EPOCH, |_| false).unwrap(), 0);
        let written = std::fs::metadata(&other).unwrap().modified().unwrap();
        let later = written + Duration::from_mins(1);
        assert_eq!(staging.remove_stale(later, |task| task == wanted).unwrap(), 1);
        assert_eq!((staging.offset(stale).unwrap(), staging.offset(wanted).unwrap()), (0, 1));
        assert!(other.exists());
    }
}

//! The disk that the operating system gives: a directory with 256 others in it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use self::room::Room;
use super::Disk;

mod file;
mod room;

pub use file::OsFile;

/// A directory. Its files are spread over 256 directories by the last byte of their ids.
#[derive(Debug)]
pub struct OsDisk {
    directory: PathBuf,
    room: Arc<Room>,
    /// Directories in which names changed since they were synced.
    unsynced: Mutex<BTreeSet<PathBuf>>,
}

impl OsDisk {
    /// Opens or makes the directory.
    pub fn open(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        if let Some(parent) = directory.canonicalize()?.parent() {
            File::open(parent)?.sync_all()?;
        }
        let room = Arc::new(Room::new(directory.to_owned()));
        Ok(OsDisk { directory: directory.to_owned(), room, unsynced: Mutex::default() })
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let shard =
            shard(name).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a layer"))?;
        Ok(self.directory.join(shard).join(name))
    }

    fn open_file(&self, path: &Path, is_new: bool) -> io::Result<OsFile> {
        let file = File::options().read(true).write(true).create(is_new).mode(0o600).open(path)?;
        Ok(OsFile::new(file, Arc::clone(&self.room)))
    }

    fn names_changed_in(&self, path: &Path) {
        if let Some(directory) = path.parent() {
            self.unsynced.lock().insert(directory.to_owned());
        }
    }
}

impl Disk for OsDisk {
    type File = OsFile;

    fn create(&self, name: &str) -> io::Result<OsFile> {
        let path = self.path(name)?;
        let shard = path.parent().unwrap_or(&self.directory);
        std::fs::create_dir_all(shard)?;
        // Also where they were there already: who made them may have ended before it synced them.
        self.names_changed_in(shard);
        self.names_changed_in(&path);
        self.open_file(&path, true)
    }

    fn open(&self, name: &str) -> io::Result<OsFile> {
        self.open_file(&self.path(name)?, false)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name)?;
        match std::fs::remove_file(&path) {
            Ok(()) => {
                self.names_changed_in(&path);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for directory in std::fs::read_dir(&self.directory)? {
            let directory = directory?;
            if !directory.file_type()?.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(directory.path())? {
                let name = file?.file_name().into_string().unwrap_or_default();
                if shard(&name).is_some_and(|shard| directory.file_name() == shard) {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        // Held all the while: whoever comes meanwhile must not believe that its names are synced already.
        let mut unsynced = self.unsynced.lock();
        while let Some(directory) = unsynced.first() {
            match File::open(directory) {
                Ok(open) => open.sync_all()?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            unsynced.pop_first();
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.room.free_bytes()
    }
}

/// The directory of a file: the last two of the sixteen digits of its name.
fn shard(name: &str) -> Option<&str> {
    let (id, extension) = name.split_once('.')?;
    let is_id = id.len() == 16 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_plain = !extension.is_empty() && extension.bytes().all(|byte| byte.is_ascii_lowercase());
    (is_id && is_plain).then(|| &id[14..])
}

#[cfg(test)]
mod tests;

//! Files that grow over many calls and restarts: `{directory}/uploads/{uuid}`.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use uuid::Uuid;

use super::digest::Digest;
use super::files::{Sharing, optional, sync_directory};
use super::hasher::Hasher;
use super::staged::Published;
use super::store::Blobs;

/// How many bytes are read at a time to be hashed.
const PIECE_BYTES: usize = 256 * 1024;

/// The extension of a partial file that is being copied.
const COPY: &str = "copy";

/// Where a partial file goes on.
#[derive(Clone, Debug)]
pub(crate) struct PartialStart {
    /// Which.
    pub(crate) id: Uuid,
    /// How many of its bytes are known to last. Those behind them are cut off.
    pub(crate) size: u64,
    /// What to make of its bytes.
    pub(crate) hasher: Hasher,
    /// The hasher has seen the bytes that last; otherwise they are read again.
    pub(crate) is_hashed: bool,
}

/// A partial file that is being written. Its functions block.
#[derive(Debug)]
pub(crate) struct Partial {
    file: Arc<File>,
    hasher: Hasher,
    size: u64,
    name: Arc<Name>,
}

/// The name of a partial file.
#[derive(Debug)]
struct Name {
    directory: PathBuf,
    lasts: AtomicBool,
}

/// Makes the bytes of a partial file last that it has now, while it goes on to grow.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    file: Arc<File>,
    name: Arc<Name>,
}

impl Partial {
    /// Adds bytes.
    pub(crate) fn write(&mut self, chunks: &[Bytes]) -> io::Result<()> {
        for chunk in chunks {
            self.hasher.update(chunk);
            self.file.write_all_at(chunk, self.size)?;
            self.size += chunk.len() as u64;
        }
        Ok(())
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// What the hashes of its bytes are.
    pub(crate) fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// For making its bytes last.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint { file: Arc::clone(&self.file), name: Arc::clone(&self.name) }
    }
}

impl Checkpoint {
    /// Makes them last.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        if !self.name.lasts.load(Ordering::Acquire) {
            sync_directory(&self.name.directory)?;
            self.name.lasts.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl Blobs {
    fn partial_path(&self, id: Uuid) -> PathBuf {
        self.partials_directory().join(id.to_string())
    }

    /// Opens a partial file to go on with it; without bytes, it is made. Not found: the bytes are gone that were known
    /// to last.
    pub(crate) fn open_partial(&self, start: PartialStart) -> io::Result<Partial> {
        let PartialStart { id, size, mut hasher, is_hashed } = start;
        self.part_from_blob(id)?;
        let (file, _) = self.cut_partial(id, size)?;
        if !is_hashed {
            read_through(&file, size, |bytes| hasher.update(bytes))?;
        }
        let name = Name { directory: self.partials_directory(), lasts: AtomicBool::new(size > 0) };
        Ok(Partial { file: Arc::new(file), hasher, size, name: Arc::new(name) })
    }

    /// Gives a partial file bytes of its own, if it became a blob and that was not noted: a blob must not grow.
    fn part_from_blob(&self, id: Uuid) -> io::Result<()> {
        let path = self.partial_path(id);
        if optional(std::fs::metadata(&path))?.is_none_or(|metadata| metadata.nlink() < 2) {
            return Ok(());
        }
        let copy = path.with_extension(COPY);
        optional(std::fs::remove_file(&copy))?;
        std::fs::copy(&path, &copy)?;
        File::open(&copy)?.sync_all()?;
        std::fs::rename(&copy, &path)?;
        sync_directory(&self.partials_directory())
    }

    /// Opens a partial file with exactly so many bytes. Says whether that may not last yet.
    fn cut_partial(&self, id: Uuid, size: u64) -> io::Result<(File, bool)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(size == 0).mode(Sharing::Private.file_mode());
        let file = options.open(self.partial_path(id))?;
        let there = file.metadata()?.len();
        if there < size {
            return Err(ErrorKind::NotFound.into());
        }
        if there > size {
            file.set_len(size)?;
        }
        Ok((file, there > size || size == 0))
    }

    /// Makes a partial file, whose `size` bytes last, the blob of a digest, which they have, so that it lasts. The
    /// partial file stays.
    pub(crate) fn publish_partial(&self, id: Uuid, size: u64, digest: &Digest) -> io::Result<()> {
        let path = self.partial_path(id);
        if let (file, true) = self.cut_partial(id, size)? {
            file.sync_all()?;
        }
        self.give_name(digest, size, |name| match std::fs::hard_link(&path, name) {
            Ok(()) => Ok(Published::New),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Published::Taken),
            Err(error) => Err(error),
        })
    }

    /// Removes a partial file, if it is there.
    pub(crate) fn remove_partial(&self, id: Uuid) -> io::Result<()> {
        optional(std::fs::remove_file(self.partial_path(id))).map(|_| ())
    }

    /// Removes copies that a crash left unfinished.
    pub(super) fn sweep_copies(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(self.partials_directory())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == COPY) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// All partial files.
    pub(crate) fn partials(&self) -> io::Result<Vec<Uuid>> {
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(self.partials_directory())? {
            ids.extend(entry?.file_name().to_str().and_then(|name| Uuid::parse_str(name).ok()));
        }
        Ok(ids)
    }
}

/// Shows the first `size` bytes of a file.
pub(crate) fn read_through(file: &File, size: u64, mut show: impl FnMut(&[u8])) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut offset = 0;
    while offset < size {
        let length = usize::try_from(size - offset).unwrap_or(usize::MAX).min(PIECE_BYTES);
        file.read_exact_at(&mut piece[..length], offset)?;
        show(&piece[..length]);
        offset += length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Algorithm;

    fn start(id: Uuid, size: u64) -> PartialStart {
        PartialStart { id, size, hasher: Hasher::digest_of(Algorithm::Sha256), is_hashed: size == 0 }
    }

    fn write(blobs: &Blobs, start: PartialStart, content: &'static [u8]) -> Partial {
        let mut partial = blobs.open_partial(start).unwrap();
        partial.write(&[Bytes::from_static(content)]).unwrap();
        partial.checkpoint().sync().unwrap();
        partial
    }

    #[test]
    fn a_partial_file_goes_on_where_its_bytes_last_and_becomes_a_blob() {
        let home = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(home.path()).unwrap();
        let id = Uuid::new_v4();
        let first = write(&blobs, start(id, 0), b"abcXYZ");
        assert_eq!(first.size(), 6);
        // Of these, only three were promised.
        let partial = write(&blobs, start(id, 3), b"def");
        let digest = Digest::of(Algorithm::Sha256, b"abcdef");
        assert_eq!(partial.hasher().digest(Algorithm::Sha256), Some(digest.clone()));
        assert_eq!(blobs.partials().unwrap(), [id]);
        for _ in 0..2 {
            blobs.publish_partial(id, 6, &digest).unwrap();
        }
        blobs.remove_partial(id).unwrap();
        assert_eq!(blobs.size(&digest).unwrap(), Some(6));
        assert!(blobs.partials().unwrap().is_empty());
    }

    #[test]
    fn bytes_that_are_gone_are_told_of() {
        let home = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(home.path()).unwrap();
        let id = Uuid::new_v4();
        write(&blobs, start(id, 0), b"abc");
        assert_eq!(blobs.open_partial(start(id, 4)).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(blobs.open_partial(start(Uuid::new_v4(), 4)).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_blob_does_not_grow_with_the_file_that_it_was() {
        let home = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(home.path()).unwrap();
        let id = Uuid::new_v4();
        write(&blobs, start(id, 0), b"abc");
        let digest = Digest::of(Algorithm::Sha256, b"abc");
        blobs.publish_partial(id, 3, &digest).unwrap();
        assert_eq!(write(&blobs, start(id, 3), b"d").size(), 4);
        assert_eq!(blobs.size(&digest).unwrap(), Some(3));
    }

    #[test]
    fn nothing_at_all_becomes_a_blob_too() {
        let home = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(home.path()).unwrap();
        let digest = Digest::of(Algorithm::Sha512, b"");
        blobs.publish_partial(Uuid::new_v4(), 0, &digest).unwrap();
        assert_eq!(blobs.size(&digest).unwrap(), Some(0));
    }
}

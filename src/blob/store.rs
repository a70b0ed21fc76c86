//! The files of the blobs: `{directory}/{algorithm}/{two digits}/{all digits}`.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, MutexGuard};

use super::digest::{Algorithm, Digest};
use super::files::{Sharing, open_cached, optional, sync_directory};
use super::hasher::Hasher;
use super::staged::{Published, Staged, sweep_temporary};

/// Locks for digests: so many that two files seldom share one.
const LOCKS: usize = 1024;
/// The directories that files are spread over, of one algorithm.
const SHELVES: usize = 256;

/// The store of blobs in a directory. Clones share it. What it does blocks, except where it is `async`.
#[derive(Clone, Debug)]
pub struct Blobs(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    directory: PathBuf,
    locks: Vec<Mutex<()>>,
    /// The file system has told what is in the page cache.
    knows_cache: AtomicBool,
}

impl Blobs {
    /// The blobs in a directory, which is made if it is not there. What a crash left of unfinished files is removed;
    /// partial files stay, since only those above know which are still wanted. Blocks.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let locks = std::iter::repeat_with(Mutex::default).take(LOCKS).collect();
        let directory = directory.to_owned();
        let blobs = Blobs(Arc::new(Parts { directory, locks, knows_cache: AtomicBool::new(false) }));
        for directory in [blobs.directory().to_owned(), blobs.staging(), blobs.partials_directory()] {
            Sharing::Private.create_directory(&directory)?;
        }
        sweep_temporary(&blobs.staging())?;
        blobs.sweep_copies()?;
        sync_directory(blobs.directory())?;
        Ok(blobs)
    }

    /// Where they are.
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    fn staging(&self) -> PathBuf {
        self.directory().join("staging")
    }

    pub(super) fn partials_directory(&self) -> PathBuf {
        self.directory().join("uploads")
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.directory().join(digest.algorithm().name()).join(&hex[..2]).join(&hex)
    }

    /// Held by who gives a digest a file and a record, and by who takes them away: so a record never outlives its file.
    pub(crate) async fn lock(&self, digest: &Digest) -> MutexGuard<'_, ()> {
        let last = digest.bytes().last_chunk().map_or(0, |last| u16::from_be_bytes(*last));
        self.0.locks[usize::from(last) % LOCKS].lock().await
    }

    /// Begins a file. Nothing is left of it unless it is published.
    pub(crate) fn begin(&self, hasher: Hasher) -> io::Result<Staged> {
        Staged::begin(&self.staging(), &self.staging(), Sharing::Private, hasher)
    }

    /// Makes a file the blob of a digest, which its bytes have, so that it lasts.
    pub(crate) fn publish(&self, staged: &Staged, digest: &Digest) -> io::Result<()> {
        staged.sync()?;
        self.give_name(digest, staged.size(), |path| staged.publish(path))
    }

    /// Gives a file, whose bytes last, the name of a digest, unless there is one already; so that it lasts.
    pub(super) fn give_name(
        &self,
        digest: &Digest,
        size: u64,
        link: impl Fn(&Path) -> io::Result<Published>,
    ) -> io::Result<()> {
        let path = self.path(digest);
        let mut published = match link(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.make_shelf(&path)?;
                link(&path)?
            }
            result => result?,
        };
        if published == Published::Taken && std::fs::metadata(&path)?.len() != size {
            tracing::warn!(%digest, "a blob of another length than its bytes had is replaced");
            std::fs::remove_file(&path)?;
            published = link(&path)?;
        }
        let shelf = path.parent().unwrap_or(self.directory());
        if let Err(error) = sync_directory(shelf) {
            if published == Published::New {
                // Not known to last, so nobody may find it.
                let _ = std::fs::remove_file(&path);
            }
            return Err(error);
        }
        Ok(())
    }

    fn make_shelf(&self, path: &Path) -> io::Result<()> {
        let Some(shelf) = path.parent() else { return Ok(()) };
        Sharing::Private.create_directory(shelf)?;
        for parent in shelf.ancestors().skip(1).take_while(|parent| parent.starts_with(self.directory())) {
            sync_directory(parent)?;
        }
        Ok(())
    }

    /// How long the file of a blob is; `None`: there is none.
    pub(crate) fn size(&self, digest: &Digest) -> io::Result<Option<u64>> {
        Ok(optional(std::fs::metadata(self.path(digest)))?.map(|metadata| metadata.len()))
    }

    /// Removes the file of a blob. Who has it open can go on reading.
    pub(crate) fn remove(&self, digest: &Digest) -> io::Result<()> {
        optional(std::fs::remove_file(self.path(digest))).map(|_| ())
    }

    /// Opens a blob.
    pub(crate) fn open_file(&self, digest: &Digest) -> io::Result<(File, Metadata)> {
        let file = File::open(self.path(digest))?;
        let metadata = file.metadata()?;
        Ok((file, metadata))
    }

    /// Opens a blob unless that takes waiting. `None` says nothing.
    pub(crate) fn open_cached(&self, digest: &Digest) -> Option<(File, Metadata)> {
        // On a file system behind a network, opening takes waiting even where the name is known.
        if self.0.knows_cache.load(Ordering::Relaxed) { open_cached(&self.path(digest)) } else { None }
    }

    /// Notes that the file system tells what is in the page cache.
    pub(crate) fn knows_cache(&self) {
        self.0.knows_cache.store(true, Ordering::Relaxed);
    }

    /// The blobs of one of the directories that they are spread over; `None` behind the last of these.
    pub(crate) fn on_shelf(&self, number: usize) -> io::Result<Option<Vec<Digest>>> {
        let algorithm = match number / SHELVES {
            0 => Algorithm::Sha256,
            1 => Algorithm::Sha512,
            _ => return Ok(None),
        };
        let shelf = self.directory().join(algorithm.name()).join(format!("{:02x}", number % SHELVES));
        let mut digests = Vec::new();
        let Some(entries) = optional(std::fs::read_dir(shelf))? else { return Ok(Some(digests)) };
        for entry in entries {
            let name = entry?.file_name();
            digests
                .extend(name.to_str().and_then(|name| format!("{}:{name}", algorithm.name()).parse::<Digest>().ok()));
        }
        Ok(Some(digests))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use bytes::Bytes;

    use super::*;

    fn store(home: &tempfile::TempDir) -> Blobs {
        Blobs::open(&home.path().join("blobs")).unwrap()
    }

    fn put(blobs: &Blobs, content: &'static [u8], algorithm: Algorithm) -> Digest {
        let mut staged = blobs.begin(Hasher::digest_of(algorithm)).unwrap();
        staged.write(&[Bytes::from_static(content)]).unwrap();
        let digest = staged.hasher().digest(algorithm).unwrap();
        blobs.publish(&staged, &digest).unwrap();
        digest
    }

    #[test]
    fn a_blob_lies_under_its_digest_and_nobody_else_may_look() {
        let home = tempfile::tempdir().unwrap();
        let blobs = store(&home);
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = put(&blobs, b"abc", algorithm);
            let hex = digest.hex();
            let path = blobs.directory().join(algorithm.name()).join(&hex[..2]).join(&hex);
            assert_eq!(std::fs::read(&path).unwrap(), b"abc");
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
            assert_eq!(blobs.size(&digest).unwrap(), Some(3));
            assert_eq!(put(&blobs, b"abc", algorithm), digest, "the same once more");
        }
        assert_eq!(std::fs::read_dir(blobs.staging()).unwrap().count(), 0);
    }

    #[test]
    fn a_blob_of_another_length_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let blobs = store(&home);
        let digest = put(&blobs, b"abc", Algorithm::Sha256);
        std::fs::write(blobs.path(&digest), b"a").unwrap();
        put(&blobs, b"abc", Algorithm::Sha256);
        assert_eq!(std::fs::read(blobs.path(&digest)).unwrap(), b"abc");
    }

    #[test]
    fn what_was_removed_can_still_be_read_by_who_has_it_open() {
        use std::io::Read as _;

        let home = tempfile::tempdir().unwrap();
        let blobs = store(&home);
        let digest = put(&blobs, b"abc", Algorithm::Sha256);
        let (mut file, metadata) = blobs.open_file(&digest).unwrap();
        blobs.remove(&digest).unwrap();
        blobs.remove(&digest).unwrap();
        assert_eq!((blobs.size(&digest).unwrap(), metadata.len()), (None, 3));
        let mut content = String::new();
        file.read_to_string(&mut content).unwrap();
        assert_eq!(content, "abc");
    }

    #[test]
    fn every_blob_is_on_one_shelf_and_leftovers_go_at_the_next_start() {
        let home = tempfile::tempdir().unwrap();
        let blobs = store(&home);
        let mut put = vec![put(&blobs, b"a", Algorithm::Sha256), put(&blobs, b"b", Algorithm::Sha512)];
        std::fs::write(blobs.staging().join("left"), b"x").unwrap();
        let copy = blobs.partials_directory().join(uuid::Uuid::new_v4().to_string()).with_extension("copy");
        std::fs::write(&copy, b"x").unwrap();
        let blobs = store(&home);
        assert!(!copy.exists());
        assert_eq!(std::fs::read_dir(blobs.staging()).unwrap().count(), 0);
        let shelves = (0..).map_while(|number| blobs.on_shelf(number).unwrap());
        let mut found: Vec<Digest> = shelves.flatten().collect();
        found.sort();
        put.sort();
        assert_eq!(found, put);
    }
}

//! The default store: sled 0.34, used so that it keeps what it says.
//!
//! Each point is a trap of this version, found in its source and by tracing it:
//!
//! - `insert` and `apply_batch` return before anything is on the disk, and `flush` only starts the writing
//!   (`sync_file_range`). A batch is durable after `flush` *and* an fsync of the database file.
//! - A page over 128 KiB goes to a file of its own that is never synced. A leaf has up to 17 records and an index up to
//!   257 keys, hence [`super::MAX_VALUE_BYTES`] and [`super::MAX_KEY_BYTES`].
//! - A crash while opening leaves `snap.*.generating`, after which it refuses to open. There is no data in it.
//! - `transaction` takes one lock for the whole process and `watch_prefix` blocks writers; neither is used.

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;

use super::backend::{Backend, Batch};
use super::embedded::EmbeddedStore;
use super::journal::{FileJournal, Limits};
use super::{Error, Key, KeyRange};

/// The embedded store of `steward serve`.
pub type SledStore = EmbeddedStore<SledBackend, FileJournal>;

/// Settings of the store.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The page cache, in bytes.
    pub cache_bytes: u64,
    /// How much of the past is kept for watches.
    pub history: Limits,
}

/// An ordered map in one sled tree.
#[derive(Debug)]
pub struct SledBackend {
    db: ::sled::Db,
    /// The database file, for its fsync.
    file: File,
}

impl SledBackend {
    /// Opens or creates the database in `directory`, with a page cache of about `cache_bytes`.
    pub fn open(directory: &Path, cache_bytes: u64) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        remove_unfinished_snapshots(directory)?;
        let config = ::sled::Config::new()
            .path(directory)
            .cache_capacity(cache_bytes)
            // Each batch is flushed as it is applied; a second flusher would only take its time.
            .flush_every_ms(None);
        let db = config.open().map_err(io::Error::from)?;
        let file = File::open(directory.join("db"))?;
        db.flush().map_err(io::Error::from)?;
        file.sync_all()?;
        // The names of files that were just created have to survive too.
        File::open(directory)?.sync_all()?;
        Ok(SledBackend { db, file })
    }
}

/// Opens the store in `directory`: the database under `records`, the journal under `journal`.
pub fn open(directory: &Path, options: Options) -> Result<SledStore, Error> {
    let failed = |what: &str, error: io::Error| {
        Error::Closed(format!("cannot open the {what} in {}: {error}", directory.display()).into())
    };
    let backend =
        SledBackend::open(&directory.join("records"), options.cache_bytes).map_err(|error| failed("records", error))?;
    let journal =
        FileJournal::open(&directory.join("journal"), options.history).map_err(|error| failed("journal", error))?;
    // The names of both have to survive too, and that of the directory itself.
    sync_directory(directory).map_err(|error| failed("directory", error))?;
    EmbeddedStore::open(backend, journal)
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()?;
    match directory.parent() {
        Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn remove_unfinished_snapshots(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("snap.") && path.extension().is_some_and(|extension| extension == "generating") {
            tracing::warn!(path = %path.display(), "removing a snapshot that a crash left unfinished");
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

impl Backend for SledBackend {
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
        Ok(self.db.get(key)?.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> io::Result<Vec<(Key, Bytes)>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.range(range).take(limit).map(|pair| Ok(owned(pair?))).collect()
    }

    fn apply(&self, batch: Batch) -> io::Result<()> {
        let mut writes = ::sled::Batch::default();
        for (key, value) in batch {
            match value {
                Some(value) => writes.insert(key.as_bytes(), value.as_ref()),
                None => writes.remove(key.as_bytes()),
            }
        }
        self.db.apply_batch(writes)?;
        self.db.flush()?;
        self.file.sync_all()
    }
}

impl SledBackend {
    fn range(&self, range: &KeyRange) -> ::sled::Iter {
        match &range.end {
            Some(end) => self.db.range(range.start.as_bytes()..end.as_bytes()),
            None => self.db.range(range.start.as_bytes()..),
        }
    }
}

fn owned((key, value): (::sled::IVec, ::sled::IVec)) -> (Key, Bytes) {
    (Key::from_bytes(Bytes::copy_from_slice(&key)), Bytes::copy_from_slice(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite;

    suite::behaviours!(suite::Sled::default());

    #[test]
    fn an_unfinished_snapshot_of_a_crash_does_not_stop_the_opening() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        drop(SledBackend::open(directory.path(), 1 << 20).expect("a new database"));
        let leftover = directory.path().join("snap.1.generating");
        std::fs::write(&leftover, b"half a snapsh").expect("a planted file");

        SledBackend::open(directory.path(), 1 << 20).expect("the database opens");

        assert!(!leftover.exists());
    }
}

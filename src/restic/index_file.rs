//! The saved index: read at the start, so that only directories that have changed since are read.
//!
//! Nothing depends on it. A file that is damaged, or of another version, is as good as none.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::bucket::{BucketId, Entry};
use super::files::{self, Sharing};
use super::index::Index;
use super::name::ObjectId;
use crate::clock::Timestamp;

/// The first bytes: what it is, and its version.
const MAGIC: &[u8; 8] = b"stwidx\0\x01";
/// Ends the buckets.
const END: u16 = u16::MAX;

/// Saves what is known of the buckets that agree with their directories.
pub(super) fn save(index: &Index, path: &Path, sharing: Sharing) -> io::Result<()> {
    sharing.create_directory(path.parent().unwrap_or(Path::new(".")))?;
    let temporary = path.with_extension("new");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(sharing.file_mode()).open(&temporary)?;
    let mut writer = Summed::new(BufWriter::new(file));
    writer.write_all(MAGIC)?;
    for id in BucketId::every() {
        let (entries, agreed) = {
            let bucket = index.bucket(id);
            let Some(agreed) = bucket.agreed else { continue };
            (bucket.entries().to_vec(), agreed)
        };
        writer.write_all(&id.number().to_be_bytes())?;
        writer.write_all(&agreed.nanos().to_be_bytes())?;
        writer.write_all(&(entries.len() as u64).to_be_bytes())?;
        for entry in entries {
            writer.write_all(&entry.id.0)?;
            writer.write_all(&entry.size.to_be_bytes())?;
            writer.write_all(&entry.arrive_time.nanos().to_be_bytes())?;
        }
    }
    writer.write_all(&END.to_be_bytes())?;
    writer.finish()?;
    std::fs::rename(temporary, path)
}

/// Fills the buckets with what was saved. Returns whether there was something to be read.
pub(super) fn load(index: &Index, path: &Path) -> io::Result<bool> {
    let Some(file) = files::optional(File::open(path))? else { return Ok(false) };
    let mut left = file.metadata()?.len();
    match read(&mut Summed::new(BufReader::with_capacity(64 * 1024, file)), &mut left) {
        Ok(buckets) => {
            for (id, agreed, entries) in buckets {
                let mut bucket = index.bucket(id);
                bucket.fill(entries);
                bucket.agreed = Some(agreed);
            }
            Ok(true)
        }
        Err(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
            tracing::warn!(file = %path.display(), "the saved index is damaged: the directories are read instead");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

type SavedBucket = (BucketId, Timestamp, Vec<Entry>);

fn read(reader: &mut Summed<impl Read>, left: &mut u64) -> io::Result<Vec<SavedBucket>> {
    if reader.array::<8>()? != *MAGIC {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut buckets = Vec::new();
    loop {
        let number = u16::from_be_bytes(reader.array()?);
        if number == END {
            reader.check()?;
            return Ok(buckets);
        }
        let id = BucketId::from_number(number).ok_or(ErrorKind::InvalidData)?;
        let agreed = Timestamp::from_nanos(i64::from_be_bytes(reader.array()?));
        let count = u64::from_be_bytes(reader.array()?);
        // A damaged count must not ask for more memory than the file could fill.
        *left = count.checked_mul(48).and_then(|bytes| left.checked_sub(bytes)).ok_or(ErrorKind::InvalidData)?;
        let mut entries = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        for _ in 0..count {
            entries.push(Entry {
                id: ObjectId(reader.array()?),
                size: u64::from_be_bytes(reader.array()?),
                arrive_time: Timestamp::from_nanos(i64::from_be_bytes(reader.array()?)),
            });
        }
        buckets.push((id, agreed, entries));
    }
}

/// Sums up what passes.
struct Summed<T> {
    inner: T,
    sum: crc32fast::Hasher,
}

impl<T> Summed<T> {
    fn new(inner: T) -> Self {
        Summed { inner, sum: crc32fast::Hasher::new() }
    }
}

impl<W: Write> Summed<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.inner.write_all(bytes)
    }

    fn finish(mut self) -> io::Result<()> {
        let sum = self.sum.finalize().to_be_bytes();
        self.inner.write_all(&sum)?;
        self.inner.flush()
    }
}

impl<R: Read> Summed<R> {
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.sum.update(&bytes);
        Ok(bytes)
    }

    fn check(&mut self) -> io::Result<()> {
        let sum = self.sum.clone().finalize();
        if u32::from_be_bytes(self.array()?) == sum { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restic::layout::Layout;
    use crate::restic::name::{Kind, RepositoryPath};

    fn index(home: &Path) -> Index {
        Index::new(Layout::new(home, &RepositoryPath::default()))
    }

    fn some_index(home: &Path) -> Index {
        let index = index(home);
        for first in [3, 9] {
            let entry = Entry { id: ObjectId([first; 32]), size: 7, arrive_time: Timestamp::from_nanos(-5) };
            let mut bucket = index.bucket(BucketId::of(Kind::Data, entry.id));
            bucket.insert(entry);
            bucket.agreed = Some(Timestamp::from_nanos(11));
        }
        index
    }

    #[test]
    fn an_index_reads_back_as_it_was_saved() {
        let home = tempfile::tempdir().unwrap();
        let (path, saved) = (home.path().join("own/index"), some_index(home.path()));
        save(&saved, &path, Sharing::Private).unwrap();
        let loaded = index(home.path());
        assert!(load(&loaded, &path).unwrap());
        for id in BucketId::every() {
            assert_eq!(loaded.bucket(id).entries(), saved.bucket(id).entries());
            assert_eq!(loaded.bucket(id).agreed, saved.bucket(id).agreed);
        }
    }

    #[test]
    fn any_damage_is_noticed_and_nothing_is_taken_over() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("index");
        save(&some_index(home.path()), &path, Sharing::Private).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let damaged = (0..whole.len()).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            bytes
        });
        let cut = (0..whole.len()).map(|at| whole[..at].to_vec());
        for bytes in damaged.chain(cut) {
            std::fs::write(&path, bytes).unwrap();
            let loaded = index(home.path());
            assert!(!load(&loaded, &path).unwrap());
            assert!(BucketId::every().all(|id| loaded.bucket(id).entries().is_empty()));
        }
        assert!(!load(&index(home.path()), &home.path().join("none")).unwrap());
    }
}

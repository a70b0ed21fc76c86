//! One file of the log: entries behind each other. Its name is the number of the first.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use steward_proto::audit::v1::AuditEntry;

use super::{entry, frame};
use crate::clock::Timestamp;

/// What the names of segments end in, behind their first number.
pub(super) const EXTENSION: &str = "audit";
/// About how much is read at a time.
const BLOCK_BYTES: u64 = 64 * 1024;

/// A file of entries.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    /// Kept open while it is written to. Of many old files each is open only while it is read.
    file: Mutex<Option<Arc<File>>>,
    /// The number of its first entry, whether or not there is one yet.
    pub(super) first: u64,
    known: Mutex<Known>,
}

/// What is known of the content.
#[derive(Debug, Default)]
struct Known {
    /// Whether the rest is; a file of an earlier life is looked through when it is first needed.
    is_read: bool,
    /// The numbers of some entries and where they begin: the blocks.
    marks: Vec<(u64, u64)>,
    /// Where the entries end.
    end: u64,
    count: u64,
    /// Something else is behind them.
    is_damaged: bool,
    /// The times of the earliest and of the latest entry.
    times: Option<(Timestamp, Timestamp)>,
}

impl Known {
    fn note(&mut self, entry: &AuditEntry, number: u64, size: u64) {
        if self.marks.last().is_none_or(|(_, marked)| self.end - marked >= BLOCK_BYTES) {
            self.marks.push((number, self.end));
        }
        self.end += size;
        self.count += 1;
        let time = entry::time(entry);
        let (earliest, latest) = self.times.unwrap_or((time, time));
        self.times = Some((earliest.min(time), latest.max(time)));
    }
}

/// What was behind the last whole entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// So many bytes of no use, which are gone.
    Cut { bytes: usize },
    /// Damage, and entries up to the number before `next`: they are left as they are.
    Hidden { next: u64 },
}

/// Which entries of a block are wanted, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// This one and later ones, upwards.
    Forward,
    /// This one and earlier ones, downwards.
    Backward,
}

impl Segment {
    /// Makes a file for the entries from `first` on, to write to. Leaves nothing behind when that fails.
    pub(super) fn create(directory: &Path, first: u64) -> io::Result<Self> {
        let path = directory.join(format!("{first:020}.{EXTENSION}"));
        let parent = File::open(directory)?;
        let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        // An empty one is what an earlier try has left.
        if file.metadata()?.len() > 0 {
            return Err(ErrorKind::AlreadyExists.into());
        }
        parent.sync_all().inspect_err(|_| {
            // Empty, it would be taken for the place of numbers that have gone elsewhere by then.
            let _ = fs::remove_file(&path);
        })?;
        let known = Known { is_read: true, ..Known::default() };
        Ok(Segment { path, file: Mutex::new(Some(Arc::new(file))), first, known: Mutex::new(known) })
    }

    /// A file that is there.
    pub(super) fn at(path: PathBuf, first: u64) -> Self {
        Segment { path, file: Mutex::default(), first, known: Mutex::default() }
    }

    /// Keeps the file open, to be written to.
    pub(super) fn keep_open(&self) -> io::Result<()> {
        let file = self.file()?;
        *self.file.lock() = Some(file);
        Ok(())
    }

    /// Nothing is written to it any more.
    pub(super) fn close(&self) {
        *self.file.lock() = None;
    }

    fn file(&self) -> io::Result<Arc<File>> {
        match &*self.file.lock() {
            Some(file) => Ok(Arc::clone(file)),
            None => File::options().read(true).write(true).open(&self.path).map(Arc::new),
        }
    }

    /// Cuts off what a crash has left behind the last whole entry, unless entries follow it.
    pub(super) fn cut_torn_tail(&self) -> io::Result<Tail> {
        self.look_through()?;
        let (expected, end) = {
            let known = self.known.lock();
            (self.first + known.count, known.end)
        };
        let content = fs::read(&self.path)?;
        let rest = usize::try_from(end).ok().and_then(|end| content.get(end..)).unwrap_or_default();
        if let Some(last) = last_number(rest, expected) {
            return Ok(Tail::Hidden { next: last + 1 });
        }
        let file = self.file()?;
        if !rest.is_empty() {
            file.set_len(end)?;
            self.known.lock().is_damaged = false;
        }
        file.sync_all()?;
        Ok(Tail::Cut { bytes: rest.len() })
    }

    /// Adds entries that have the next numbers: `bytes` are they as written, `sizes` how long each is.
    pub(super) fn append(&self, entries: &[AuditEntry], bytes: &[u8], sizes: &[usize]) -> io::Result<()> {
        let end = self.known.lock().end;
        let file = self.file()?;
        if let Err(error) = file.write_all_at(bytes, end) {
            // Half of it may be there. If it cannot be cut off, it is written over, or cut off by the next start.
            let _ = file.set_len(end);
            return Err(error);
        }
        let mut known = self.known.lock();
        for (entry, size) in entries.iter().zip(sizes) {
            let number = self.first + known.count;
            known.note(entry, number, *size as u64);
        }
        Ok(())
    }

    /// Makes durable what was added.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file()?.sync_data()
    }

    /// Where the entries end, of the file that is written to.
    pub(super) fn end(&self) -> u64 {
        self.known.lock().end
    }

    /// How many bytes it has.
    pub(super) fn size(&self) -> io::Result<u64> {
        match &*self.file.lock() {
            Some(file) => Ok(file.metadata()?.len()),
            None => or_gone(fs::metadata(&self.path).map(|metadata| metadata.len()), 0),
        }
    }

    /// The number behind the last entry.
    pub(super) fn next(&self) -> io::Result<u64> {
        self.look_through()?;
        Ok(self.first + self.known.lock().count)
    }

    /// The times of the earliest and of the latest entry; `None` while there is none.
    pub(super) fn times(&self) -> io::Result<Option<(Timestamp, Timestamp)>> {
        self.look_through()?;
        Ok(self.known.lock().times)
    }

    /// When the latest entry was made that may be in it. Of a damaged file that is when it was changed last.
    pub(super) fn latest(&self) -> io::Result<Option<Timestamp>> {
        let latest = self.times()?.map(|(_, latest)| latest);
        if !self.known.lock().is_damaged {
            return Ok(latest);
        }
        let changed = fs::metadata(&self.path).map(|metadata| {
            let (seconds, nanos) = (metadata.mtime(), metadata.mtime_nsec());
            Some(Timestamp::from_nanos(seconds.saturating_mul(entry::NANOS).saturating_add(nanos)))
        });
        Ok(latest.max(or_gone(changed, None)?))
    }

    /// The same as far as that is known without reading.
    pub(super) fn known_times(&self) -> Option<(Timestamp, Timestamp)> {
        let known = self.known.lock();
        known.times.filter(|_| known.is_read)
    }

    /// Some entries from `number` on in a direction; none when there are none here.
    pub(super) fn read(&self, number: u64, direction: Direction) -> io::Result<Vec<AuditEntry>> {
        self.look_through()?;
        let (from, to, first) = {
            let known = self.known.lock();
            let number = match direction {
                Direction::Forward => number.max(self.first),
                Direction::Backward => number.min((self.first + known.count).saturating_sub(1)),
            };
            if number < self.first || number >= self.first + known.count {
                return Ok(Vec::new());
            }
            let behind = known.marks.partition_point(|(first, _)| *first <= number);
            let Some((first, from)) = behind.checked_sub(1).and_then(|mark| known.marks.get(mark)) else {
                return Ok(Vec::new());
            };
            (*from, known.marks.get(behind).map_or(known.end, |(_, end)| *end), *first)
        };
        let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(0)];
        let Some(file) = or_gone(self.file().map(Some), None)? else { return Ok(Vec::new()) };
        file.read_exact_at(&mut bytes, from)?;
        let (mut entries, mut rest, mut at) = (Vec::new(), &bytes[..], first);
        while let Some((entry, size)) = frame::read(rest) {
            let is_wanted = match direction {
                Direction::Forward => at >= number,
                Direction::Backward => at <= number,
            };
            if is_wanted {
                entries.push(entry);
            }
            (rest, at) = (&rest[size..], at + 1);
        }
        if direction == Direction::Backward {
            entries.reverse();
        }
        Ok(entries)
    }

    /// Deletes the file. Readers that are in the middle of it finish.
    pub(super) fn remove(&self) -> io::Result<()> {
        or_gone(fs::remove_file(&self.path), ())
    }

    /// Learns what a file of an earlier life has in it, up to what is damaged.
    fn look_through(&self) -> io::Result<()> {
        let mut known = self.known.lock();
        if known.is_read {
            return Ok(());
        }
        let content = or_gone(fs::read(&self.path), Vec::new())?;
        let mut found = Known { is_read: true, ..Known::default() };
        let mut rest = &content[..];
        while let Some((entry, size)) = frame::read(rest) {
            let number = self.first + found.count;
            if u64::try_from(entry.number) != Ok(number) {
                break;
            }
            found.note(&entry, number, size as u64);
            rest = &rest[size..];
        }
        if !rest.is_empty() {
            let (path, bytes) = (self.path.display(), rest.len());
            tracing::warn!(%path, bytes, "the end of a file of the audit log cannot be read");
            found.is_damaged = true;
        }
        *known = found;
        Ok(())
    }
}

/// The last number of entries that are somewhere in `bytes`, of which the first would have the number `expected`.
fn last_number(bytes: &[u8], expected: u64) -> Option<u64> {
    // Bytes that look like an entry by chance have any number.
    let possible = expected..expected.saturating_add(bytes.len() as u64);
    let (mut last, mut at) = (None, 0);
    while at < bytes.len() {
        let found = frame::read(&bytes[at..]).and_then(|(entry, size)| Some((u64::try_from(entry.number).ok()?, size)));
        match found.filter(|(number, _)| possible.contains(number)) {
            Some((number, size)) => {
                last = last.max(Some(number));
                at += size;
            }
            None => at += 1,
        }
    }
    last
}

/// Readers may be about a file that is removed just then, and one that somebody has taken away is in nobody's way.
fn or_gone<T>(result: io::Result<T>, gone: T) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(gone),
        result => result,
    }
}

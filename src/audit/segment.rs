//! One file of the log: entries behind each other. Its name is the number of the first.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

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
    file: File,
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

/// Which entries of a block are wanted, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// This one and later ones, upwards.
    Forward,
    /// This one and earlier ones, downwards.
    Backward,
}

impl Segment {
    /// Makes a file for the entries from `first` on.
    pub(super) fn create(directory: &Path, first: u64) -> io::Result<Self> {
        let path = directory.join(format!("{first:020}.{EXTENSION}"));
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        File::open(directory)?.sync_all()?;
        Ok(Segment { path, file, first, known: Mutex::new(Known { is_read: true, ..Known::default() }) })
    }

    /// A file that is there.
    pub(super) fn open(path: PathBuf, first: u64) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(&path)?;
        Ok(Segment { path, file, first, known: Mutex::default() })
    }

    /// Cuts off what a crash has left behind the last whole entry. Returns how many bytes that were.
    pub(super) fn cut_torn_tail(&self) -> io::Result<u64> {
        self.look_through()?;
        let end = self.known.lock().end;
        let torn = self.file.metadata()?.len().saturating_sub(end);
        if torn > 0 {
            self.file.set_len(end)?;
        }
        self.file.sync_all()?;
        Ok(torn)
    }

    /// Adds entries that have the next numbers: `bytes` are they as written, `sizes` how long each is.
    pub(super) fn append(&self, entries: &[AuditEntry], bytes: &[u8], sizes: &[usize]) -> io::Result<()> {
        let end = self.known.lock().end;
        if let Err(error) = self.file.write_all_at(bytes, end) {
            // Half of it may be there. If it cannot be cut off, it is written over, or cut off by the next start.
            let _ = self.file.set_len(end);
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
        self.file.sync_data()
    }

    /// How many bytes it has.
    pub(super) fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
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
        self.file.read_exact_at(&mut bytes, from)?;
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
        std::fs::remove_file(&self.path)
    }

    /// Learns what a file of an earlier life has in it, up to what is damaged.
    fn look_through(&self) -> io::Result<()> {
        let mut known = self.known.lock();
        if known.is_read {
            return Ok(());
        }
        let content = std::fs::read(&self.path)?;
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
        }
        *known = found;
        Ok(())
    }
}

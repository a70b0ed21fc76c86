//! The files of the log, in order. The last is written to; old ones are removed whole.

use std::collections::VecDeque;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use steward_proto::audit::v1::AuditEntry;

use super::frame;
use super::segment::{Direction, EXTENSION, Segment, Tail};
use crate::clock::Timestamp;

/// How large a file becomes, unless little is to be kept.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;
/// Of what is kept, by bytes and by time, a file has this part at most: as much may be gone early, or stay late.
const PARTS: u32 = 8;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) retention: Duration,
    pub(super) max_bytes: u64,
}

/// A directory of segments.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    limits: Limits,
    /// Never empty.
    segments: RwLock<VecDeque<Arc<Segment>>>,
}

impl Files {
    /// Opens or makes the directory. What a crash has left unfinished is cut off.
    pub(super) fn open(directory: &Path, limits: Limits) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let mut segments = VecDeque::new();
        for (first, path) in segment_files(directory)? {
            segments.push_back(Arc::new(Segment::at(path, first)));
        }
        let further = match segments.back() {
            None => Some(1),
            Some(newest) => finish(newest)?,
        };
        if let Some(first) = further {
            segments.push_back(Arc::new(Segment::create(directory, first)?));
        }
        Ok(Files { directory: directory.to_owned(), limits, segments: RwLock::new(segments) })
    }

    /// The number of the oldest entry that is kept.
    pub(super) fn floor(&self) -> u64 {
        self.segments.read().front().map_or(1, |segment| segment.first)
    }

    /// How many files there are.
    pub(super) fn count(&self) -> usize {
        self.segments.read().len()
    }

    /// The number of the next entry.
    pub(super) fn next(&self) -> io::Result<u64> {
        self.newest().next()
    }

    /// Numbers the entries and adds them: after this they survive the end of the process.
    pub(super) fn append(&self, entries: &mut [AuditEntry]) -> io::Result<()> {
        if self.newest().end() >= self.segment_bytes() {
            self.roll()?;
        }
        let newest = self.newest();
        let first = newest.next()?;
        let (mut bytes, mut sizes) = (Vec::with_capacity(entries.len() * 256), Vec::with_capacity(entries.len()));
        for (number, entry) in (first..).zip(entries.iter_mut()) {
            entry.number = i64::try_from(number).unwrap_or(i64::MAX);
            let start = bytes.len();
            frame::push(entry, &mut bytes);
            sizes.push(bytes.len() - start);
        }
        newest.append(entries, &bytes, &sizes)
    }

    /// Makes durable what was added: after this it survives a loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.newest().sync()
    }

    /// Removes what need not be kept any more. Returns how many entries are gone that are younger than they should have
    /// become, because there were too many.
    pub(super) fn trim(&self, now: Timestamp) -> io::Result<u64> {
        let newest = self.newest();
        let oldest_entry = newest.times()?.map(|(earliest, _)| earliest);
        if oldest_entry.is_some_and(|earliest| now.since(earliest) > self.limits.retention / PARTS) {
            self.roll()?;
        }
        let mut early = 0;
        while let Some(segment) = self.superfluous(now)? {
            if self.is_young(&segment, now)? {
                early += segment.next()? - segment.first;
            }
            segment.remove()?;
            self.segments.write().pop_front();
        }
        Ok(early)
    }

    fn is_young(&self, segment: &Segment, now: Timestamp) -> io::Result<bool> {
        Ok(segment.latest()?.is_some_and(|latest| now.since(latest) <= self.limits.retention))
    }

    /// Some entries from `number` on in a direction; none when there are no more.
    pub(super) fn read(&self, number: u64, direction: Direction) -> io::Result<Vec<AuditEntry>> {
        for segment in self.candidates(number, direction) {
            let entries = segment.read(number, direction)?;
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
        Ok(Vec::new())
    }

    /// Where to go on reading when the file with `number` is known to have nothing of this time.
    pub(super) fn skip(&self, number: u64, direction: Direction, time: &TimeRange) -> Option<u64> {
        let segments = self.segments.read();
        let index = segments.partition_point(|segment| segment.first <= number).checked_sub(1)?;
        let (earliest, latest) = segments[index].known_times()?;
        if time.overlaps(earliest, latest) {
            return None;
        }
        match direction {
            Direction::Forward => segments.get(index + 1).map(|next| next.first),
            Direction::Backward => segments[index].first.checked_sub(1),
        }
    }

    fn candidates(&self, number: u64, direction: Direction) -> Vec<Arc<Segment>> {
        let segments = self.segments.read();
        let behind = segments.partition_point(|segment| segment.first <= number);
        match direction {
            Direction::Forward => segments.iter().skip(behind.saturating_sub(1)).cloned().collect(),
            Direction::Backward => segments.iter().take(behind).rev().cloned().collect(),
        }
    }

    fn newest(&self) -> Arc<Segment> {
        Arc::clone(self.segments.read().back().expect("there is always a segment"))
    }

    fn segment_bytes(&self) -> u64 {
        SEGMENT_BYTES.min(self.limits.max_bytes / u64::from(PARTS))
    }

    /// Begins a new file.
    fn roll(&self) -> io::Result<()> {
        let newest = self.newest();
        newest.sync()?;
        let next = Segment::create(&self.directory, newest.next()?)?;
        self.segments.write().push_back(Arc::new(next));
        newest.close();
        Ok(())
    }

    /// The oldest segment, if it may go. The newest stays, because its name says which number is next.
    fn superfluous(&self, now: Timestamp) -> io::Result<Option<Arc<Segment>>> {
        let segments = self.segments.read();
        if segments.len() < 2 {
            return Ok(None);
        }
        let mut bytes = 0;
        for segment in &*segments {
            bytes += segment.size()?;
        }
        let Some(oldest) = segments.front() else { return Ok(None) };
        let is_old = !self.is_young(oldest, now)?;
        Ok((is_old || bytes > self.limits.max_bytes).then(|| Arc::clone(oldest)))
    }
}

/// From a time on, and before another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TimeRange {
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
}

impl TimeRange {
    pub(super) fn overlaps(&self, earliest: Timestamp, latest: Timestamp) -> bool {
        self.start.is_none_or(|start| latest >= start) && self.end.is_none_or(|end| earliest < end)
    }
}

/// Makes the newest file ready to be written to, as far as a crash or damage lets it be. Otherwise returns the number that
/// a further one begins with.
fn finish(newest: &Segment) -> io::Result<Option<u64>> {
    match newest.cut_torn_tail()? {
        Tail::Hidden { next } => {
            tracing::error!(next, "the newest file of the audit log is damaged, a further one is begun behind it");
            Ok(Some(next))
        }
        Tail::Cut { bytes } => {
            if bytes > 0 {
                tracing::warn!(bytes, "the end of the audit log was torn and is cut off");
            }
            newest.keep_open()?;
            Ok(None)
        }
    }
}

fn segment_files(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for found in std::fs::read_dir(directory)? {
        let path = found?.path();
        let is_segment = path.extension().is_some_and(|extension| extension == EXTENSION);
        let first = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(first) = first.filter(|first| is_segment && *first > 0) {
            files.push((first, path));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
#[path = "files_test.rs"]
mod tests;

//! One file of the journal: frames behind each other, then zeros.
//!
//! A file is filled with zeros before it is used, so that a flush writes data alone: growing a file, or writing to
//! blocks for the first time, costs a commit of the file system's own journal each time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use super::frame::{Frame, HEADER_BYTES};
use crate::store::Revision;

/// How large a file is made. A frame that is larger gets a file of its own.
pub(super) const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// About how far apart the marks are by which a reader finds its place.
const MARK_EVERY_BYTES: u64 = 64 * 1024;
/// How much a reader takes at a time.
const READ_BYTES: u64 = 256 * 1024;

/// A file of frames.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    /// The first revision in it.
    pub(super) first: Revision,
    /// The last revision in it; the one before `first` while it is empty.
    last: AtomicU64,
    /// Where the frames end.
    end: AtomicU64,
    /// The first revisions of some frames and where they begin.
    marks: Mutex<Vec<(Revision, u64)>>,
}

impl Segment {
    /// Takes a file of zeros into use.
    pub(super) fn new(path: PathBuf, file: File, first: Revision) -> Self {
        let (last, end) = (AtomicU64::new(first.0 - 1), AtomicU64::new(0));
        Segment { path, file, first, last, end, marks: Mutex::default() }
    }

    /// Reads a file that was in use, up to what a crash may have left behind its last whole frame.
    pub(super) fn recover(path: &Path, first: Revision) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let content = Bytes::from(std::fs::read(path)?);
        let segment = Segment::new(path.to_owned(), file, first);
        let mut offset = 0;
        while let Some(frame) = Frame::decode(&content.slice(offset..)).filter(|frame| segment.is_next(frame)) {
            segment.note(&frame, offset as u64);
            offset += frame.bytes().len();
        }
        segment.refuse_frames_behind(&content, offset)?;
        // What was read may only be in the system's cache so far; from here on it counts as durable.
        segment.file.sync_all()?;
        Ok(segment)
    }

    fn is_next(&self, frame: &Frame) -> bool {
        frame.first == self.last().next() && frame.last >= frame.first
    }

    /// Frames are made durable one after the other, so only the last can be torn: a whole one behind means damage.
    fn refuse_frames_behind(&self, content: &Bytes, offset: usize) -> io::Result<()> {
        let rest = content.slice(offset..);
        let Some(size) = Frame::size(&rest).filter(|size| *size < rest.len()) else { return Ok(()) };
        match Frame::decode(&rest.slice(size..)) {
            Some(frame) if frame.first > self.last() => Err(io::Error::other(format!(
                "{}: damaged at byte {offset}: revision {} is there, but not all before it",
                self.path.display(),
                frame.first
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn note(&self, frame: &Frame, offset: u64) {
        let mut marks = self.marks.lock();
        if marks.last().is_none_or(|(_, marked)| offset - marked >= MARK_EVERY_BYTES) {
            marks.push((frame.first, offset));
        }
        self.last.store(frame.last.0, Ordering::Release);
        self.end.store(offset + frame.bytes().len() as u64, Ordering::Release);
    }

    /// Whether a frame of this size fits behind the last.
    pub(super) fn has_room_for(&self, frame: &Frame) -> bool {
        let end = self.end.load(Ordering::Acquire);
        end == 0 || end + frame.bytes().len() as u64 <= SEGMENT_BYTES
    }

    /// Adds a frame and makes it durable.
    pub(super) fn append(&self, frame: &Frame) -> io::Result<()> {
        let offset = self.end.load(Ordering::Acquire);
        self.file.write_all_at(frame.bytes(), offset)?;
        self.file.sync_data()?;
        self.note(frame, offset);
        Ok(())
    }

    pub(super) fn last(&self) -> Revision {
        Revision(self.last.load(Ordering::Acquire))
    }

    /// Some frames with changes after `from`, beginning with the first such; none when there are none.
    pub(super) fn read(&self, from: Revision) -> io::Result<Vec<Frame>> {
        let end = self.end.load(Ordering::Acquire);
        let mut offset = {
            let marks = self.marks.lock();
            let behind = marks.partition_point(|(first, _)| *first <= from.next());
            behind.checked_sub(1).map_or(0, |mark| marks[mark].1)
        };
        let mut frames = Vec::new();
        while offset < end && frames.is_empty() {
            let (read, next) = self.read_at(offset, end)?;
            frames.extend(read.into_iter().filter(|frame| frame.last > from));
            offset = next;
        }
        Ok(frames)
    }

    /// The whole frames in one piece of the file, and where the next piece begins.
    fn read_at(&self, offset: u64, end: u64) -> io::Result<(Vec<Frame>, u64)> {
        let mut piece = self.bytes_at(offset, (end - offset).min(READ_BYTES))?;
        if let Some(size) = Frame::size(&piece).filter(|size| *size > piece.len()) {
            piece = self.bytes_at(offset, size as u64)?;
        }
        let (mut frames, mut used) = (Vec::new(), 0);
        while let Some(frame) = Frame::decode(&piece.slice(used..)) {
            used += frame.bytes().len();
            frames.push(frame);
        }
        if used == 0 {
            let problem = format!("{}: the frame at byte {offset} cannot be read", self.path.display());
            return Err(io::Error::other(problem));
        }
        Ok((frames, offset + used as u64))
    }

    fn bytes_at(&self, offset: u64, length: u64) -> io::Result<Bytes> {
        let mut bytes = BytesMut::zeroed(usize::try_from(length).unwrap_or(HEADER_BYTES));
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.freeze())
    }

    /// How much of the disk it takes.
    pub(super) fn size(&self) -> u64 {
        self.end.load(Ordering::Acquire).max(SEGMENT_BYTES)
    }

    /// Deletes the file. Readers that are in the middle of it finish.
    pub(super) fn remove(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

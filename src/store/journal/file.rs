//! The journal in files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::segment::{SEGMENT_BYTES, Segment};
use super::{Frame, Journal};
use crate::store::Revision;

/// What the names of segments end in, behind their first revision.
const EXTENSION: &str = "journal";
/// The name of a file of zeros that waits to become a segment.
const SPARE: &str = "spare";

/// How much of the past is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// So many revisions, and at most a segment more.
    pub revisions: u64,
    /// Fewer where they take more than this, in bytes.
    pub bytes: u64,
}

/// A directory of segments.
#[derive(Debug)]
pub struct FileJournal {
    directory: PathBuf,
    limits: Limits,
    /// In order; the last is written to. Never empty once something was appended.
    segments: RwLock<VecDeque<Arc<Segment>>>,
    spare: Mutex<Option<File>>,
}

impl FileJournal {
    /// Opens or creates the journal in `directory`. What a crash left unfinished is dropped; it was never acknowledged.
    pub fn open(directory: &Path, limits: Limits) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let mut segments: VecDeque<Arc<Segment>> = VecDeque::new();
        for (first, path) in segment_files(directory)? {
            let segment = Segment::recover(&path, first)?;
            if let Some(before) = segments.back()
                && before.last().next() != first
            {
                let (from, to) = (before.last().next(), first);
                return Err(io::Error::other(format!(
                    "{}: revisions {from} up to, and without, {to} are missing",
                    directory.display()
                )));
            }
            segments.push_back(Arc::new(segment));
        }
        File::open(directory)?.sync_all()?;
        let segments = RwLock::new(segments);
        Ok(FileJournal { directory: directory.to_owned(), limits, segments, spare: Mutex::default() })
    }

    fn spare_path(&self) -> PathBuf {
        self.directory.join(SPARE)
    }

    /// The segment that the frame goes to.
    fn segment_for(&self, frame: &Frame) -> io::Result<Arc<Segment>> {
        if let Some(segment) = self.segments.read().back()
            && segment.has_room_for(frame)
        {
            return Ok(Arc::clone(segment));
        }
        // Held until the file has its new name: the name of the spare must not be made again before.
        let mut spare = self.spare.lock();
        let file = match spare.take() {
            Some(file) => file,
            None => zeroed_file(&self.spare_path())?,
        };
        let path = self.directory.join(format!("{:020}.{EXTENSION}", frame.first.0));
        std::fs::rename(self.spare_path(), &path)?;
        File::open(&self.directory)?.sync_all()?;
        let segment = Arc::new(Segment::new(path, file, frame.first));
        self.segments.write().push_back(Arc::clone(&segment));
        Ok(segment)
    }

    /// The oldest segment, if it may go.
    fn superfluous(&self, applied: Revision) -> Option<Arc<Segment>> {
        let segments = self.segments.read();
        let (oldest, next) = (segments.front()?, segments.get(1)?);
        let newer = segments.back()?.last().0 - oldest.last().0;
        let bytes: u64 = segments.iter().map(|segment| segment.size()).sum();
        let is_old = newer >= self.limits.revisions || bytes > self.limits.bytes;
        (is_old && next.first.0 <= applied.0 + 1).then(|| Arc::clone(oldest))
    }
}

impl Journal for FileJournal {
    fn append(&self, frame: &Frame) -> io::Result<()> {
        self.segment_for(frame)?.append(frame)
    }

    fn read(&self, from: Revision) -> io::Result<Vec<Frame>> {
        let candidates: Vec<Arc<Segment>> =
            self.segments.read().iter().filter(|segment| segment.last() > from).take(2).cloned().collect();
        for segment in candidates {
            let frames = segment.read(from)?;
            if !frames.is_empty() {
                return Ok(frames);
            }
        }
        Ok(Vec::new())
    }

    fn floor(&self) -> Revision {
        self.segments.read().front().map_or(Revision(0), |segment| Revision(segment.first.0 - 1))
    }

    fn last(&self) -> Revision {
        self.segments.read().back().map_or(Revision(0), |segment| segment.last())
    }

    fn trim(&self, applied: Revision) -> io::Result<()> {
        while let Some(segment) = self.superfluous(applied) {
            self.segments.write().pop_front();
            segment.remove()?;
        }
        Ok(())
    }

    fn prepare(&self) -> io::Result<()> {
        let mut spare = self.spare.lock();
        if spare.is_none() {
            *spare = Some(zeroed_file(&self.spare_path())?);
        }
        Ok(())
    }
}

fn segment_files(directory: &Path) -> io::Result<Vec<(Revision, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let is_segment = path.extension().is_some_and(|extension| extension == EXTENSION);
        let first = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(first) = first.filter(|first| is_segment && *first > 0) {
            files.push((Revision(first), path));
        }
    }
    files.sort();
    Ok(files)
}

fn zeroed_file(path: &Path) -> io::Result<File> {
    // One that a crash left behind may be unfinished. A new file is made, whoever may still have the old one open.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = File::options().read(true).write(true).create_new(true).open(path)?;
    let zeros = vec![0; 256 * 1024];
    let mut left = SEGMENT_BYTES;
    while left > 0 {
        let size = zeros.len().min(usize::try_from(left).unwrap_or(zeros.len()));
        file.write_all(&zeros[..size])?;
        left -= size as u64;
    }
    file.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::oneshot;

    use super::*;
    use crate::store::pending::Accepted;
    use crate::store::{Key, Op};

    const LIMITS: Limits = Limits { revisions: 10, bytes: 1 << 30 };

    fn frame(first: u64, count: u64, value_bytes: usize) -> Frame {
        let op = Op::Put(Key::from_bytes(vec![1]), Bytes::from(vec![b'v'; value_bytes]));
        let accepted =
            |revision| Accepted { revision: Revision(revision), ops: vec![op.clone()], answer: oneshot::channel().0 };
        Frame::encode(&(first..first + count).map(accepted).collect::<Vec<_>>())
    }

    fn read_all(journal: &FileJournal, from: u64) -> Vec<u64> {
        let mut from = Revision(from);
        let mut revisions = Vec::new();
        loop {
            let frames = journal.read(from).expect("a readable journal");
            let Some(last) = frames.last() else { return revisions };
            from = last.last;
            for frame in &frames {
                revisions.extend(frame.changes().expect("its changes").iter().map(|(revision, _)| revision.0));
            }
        }
    }

    #[test]
    fn frames_are_read_from_any_revision_also_after_reopening() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let journal = FileJournal::open(directory.path(), LIMITS).expect("a new journal");
        for number in 0..3000 {
            journal.append(&frame(1 + number * 2, 2, 4000)).expect("an append");
        }
        let reopened = FileJournal::open(directory.path(), LIMITS).expect("the journal again");
        for journal in [&journal, &reopened] {
            assert_eq!(journal.last(), Revision(6000));
            for from in [0, 1, 2, 2999, 5998, 5999, 6000] {
                let revisions = read_all(journal, from);
                assert!(revisions.iter().copied().filter(|revision| *revision > from).eq(from + 1..=6000));
            }
        }
    }

    #[test]
    fn a_torn_last_frame_is_dropped_and_written_over() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let journal = FileJournal::open(directory.path(), LIMITS).expect("a new journal");
        journal.append(&frame(1, 1, 100)).expect("an append");
        journal.append(&frame(2, 1, 100)).expect("an append");
        drop(journal);
        let path = directory.path().join(format!("{:020}.journal", 1));
        let mut content = std::fs::read(&path).expect("the segment");
        let end = frame(1, 1, 100).bytes().len() * 2;
        content[end - 30..end].fill(0);
        std::fs::write(&path, content).expect("a torn segment");

        let journal = FileJournal::open(directory.path(), LIMITS).expect("the journal again");
        assert_eq!(read_all(&journal, 0), [1]);
        journal.append(&frame(2, 3, 10)).expect("an append");
        let journal = FileJournal::open(directory.path(), LIMITS).expect("the journal again");
        assert_eq!(read_all(&journal, 0), [1, 2, 3, 4]);
    }

    #[test]
    fn damage_before_the_last_frame_is_not_taken_for_a_torn_one() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let journal = FileJournal::open(directory.path(), LIMITS).expect("a new journal");
        for revision in 1..=3 {
            journal.append(&frame(revision, 1, 100)).expect("an append");
        }
        drop(journal);
        let path = directory.path().join(format!("{:020}.journal", 1));
        let mut content = std::fs::read(&path).expect("the segment");
        let second = frame(1, 1, 100).bytes().len();
        content[second + 60] ^= 1;
        std::fs::write(&path, content).expect("a damaged segment");

        let error = FileJournal::open(directory.path(), LIMITS).expect_err("a damaged journal");
        assert!(error.to_string().contains("damaged at byte"), "{error}");
    }

    #[test]
    fn making_room_ahead_of_time_never_touches_a_segment_in_use() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let journal = FileJournal::open(directory.path(), LIMITS).expect("a new journal");
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Acquire) {
                    journal.prepare().expect("room");
                }
            });
            for number in 0..100 {
                journal.append(&frame(1 + number * 200, 200, 4000)).expect("an append");
            }
            is_over.store(true, std::sync::atomic::Ordering::Release);
        });
        assert!(read_all(&journal, 0).into_iter().eq(1..=20_000));
        let reopened = FileJournal::open(directory.path(), LIMITS).expect("the journal again");
        assert!(read_all(&reopened, 0).into_iter().eq(1..=20_000));
    }

    #[test]
    fn only_what_is_applied_and_old_is_trimmed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let journal = FileJournal::open(directory.path(), LIMITS).expect("a new journal");
        let count = 3 * SEGMENT_BYTES / 400_000;
        for number in 0..count {
            journal.append(&frame(1 + number * 100, 100, 4000)).expect("an append");
        }
        journal.trim(Revision(50)).expect("a trim");
        assert_eq!(journal.floor(), Revision(0));
        journal.trim(journal.last()).expect("a trim");
        let floor = journal.floor();
        assert!(floor > Revision(0) && floor.0 + 10 <= journal.last().0);
        assert_eq!(read_all(&journal, floor.0).first(), Some(&(floor.0 + 1)));
    }
}

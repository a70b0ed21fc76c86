//! A file of the operating system as a [`BlockFile`].

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Advice, FallocateFlags, SeekFrom};
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};

use super::super::BlockFile;
use super::room::Room;
use crate::volume::device::Wait;

/// What is copied at a time where the kernel cannot do it.
const PIECE_BYTES: u64 = 256 * 1024;

/// An open file.
#[derive(Debug)]
pub struct OsFile {
    file: File,
    room: Arc<Room>,
    /// Whether its file system cannot say if a read would wait.
    is_always_waiting: AtomicBool,
}

impl OsFile {
    pub(super) fn new(file: File, room: Arc<Room>) -> Self {
        OsFile { file, room, is_always_waiting: AtomicBool::new(false) }
    }

    fn read_some(&self, into: &mut [u8], offset: u64, wait: Wait) -> io::Result<usize> {
        if wait == Wait::Allowed || self.is_always_waiting.load(Ordering::Relaxed) {
            return self.file.read_at(into, offset);
        }
        match rustix::io::preadv2(&self.file, &mut [IoSliceMut::new(into)], offset, ReadWriteFlags::NOWAIT) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                self.is_always_waiting.store(true, Ordering::Relaxed);
                self.file.read_at(into, offset)
            }
            read => Ok(read?),
        }
    }

    fn write_zeros(&self, range: Range<u64>) -> io::Result<()> {
        let zeros = vec![0; piece(&range)];
        let mut left = range;
        while !left.is_empty() {
            let size = piece(&left);
            self.write_at(&zeros[..size], left.start)?;
            left.start += size as u64;
        }
        Ok(())
    }

    fn copy_through_memory(&self, source: &Self, range: Range<u64>) -> io::Result<()> {
        let mut buffer = vec![0; piece(&range)];
        let mut left = range;
        while !left.is_empty() {
            let size = piece(&left);
            source.read_at(&mut buffer[..size], left.start, Wait::Allowed)?;
            self.write_at(&buffer[..size], left.start)?;
            left.start += size as u64;
        }
        Ok(())
    }

    /// Where the next byte is from `offset` on that `seek` looks for.
    fn seek(&self, seek: SeekFrom) -> io::Result<Option<u64>> {
        match rustix::fs::seek(&self.file, seek) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl BlockFile for OsFile {
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        self.room.take(bytes)
    }

    fn read_at(&self, into: &mut [u8], offset: u64, wait: Wait) -> io::Result<()> {
        let mut done = 0;
        while done < into.len() {
            match self.read_some(&mut into[done..], offset + done as u64, wait) {
                Ok(0) => {
                    into[done..].fill(0);
                    return Ok(());
                }
                Ok(size) => done += size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn extend(&self, length: u64) -> io::Result<()> {
        if self.length()? >= length {
            return Ok(());
        }
        match self.file.set_len(length) {
            // What does not even fit the number that the system has for it.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(io::ErrorKind::FileTooLarge.into()),
            extended => extended,
        }
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, flags, offset, length)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                for data in self.data_extents(offset, length)? {
                    self.write_zeros(data)?;
                }
                Ok(())
            }
            punched => Ok(punched?),
        }
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn used_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.blocks() * 512)
    }

    fn copy_from(&self, source: &Self, offset: u64, length: u64) -> io::Result<()> {
        let end = offset + length;
        let (mut from, mut to) = (offset, offset);
        while from < end {
            let left = usize::try_from(end - from).unwrap_or(usize::MAX);
            match rustix::fs::copy_file_range(&source.file, Some(&mut from), &self.file, Some(&mut to), left) {
                // The end of the source, beyond which there are zeros; or not between these files.
                Ok(0) | Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => {
                    return self.copy_through_memory(source, from..end);
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn prefetch(&self, offset: u64, length: u64) -> io::Result<()> {
        let Some(length) = NonZeroU64::new(length) else { return Ok(()) };
        Ok(rustix::fs::fadvise(&self.file, offset, Some(length), Advice::WillNeed)?)
    }

    fn data_extents(&self, offset: u64, length: u64) -> io::Result<Vec<Range<u64>>> {
        let end = offset.saturating_add(length);
        let mut extents = Vec::new();
        let mut from = offset;
        while from < end {
            let Some(data) = self.seek(SeekFrom::Data(from))?.filter(|data| *data < end) else { break };
            // Another thread may have punched it between the two calls: then there is no hole "behind" it.
            let hole = self.seek(SeekFrom::Hole(data))?.unwrap_or(end).min(end);
            if hole > data {
                extents.push(data..hole);
            }
            from = hole.max(data + 1);
        }
        Ok(extents)
    }
}

/// How much of a range to take at a time.
fn piece(range: &Range<u64>) -> usize {
    usize::try_from((range.end - range.start).min(PIECE_BYTES)).expect("a piece fits into memory")
}

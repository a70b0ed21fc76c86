//! Where the files of layers are: a seam, so that tests can cut the power of a disk in memory.

use std::io;
use std::ops::Range;

use crate::volume::device::Wait;

pub mod lazy;
pub mod os;
#[cfg(test)]
pub(crate) mod simulated;

pub use lazy::LazyFile;
pub use os::OsDisk;

/// A directory of files with plain names: sixteen hexadecimal digits, a point, and small letters.
pub trait Disk: Send + Sync + 'static {
    /// A file of it that is open.
    type File: BlockFile;

    /// Opens a file to read and write it, and makes it where there is none. It survives a power loss after
    /// [`Disk::sync_dir`].
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file to read and write it.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Removes a file; not an error if there is none.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Returns once the names that were made and removed before the call are so after a power loss too.
    fn sync_dir(&self) -> io::Result<()>;

    /// Bytes that are free for more.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// A sparse file that any number of threads read and write by offset.
pub trait BlockFile: Send + Sync + 'static {
    /// Fills `into`; bytes beyond the end read as zeros. With [`Wait::Never`] it fails with
    /// [`io::ErrorKind::WouldBlock`] where it would have to wait for the disk, if the file system can tell.
    fn read_at(&self, into: &mut [u8], offset: u64, wait: Wait) -> io::Result<()>;

    /// Fails with `ENOSPC` unless so many bytes more can be taken. Asked before new blocks are written, so that others
    /// on the same disk keep a little room.
    fn make_room(&self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    /// Makes it so long if it is shorter, without taking space. Fails with [`io::ErrorKind::FileTooLarge`] if the file
    /// system cannot have such files.
    fn extend(&self, _length: u64) -> io::Result<()> {
        Ok(())
    }

    /// Writes all of `data`, or fails; then any part of it may have been written.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the range read as zeros and gives its space back where the file system can.
    fn punch(&self, offset: u64, length: u64) -> io::Result<()>;

    /// The end of what was ever written.
    fn length(&self) -> io::Result<u64>;

    /// Returns once all that was written and punched before the call survives a power loss.
    fn sync_data(&self) -> io::Result<()>;

    /// Bytes of disk that it takes.
    fn used_bytes(&self) -> io::Result<u64>;

    /// Copies a range of `source` to the same place here, without carrying the bytes through this process where
    /// possible.
    fn copy_from(&self, source: &Self, offset: u64, length: u64) -> io::Result<()>;

    /// Asks for the range to be brought into memory.
    fn prefetch(&self, offset: u64, length: u64) -> io::Result<()>;

    /// The parts of the range that take space, in order. A part may be larger than what was written: file systems count
    /// in units of their own.
    fn data_extents(&self, offset: u64, length: u64) -> io::Result<Vec<Range<u64>>>;
}

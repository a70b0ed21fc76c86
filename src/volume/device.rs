//! What a client of a block protocol sees: one device that is read and written by offset.

use std::io;

/// A device that is open. All calls block, and any number of threads may make them at a time.
///
/// The promise about losing power: what [`Device::flush`] has returned for is kept. Of what was written since, the old or
/// the new content is there, never anything else: for each sector of 512 bytes, as with a disk.
///
/// Errors are those of the operating system, so that a protocol can name them: `ENOSPC` when the disk is full, `EPERM`
/// for a write to a read-only device, `EINVAL` for a range that is not within the device, `EIO` for what is damaged.
pub trait Device: Send + Sync + 'static {
    /// How long it is now, in bytes. It only grows while the device is open.
    fn size(&self) -> u64;

    /// Whether writes are refused.
    fn is_read_only(&self) -> bool;

    /// Fills `into` with the bytes from `offset` on. With [`Wait::Never`] it fails with [`io::ErrorKind::WouldBlock`]
    /// instead of waiting for a disk; what it has read by then means nothing.
    fn read_at(&self, into: &mut [u8], offset: u64, wait: Wait) -> io::Result<()>;

    /// Writes `data` from `offset` on. It is seen by every read that starts after this returns.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;

    /// Makes `length` bytes from `offset` on read as zeros.
    fn zero(&self, offset: u64, length: u64, zero: Zero) -> io::Result<()>;

    /// Gives whole blocks within the range back; they read as zeros from then on. What is not a whole block keeps its
    /// content.
    fn trim(&self, offset: u64, length: u64) -> io::Result<()>;

    /// Returns once everything that was written before the call survives a power loss.
    fn flush(&self) -> io::Result<()>;

    /// Brings a range into memory ahead of its readers, as far as that is useful.
    fn prefetch(&self, offset: u64, length: u64) -> io::Result<()>;

    /// What the range consists of: extents in order and without gaps from `offset` on, neighbours of one kind joined. It
    /// ends at the end of the range, or before it after `limit` extents.
    fn extents(&self, offset: u64, length: u64, limit: usize) -> io::Result<Vec<Extent>>;
}

/// The size of the blocks that a device keeps account of, in bytes.
pub const BLOCK_BYTES: u64 = 4096;

/// Whether a read may wait for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Only what is in memory.
    Never,
    /// Until it is there.
    Allowed,
}

/// What becomes of the space under zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zero {
    /// It is given back where that is possible.
    Deallocate,
    /// It stays taken, so that a later write needs none.
    KeepAllocated,
}

/// A part of a device of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// How long it is, in bytes; never 0.
    pub length: u64,
    /// What is there.
    pub kind: ExtentKind,
    /// The place in the chain, from the bottom at 0, of the layer that it is read from. Nothing for what was never
    /// written.
    pub depth: Option<u32>,
}

/// What an extent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtentKind {
    /// Bytes.
    Data,
    /// Zeros that were written, or given back.
    Zero,
    /// Nothing was ever written here; it reads as zeros.
    Hole,
}

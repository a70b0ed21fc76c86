//! Keeps a little of the disk free: volumes may fill all but that, so that records can still be written.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

/// The most that is kept free, in bytes.
const MAX_RESERVE: u64 = 64 << 20;
/// What part of the disk is kept free, if that is less.
const RESERVE_PART: u64 = 16;
/// How much may be taken before the file system is asked again, in bytes.
const MAX_CREDIT: u64 = 8 << 20;

/// The room on the file system of a directory.
#[derive(Debug)]
pub(super) struct Room {
    directory: PathBuf,
    /// What may be taken without asking.
    credit: AtomicU64,
}

/// What there is on a file system, in bytes.
#[derive(Clone, Copy, Debug)]
struct Space {
    free: u64,
    total: u64,
}

impl Room {
    pub(super) fn new(directory: PathBuf) -> Self {
        Room { directory, credit: AtomicU64::new(0) }
    }

    /// Bytes that are free, the reserve included.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.space()?.free)
    }

    /// Fails with `ENOSPC` if so many bytes more would eat into the reserve.
    pub(super) fn take(&self, bytes: u64) -> io::Result<()> {
        let taken =
            self.credit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |credit| credit.checked_sub(bytes)).is_ok();
        if taken {
            return Ok(());
        }
        let credit = credit(self.space()?);
        self.credit.store(credit.saturating_sub(bytes), Ordering::Relaxed);
        if credit < bytes.min(MAX_CREDIT) { Err(Errno::NOSPC.into()) } else { Ok(()) }
    }

    fn space(&self) -> io::Result<Space> {
        let status = rustix::fs::statvfs(&self.directory)?;
        let bytes = |blocks: u64| blocks.saturating_mul(status.f_frsize);
        Ok(Space { free: bytes(status.f_bavail), total: bytes(status.f_blocks) })
    }
}

/// What may be taken before the next look: the nearer the reserve, the less.
fn credit(space: Space) -> u64 {
    let reserve = MAX_RESERVE.min(space.total / RESERVE_PART);
    let room = space.free.saturating_sub(reserve);
    if room < MAX_CREDIT { room } else { MAX_CREDIT.min(room / 4).max(MAX_CREDIT / 4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_reserve_is_left_alone_and_small_disks_have_a_small_one() {
        let of = |free: u64, total: u64| credit(Space { free: free * MIB, total: total * MIB });
        assert_eq!(of(1000, 100_000), 8 * MIB);
        assert_eq!(of(65, 100_000), MIB);
        assert_eq!(of(64, 100_000), 0);
        assert_eq!(of(5, 64), MIB);
        assert_eq!(of(4, 64), 0);
    }

    #[test]
    fn what_is_taken_counts_until_the_file_system_is_asked_again() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let room = Room::new(directory.path().to_owned());
        room.take(4096).expect("there is room");
        let credit = room.credit.load(Ordering::Relaxed);
        room.take(4096).expect("there is room");
        assert_eq!(room.credit.load(Ordering::Relaxed), credit - 4096);
        room.take(1 << 30).expect("more than is looked ahead, and there");
    }
}

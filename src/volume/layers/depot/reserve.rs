//! Work in the background leaves a rest of the disk to others.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::volume::driver::{Control, Done, Proceed};
use crate::volume::layers::disk::Disk;

/// How much of a disk copies leave free. The records may be on the same disk, and a server without room for them stops.
pub(super) const COPY: u64 = 16 << 20;
/// How much work leaves free that gives space back in the end.
pub(super) const MERGE: u64 = 4 << 20;

/// Stops work when the disk is almost full.
pub(super) struct Reserve<'a, D> {
    disk: &'a D,
    bytes: u64,
    control: &'a dyn Control,
    is_short: AtomicBool,
}

impl<'a, D: Disk> Reserve<'a, D> {
    /// Leaves so many bytes free.
    pub(super) fn new(disk: &'a D, bytes: u64, control: &'a dyn Control) -> Self {
        Reserve { disk, bytes, control, is_short: AtomicBool::new(false) }
    }

    /// What the work came to: without room it has failed, and was not just stopped.
    pub(super) fn outcome(&self, done: Done) -> io::Result<Done> {
        if done == Done::Stopped && self.is_short.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(done)
    }
}

impl<D: Disk> Control for Reserve<'_, D> {
    fn total(&self, bytes: u64) {
        self.control.total(bytes);
    }

    fn proceed(&self, bytes: u64) -> Proceed {
        let proceed = self.control.proceed(bytes);
        // A disk that cannot tell is found to be full by the next write.
        if proceed == Proceed::Go && self.disk.free_bytes().is_ok_and(|free| free < self.bytes) {
            self.is_short.store(true, Ordering::Relaxed);
            return Proceed::Stop;
        }
        proceed
    }
}

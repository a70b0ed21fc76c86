//! The requests of one connection that wait for a disk, which are bounded.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// How many there may be.
const MAX_REQUESTS: usize = 128;
/// How many bytes their replies may have together.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The requests of one connection that wait for a disk.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    taken: Mutex<Taken>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Taken {
    requests: usize,
    bytes: usize,
}

impl Taken {
    /// One request alone may always run, however long its reply is.
    fn is_full_for(&self, bytes: usize) -> bool {
        self.requests >= MAX_REQUESTS || (self.requests > 0 && self.bytes + bytes > MAX_BYTES)
    }
}

impl InFlight {
    /// A place, if there is one.
    pub(super) fn try_admit(self: &Arc<Self>, bytes: usize) -> Option<Place> {
        let taken = self.taken.lock();
        if taken.is_full_for(bytes) { None } else { Some(self.place(taken, bytes)) }
    }

    /// Waits for a place.
    pub(super) fn admit(self: &Arc<Self>, bytes: usize) -> Place {
        let mut taken = self.taken.lock();
        while taken.is_full_for(bytes) {
            self.freed.wait(&mut taken);
        }
        self.place(taken, bytes)
    }

    fn place(self: &Arc<Self>, mut taken: MutexGuard<'_, Taken>, bytes: usize) -> Place {
        taken.requests += 1;
        taken.bytes += bytes;
        Place { in_flight: Arc::clone(self), bytes }
    }

    /// Waits until there are none.
    pub(super) fn finish(&self) {
        let mut taken = self.taken.lock();
        while taken.requests > 0 {
            self.freed.wait(&mut taken);
        }
    }
}

/// The place of a request; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    in_flight: Arc<InFlight>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.in_flight.taken.lock();
        taken.requests -= 1;
        taken.bytes -= self.bytes;
        drop(taken);
        self.in_flight.freed.notify_all();
    }
}

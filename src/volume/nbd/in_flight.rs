//! The requests of one connection that wait for a disk, which are bounded.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::budget::{Budget, Share};

/// How many there may be.
const MAX_REQUESTS: usize = 128;
/// How many bytes their replies may have together.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The requests of one connection that wait for a disk.
#[derive(Debug)]
pub(super) struct InFlight {
    budget: Arc<Budget>,
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
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        InFlight { budget, taken: Mutex::default(), freed: Condvar::new() }
    }

    /// A place, if there is one. Only the thread of the connection asks.
    pub(super) fn try_admit(self: &Arc<Self>, bytes: usize) -> Option<Place> {
        if self.taken.lock().is_full_for(bytes) {
            return None;
        }
        self.budget.try_take(bytes).map(|share| self.place(bytes, share))
    }

    /// Waits for a place.
    pub(super) fn admit(self: &Arc<Self>, bytes: usize) -> Place {
        let mut taken = self.taken.lock();
        while taken.is_full_for(bytes) {
            self.freed.wait(&mut taken);
        }
        drop(taken);
        // Nobody else takes places of this connection meanwhile. Who has shares now gives them back when its client has
        // taken its replies, or has not for too long.
        self.place(bytes, self.budget.take(bytes))
    }

    fn place(self: &Arc<Self>, bytes: usize, share: Share) -> Place {
        let mut taken = self.taken.lock();
        taken.requests += 1;
        taken.bytes += bytes;
        Place { in_flight: Arc::clone(self), bytes, _share: share }
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
    _share: Share,
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

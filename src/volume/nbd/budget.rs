//! How many bytes the replies of all connections may have together.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Bytes that all connections share. Who waits for some gets them in the order of coming, so that a long reply is not
/// overtaken for ever by short ones.
#[derive(Debug)]
pub(super) struct Budget {
    total: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    left: usize,
    /// The number of whoever comes next, and of whom it is the turn.
    next: u64,
    turn: u64,
}

/// A part of the budget; it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(total: usize) -> Self {
        let state = State { left: total, next: 0, turn: 0 };
        Budget { total, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// A share, if there is enough and nobody waits. One that is longer than everything gets everything.
    pub(super) fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let bytes = bytes.min(self.total);
        let mut state = self.state.lock();
        if bytes > 0 && (state.turn != state.next || state.left < bytes) {
            return None;
        }
        state.left -= bytes;
        Some(Share { budget: Arc::clone(self), bytes })
    }

    /// Waits for a share.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Share {
        let bytes = bytes.min(self.total);
        let mut state = self.state.lock();
        let turn = state.next;
        state.next += 1;
        while state.turn != turn || state.left < bytes {
            self.changed.wait(&mut state);
        }
        state.turn += 1;
        state.left -= bytes;
        drop(state);
        self.changed.notify_all();
        Share { budget: Arc::clone(self), bytes }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.state.lock().left += self.bytes;
            self.budget.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_overtakes_who_waits() {
        let budget = Arc::new(Budget::new(10));
        let first = budget.try_take(8).expect("it is free");
        assert!(budget.try_take(3).is_none());
        let long = std::thread::spawn({
            let budget = Arc::clone(&budget);
            move || budget.take(99)
        });
        while budget.state.lock().next == 0 {
            std::thread::yield_now();
        }
        assert!(budget.try_take(1).is_none(), "there is one, but not for who comes late");
        assert!(budget.try_take(0).is_some());
        drop(first);
        let long = long.join().expect("it got its share");
        assert_eq!(long.bytes, 10);
        drop(long);
        assert!(budget.try_take(10).is_some());
    }
}

//! The blocking calls that are under way, by lock and owner.
//!
//! Two calls of one owner for one lock are one wish: a retry goes on where the call before it was cut off. So a call
//! that ends unheard gives back what it got only if no later call of its owner relies on it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Mutex as Gate, MutexGuard};

use super::model::LockKey;

type Wish = (LockKey, String);

/// All wishes with a blocking call.
#[derive(Debug, Default)]
pub(super) struct Calls {
    wishes: Mutex<HashMap<Wish, Arc<State>>>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the newest call.
    newest: AtomicU64,
    /// A call that was overtaken got something that nobody has heard of yet.
    is_unheard: AtomicBool,
    /// Held while one of the calls asks or gives back.
    gate: Gate<()>,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    calls: Arc<Calls>,
    wish: Wish,
    state: Arc<State>,
    number: u64,
}

impl Calls {
    /// Notes a blocking call.
    pub(super) fn begin(self: &Arc<Self>, key: &LockKey, owner: &str) -> Call {
        let wish = (key.clone(), owner.to_owned());
        let state = Arc::clone(self.wishes.lock().entry(wish.clone()).or_default());
        self.call(wish, state)
    }

    /// Notes a call that does not block, if there is one for the same wish that does.
    pub(super) fn join(self: &Arc<Self>, key: &LockKey, owner: &str) -> Option<Call> {
        let wishes = self.wishes.lock();
        if wishes.is_empty() {
            return None;
        }
        let wish = (key.clone(), owner.to_owned());
        let state = Arc::clone(wishes.get(&wish)?);
        drop(wishes);
        Some(self.call(wish, state))
    }

    fn call(self: &Arc<Self>, wish: Wish, state: Arc<State>) -> Call {
        let number = state.newest.fetch_add(1, Ordering::AcqRel) + 1;
        Call { calls: Arc::clone(self), wish, state, number }
    }
}

impl Call {
    /// Waits until no other call of the wish asks or gives back.
    pub(super) async fn gate(&self) -> MutexGuard<'_, ()> {
        self.state.gate.lock().await
    }

    /// Whether no later call of the wish was made.
    pub(super) fn is_newest(&self) -> bool {
        self.state.newest.load(Ordering::Acquire) == self.number
    }

    /// Notes that the call got something and nobody heard of it.
    pub(super) fn leave_unheard(&self) {
        self.state.is_unheard.store(true, Ordering::Release);
    }

    /// Whether an overtaken call got something that nobody has heard of; from here on somebody has.
    pub(super) fn take_unheard(&self) -> bool {
        self.state.is_unheard.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut wishes = self.calls.wishes.lock();
        // One is in the map, and one is this call's.
        if Arc::strong_count(&self.state) == 2 {
            wishes.remove(&self.wish);
        }
    }
}

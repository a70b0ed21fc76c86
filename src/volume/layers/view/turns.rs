//! Flushes take turns, and those that wait share one.

use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Who flushes a view now, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_taken: bool,
    /// How many shared flushes were begun, and how many of them have ended.
    begun: u64,
    ended: u64,
    /// What the last one failed with: an error of the operating system.
    failure: Option<i32>,
}

/// The right to flush a view, and to change its top.
#[derive(Debug)]
pub(super) struct Turn(Arc<Turns>);

impl Turns {
    /// Waits for a turn of one's own.
    pub(super) fn take(self: &Arc<Self>) -> Turn {
        let mut state = self.state.lock();
        while state.is_taken {
            self.changed.wait(&mut state);
        }
        state.is_taken = true;
        Turn(Arc::clone(self))
    }

    /// Has `flush` done once after this is called, by this caller or another one.
    pub(super) fn share(self: &Arc<Self>, flush: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state.lock();
        // One that runs already may have looked before the caller's last write.
        let needed = state.begun + 1;
        loop {
            if state.ended >= needed {
                return state.failure.map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code)));
            }
            if !state.is_taken {
                break;
            }
            self.changed.wait(&mut state);
        }
        state.is_taken = true;
        state.begun += 1;
        drop(state);
        let turn = Turn(Arc::clone(self));
        let result = flush();
        turn.end_shared(&result);
        result
    }
}

impl Turn {
    fn end_shared(self, result: &io::Result<()>) {
        let mut state = self.0.state.lock();
        state.ended = state.begun;
        let code = |error: &io::Error| error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error());
        state.failure = result.as_ref().err().map(code);
        // The turn ends when it is dropped, which takes the lock again.
        drop(state);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.state.lock().is_taken = false;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn those_that_wait_share_the_next_flush_and_its_failure() {
        // Given a turn that is taken, and four who want a flush
        let turns: Arc<Turns> = Arc::default();
        let flushes = AtomicUsize::new(0);
        let fail = || {
            flushes.fetch_add(1, Ordering::SeqCst);
            Err(io::Error::from_raw_os_error(28))
        };
        let turn = turns.take();
        let (waiting, waits) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let waiting = waiting.clone();
                scope.spawn({
                    let (turns, fail) = (&turns, &fail);
                    move || {
                        waiting.send(()).unwrap();
                        let error = turns.share(fail).unwrap_err();
                        assert_eq!(error.raw_os_error(), Some(28));
                    }
                });
            }
            (0..4).for_each(|_| waits.recv().unwrap());
            // When it is their turn
            drop(turn);
        });
        // Then none of them had more than one
        assert!((1..=4).contains(&flushes.load(Ordering::SeqCst)));
    }
}

//! The scans that a library is to have.

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::super::progress::{Progress, Telling};
use super::super::scan::Which;

/// A scan that is to be done.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) which: Which,
    pub(super) telling: Telling,
}

/// At most one scan that runs, and one that waits.
#[derive(Debug, Default)]
pub(super) struct Orders {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    running: Option<(Which, watch::Receiver<Progress>)>,
    waiting: Option<Order>,
    /// A scan would do good, some time.
    is_wished: bool,
    is_closed: bool,
}

impl Orders {
    /// Orders a scan, or joins one that does as much.
    pub(super) fn scan(&self, which: Which) -> watch::Receiver<Progress> {
        let mut state = self.state.lock();
        if let Some((running, progress)) = &state.running
            && (*running == which || *running == Which::All)
        {
            return progress.clone();
        }
        if state.is_closed {
            // Given up at once.
            return Telling::new().subscribe();
        }
        let order = state.waiting.get_or_insert_with(|| Order { which, telling: Telling::new() });
        if which == Which::All {
            order.which = which;
        }
        let progress = order.telling.subscribe();
        drop(state);
        self.changed.notify_one();
        progress
    }

    /// Says that a scan would do good, when it is not too soon after the last one.
    pub(super) fn wish(&self) {
        let was_wished = std::mem::replace(&mut self.state.lock().is_wished, true);
        if !was_wished {
            self.changed.notify_one();
        }
    }

    pub(super) fn is_wished(&self) -> bool {
        self.state.lock().is_wished
    }

    /// Takes the scan that waits; it runs until [`Orders::ended`].
    pub(super) fn take(&self) -> Option<Order> {
        let mut state = self.state.lock();
        let order = state.waiting.take()?;
        state.running = Some((order.which, order.telling.subscribe()));
        // Wishes from now on are for what it may not see any more.
        state.is_wished = false;
        Some(order)
    }

    pub(super) fn ended(&self) {
        self.state.lock().running = None;
    }

    /// No scan will be done any more: whoever waits is told that it was given up.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.waiting = None;
    }

    /// Returns when there is something new.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_that_one_scan_can_satisfy_are_one() {
        let orders = Orders::default();
        let (first, second) = (orders.scan(Which::Changed), orders.scan(Which::All));
        let order = orders.take().unwrap();
        assert!(order.which == Which::All && first.same_channel(&second) && orders.take().is_none());
        assert!(orders.scan(Which::Changed).same_channel(&first));
        orders.ended();
        assert!(!orders.scan(Which::Changed).same_channel(&first));
    }

    #[test]
    fn a_scan_that_does_less_is_not_joined() {
        let orders = Orders::default();
        let first = orders.scan(Which::Changed);
        let _running = orders.take().unwrap();
        assert!(!orders.scan(Which::All).same_channel(&first));
        assert_eq!(orders.take().unwrap().which, Which::All);
    }

    #[test]
    fn nobody_waits_for_a_scan_that_never_comes() {
        let orders = Orders::default();
        let progress = orders.scan(Which::Changed);
        orders.close();
        assert!(progress.borrow().done && orders.scan(Which::Changed).borrow().done);
    }
}

//! Changes of files and tags, in an order that can be followed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use steward_proto::store::v1::ArtifactChangeRecord;
use tokio::sync::Notify;

use super::keys;
use crate::store::tx::Tx;

/// The highest stamp is stored now and then only, so a start leaves out so many.
const LEFT_OUT: Duration = Duration::from_mins(2);

/// Gives every change a stamp of its own.
///
/// A stamp is given before its change is committed, so changes can come up in another order. Who follows them reads no
/// further than [`Stamps::settled`].
#[derive(Debug)]
pub(super) struct Stamps(Arc<Ledger>);

#[derive(Debug)]
struct Ledger {
    given: Mutex<Given>,
    /// A stamp was dropped.
    dropped: Notify,
}

#[derive(Debug)]
struct Given {
    last: u64,
    pending: BTreeSet<u64>,
}

/// A stamp whose change may not have been committed yet. Dropped when it is, or will not be.
#[derive(Debug)]
pub(super) struct Stamp {
    value: u64,
    ledger: Arc<Ledger>,
}

impl Stamps {
    /// Stamps for a server on whose store this was the highest that was noted. It has noted one each minute.
    pub(super) fn after(noted: u64, now_us: u64) -> Self {
        let left_out = u64::try_from(LEFT_OUT.as_micros()).unwrap_or(u64::MAX);
        let last = if noted == 0 { now_us } else { now_us.max(noted.saturating_add(left_out)) };
        let given = Mutex::new(Given { last, pending: BTreeSet::new() });
        Stamps(Arc::new(Ledger { given, dropped: Notify::new() }))
    }

    /// A stamp: the time, or a little more.
    pub(super) fn take(&self, now_us: u64) -> Stamp {
        let mut given = self.0.given.lock();
        let value = now_us.max(given.last + 1);
        given.last = value;
        given.pending.insert(value);
        Stamp { value, ledger: Arc::clone(&self.0) }
    }

    /// The highest stamp up to which no further change can come up. At least `now_us` when nothing is pending, so that
    /// who has seen nothing need not look at the same again.
    pub(super) fn settled(&self, now_us: u64) -> u64 {
        let mut given = self.0.given.lock();
        if let Some(first) = given.pending.first() {
            return first - 1;
        }
        // Nothing may be given up to there any more.
        given.last = given.last.max(now_us);
        given.last
    }

    /// Returns once no change up to this stamp can come up any more.
    pub(super) async fn settle(&self, stamp: u64) {
        loop {
            let dropped = self.0.dropped.notified();
            if self.0.given.lock().pending.first().is_none_or(|first| *first > stamp) {
                return;
            }
            dropped.await;
        }
    }

    /// The highest that was given.
    pub(super) fn highest(&self) -> u64 {
        self.0.given.lock().last
    }
}

impl Stamp {
    /// As records have it.
    pub(super) fn value(&self) -> u64 {
        self.value
    }
}

impl Drop for Stamp {
    fn drop(&mut self) {
        self.ledger.given.lock().pending.remove(&self.value);
        self.ledger.dropped.notify_waiters();
    }
}

impl Tx<'_> {
    /// Notes a change of a repository. The stamp is to be kept until this is committed, and is the same in every
    /// attempt.
    pub(super) fn note_change(&mut self, repository: u64, stamp: &Stamp, change: &ArtifactChangeRecord) {
        self.put(keys::change(repository, stamp.value()), change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_and_nobody_reads_past_one_that_is_pending() {
        let stamps = Stamps::after(0, 0);
        let first = stamps.take(100);
        let second = stamps.take(100);
        assert_eq!((first.value(), second.value()), (100, 101));
        drop(second);
        assert_eq!(stamps.settled(200), 99, "the first may still come up");
        drop(first);
        assert_eq!(stamps.settled(200), 200);
        assert_eq!(stamps.take(150).value(), 201, "nothing comes up behind what was said to be settled");
    }

    #[test]
    fn a_start_goes_on_behind_what_may_have_been_given() {
        let stamps = Stamps::after(1_000_000, 0);
        assert!(stamps.take(5).value() > 1_000_000 + 60_000_000);
        assert_eq!(Stamps::after(1_000_000, 900_000_000).take(5).value(), 900_000_001, "the clock is set back later");
    }
}

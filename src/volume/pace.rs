//! How operations on bytes go on: at which speed, and whether at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::driver::{Control, Proceed};
use super::progress::Meter;
use crate::clock::Timestamp;

/// For how long an operation that was held up may hurry.
const BURST: Duration = Duration::from_millis(100);
/// At the latest then it looks whether the server is about to stop.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// The speed of one operation that runs, and whether it is to go on.
#[derive(Debug)]
pub(super) struct Pace {
    state: Mutex<State>,
    /// Something was said to it.
    told: Condvar,
    meter: Arc<Meter>,
    /// Bytes that earlier attempts have done.
    before: u64,
    shutdown: CancellationToken,
}

#[derive(Debug)]
struct State {
    is_stopped: bool,
    /// Bytes a second; 0: no limit.
    rate: u64,
    bucket: Bucket,
}

impl Pace {
    pub(super) fn new(rate: u64, meter: Arc<Meter>, before: u64, shutdown: CancellationToken) -> Self {
        let state = State { is_stopped: false, rate, bucket: Bucket { free_at: Instant::now() } };
        meter.add(before);
        Pace { state: Mutex::new(state), told: Condvar::new(), meter, before, shutdown }
    }

    /// Makes it stop before the next piece of work.
    pub(super) fn stop(&self) {
        self.state.lock().is_stopped = true;
        self.told.notify_all();
    }

    /// Gives it another speed, in bytes a second; 0: no limit.
    pub(super) fn set_rate(&self, rate: u64) {
        let mut state = self.state.lock();
        state.rate = rate;
        // What is owed at the old speed may be hours at the new one.
        state.bucket = Bucket { free_at: Instant::now() };
        self.told.notify_all();
    }

    /// Bytes that are done, and bytes that are to be.
    pub(super) fn progress(&self) -> (u64, u64) {
        self.meter.read()
    }
}

impl Control for Pace {
    fn total(&self, bytes: u64) {
        self.meter.set_total(self.before.saturating_add(bytes));
    }

    fn proceed(&self, bytes: u64) -> Proceed {
        self.meter.add(bytes);
        metrics::counter!("steward_volume_copied_bytes_total").increment(bytes);
        let mut state = self.state.lock();
        let rate = state.rate;
        state.bucket.take(Instant::now(), bytes, rate);
        loop {
            if state.is_stopped || self.shutdown.is_cancelled() {
                return Proceed::Stop;
            }
            let wait = state.bucket.wait(Instant::now());
            if wait.is_zero() {
                return Proceed::Go;
            }
            self.told.wait_for(&mut state, wait.min(LONGEST_WAIT));
        }
    }
}

/// What an operation owes to its speed: it may go on when the time has come.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    free_at: Instant,
}

impl Bucket {
    /// Takes `bytes` at `rate`.
    fn take(&mut self, now: Instant, bytes: u64, rate: u64) {
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        self.free_at = self.free_at.max(earliest) + cost(bytes, rate);
    }

    /// For how long to wait before the next piece.
    fn wait(&self, now: Instant) -> Duration {
        self.free_at.saturating_duration_since(now)
    }
}

/// How long `bytes` take at `rate`; at most an hour, so that no sum is out of range.
fn cost(bytes: u64, rate: u64) -> Duration {
    if rate == 0 {
        return Duration::ZERO;
    }
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(Duration::from_hours(1))
}

/// The operations that run, and those that rest after an error.
#[derive(Debug, Default)]
pub(super) struct Paces(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    running: HashMap<Uuid, Arc<Pace>>,
    resting: HashMap<Uuid, Timestamp>,
}

impl Paces {
    pub(super) fn start(&self, operation: Uuid, pace: Arc<Pace>) {
        let mut known = self.0.lock();
        known.resting.remove(&operation);
        known.running.insert(operation, pace);
    }

    pub(super) fn end(&self, operation: Uuid) {
        self.0.lock().running.remove(&operation);
    }

    /// Does not let it run before a time.
    pub(super) fn rest(&self, operation: Uuid, until: Timestamp) {
        self.0.lock().resting.insert(operation, until);
    }

    /// Lets it run at once.
    pub(super) fn wake(&self, operation: Uuid) {
        self.0.lock().resting.remove(&operation);
    }

    /// The one that runs.
    pub(super) fn of(&self, operation: Uuid) -> Option<Arc<Pace>> {
        self.0.lock().running.get(&operation).map(Arc::clone)
    }

    /// Until when one rests.
    pub(super) fn rests_until(&self, operation: Uuid) -> Option<Timestamp> {
        self.0.lock().resting.get(&operation).copied()
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.0.lock().running.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_waits_as_long_as_its_bytes_take_at_its_speed() {
        let now = Instant::now();
        let mut bucket = Bucket { free_at: now };
        bucket.take(now, 1_000, 2_000);
        assert_eq!(bucket.wait(now), Duration::from_millis(500));
        assert_eq!(bucket.wait(now + Duration::from_millis(500)), Duration::ZERO);
    }

    #[test]
    fn a_rest_is_made_up_for_but_not_without_end() {
        let start = Instant::now();
        let now = start + Duration::from_mins(1);
        let mut bucket = Bucket { free_at: start };
        bucket.take(now, 1_000, 2_000);
        assert_eq!(bucket.wait(now), Duration::from_millis(400));
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let now = Instant::now();
        let mut bucket = Bucket { free_at: now };
        bucket.take(now, u64::MAX, 0);
        assert_eq!(bucket.wait(now), Duration::ZERO);
        bucket.take(now, u64::MAX, 1);
        assert_eq!(bucket.wait(now), Duration::from_hours(1));
    }

    #[test]
    fn what_is_told_to_stop_stops_also_while_it_waits() {
        let meter = Arc::new(Meter::default());
        let pace = Arc::new(Pace::new(1, Arc::clone(&meter), 7, CancellationToken::new()));
        let waiting = Arc::clone(&pace);
        let thread = std::thread::spawn(move || waiting.proceed(1_000));
        pace.stop();
        assert_eq!(thread.join().expect("an answer"), Proceed::Stop);
        pace.total(2_000);
        assert_eq!(meter.read(), (1_007, 2_007));
    }
}

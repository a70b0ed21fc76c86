//! Time as an argument: decisions are given a [`Timestamp`], and only a [`Clock`] knows what time it is.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z. Good until the year 2262.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The furthest time that can be told.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// The time `nanos` nanoseconds after 1970 began.
    pub const fn from_nanos(nanos: i64) -> Self {
        Timestamp(nanos)
    }

    /// Nanoseconds since 1970 began.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Microseconds since 1970 began, as records have them; 0 for what was before.
    pub fn micros(self) -> u64 {
        u64::try_from(self.0 / 1000).unwrap_or(0)
    }

    /// This time and `duration` more; the furthest time when that is past it.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(nanos))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) => write!(f, "{time}"),
            // Every i64 of nanoseconds is inside jiff's range; the fallback only spares a panic.
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Tells the time and waits for it. Tests move it by hand.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now. Never less than an earlier answer of the same clock.
    fn now(&self) -> Timestamp;

    /// Returns at `deadline`, or somewhat before when the wait is long: callers look at [`Clock::now`] again.
    async fn sleep_until(&self, deadline: Timestamp);
}

/// The machine's clock. When it is set back, time stands still until it catches up.
#[derive(Debug, Default)]
pub struct SystemClock {
    latest: AtomicI64,
}

impl SystemClock {
    /// A sleep is measured by the monotonic clock, so after this long the wall clock is asked again: it may have
    /// been set, or the machine may have slept.
    const LONGEST_SLEEP: Duration = Duration::from_secs(10);
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    fn now(&self) -> Timestamp {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |elapsed| i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX));
        Timestamp(self.latest.fetch_max(now, Ordering::AcqRel).max(now))
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        tokio::time::sleep(deadline.since(self.now()).min(Self::LONGEST_SLEEP)).await;
    }
}

/// A clock that stands still until a test moves it.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct ManualClock {
    now: tokio::sync::watch::Sender<Timestamp>,
}

#[cfg(test)]
impl ManualClock {
    /// Starts at a time with no meaning.
    pub(crate) fn new() -> Self {
        ManualClock { now: tokio::sync::watch::Sender::new(Timestamp(1_700_000_000_000_000_000)) }
    }

    /// Moves time forward and wakes the sleepers that it reaches.
    pub(crate) fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = now.plus(by));
    }
}

#[cfg(test)]
#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        // The sender lives as long as the clock that is borrowed here.
        let _ = self.now.subscribe().wait_for(|now| *now >= deadline).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_past_its_end() {
        assert_eq!(Timestamp::MAX.plus(Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(Timestamp::from_nanos(5).since(Timestamp::from_nanos(9)), Duration::ZERO);
    }

    #[test]
    fn a_timestamp_reads_as_rfc_3339() {
        assert_eq!(Timestamp::from_nanos(1_700_000_000_500_000_000).to_string(), "2023-11-14T22:13:20.5Z");
    }
}

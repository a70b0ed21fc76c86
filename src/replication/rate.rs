//! The rate limit of a run: one bucket for all that is under way.

use std::time::{Duration, Instant};

/// For how long a run that has sent nothing may hurry afterwards.
const BURST: Duration = Duration::from_millis(250);

/// How many bytes are taken at a time: what several send at once is shared in steps of this size.
pub(super) const STEP_BYTES: u64 = 64 * 1024;

/// What a run owes to its rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// Bytes a second; 0: no limit.
    rate: u64,
    free_at: Instant,
}

impl Bucket {
    /// One of so many bytes a second; 0: no limit.
    pub(super) fn new(rate: u64, now: Instant) -> Self {
        Bucket { rate, free_at: now }
    }

    /// Takes bytes, and says how long to wait before they are sent.
    pub(super) fn take(&mut self, now: Instant, bytes: u64) -> Duration {
        if self.rate == 0 {
            return Duration::ZERO;
        }
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let start = self.free_at.max(earliest);
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(Duration::from_hours(24));
        self.free_at = start + cost;
        self.free_at.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_never_more_than_the_rate_and_its_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1_000_000, start);
        let waits = (0..100).map(|_| bucket.take(start, 100_000));
        assert_eq!(waits.last(), Some(Duration::from_secs(10)));
    }

    #[test]
    fn time_in_which_nothing_was_sent_is_saved_up_only_for_the_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1_000_000, start);
        let later = start + Duration::from_mins(1);
        assert_eq!(bucket.take(later, 250_000), Duration::ZERO);
        assert_eq!(bucket.take(later, 1_000_000), Duration::from_secs(1));
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let start = Instant::now();
        assert_eq!(Bucket::new(0, start).take(start, u64::MAX), Duration::ZERO);
        assert!(Bucket::new(1, start).take(start, u64::MAX) >= Duration::from_hours(23));
    }
}

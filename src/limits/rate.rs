//! How often somebody may ask: the generic cell rate algorithm, which is one number.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A rate with a burst. Times are nanoseconds since a moment that is always the same.
#[derive(Debug)]
pub(super) struct Rate {
    /// How far apart requests are that come steadily.
    interval: u64,
    /// How far ahead of that they may be.
    tolerance: u64,
    /// When the next request would come if all had come steadily.
    next: AtomicU64,
}

impl Rate {
    /// So many a second, and so many of them at once. Both have to be more than zero.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval = NANOS_PER_SECOND / u64::from(per_second.max(1));
        let tolerance = interval * u64::from(burst.max(1) - 1);
        Rate { interval, tolerance, next: AtomicU64::new(0) }
    }

    /// Takes a request, or says how long to wait for the next one.
    pub(super) fn admit(&self, now: u64) -> Result<(), Duration> {
        let step = |next: u64| {
            let next = next.max(now);
            (next - now <= self.tolerance).then_some(next + self.interval)
        };
        let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        taken.map(|_| ()).map_err(|next| Duration::from_nanos(next - now - self.tolerance))
    }

    /// Whether a new one would be just like it.
    pub(super) fn is_rested(&self, now: u64) -> bool {
        self.next.load(Ordering::Relaxed) <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_then_one_in_each_interval() {
        let rate = Rate::new(10, 3);
        let now = 5 * NANOS_PER_SECOND;
        assert!(rate.is_rested(now));
        for _ in 0..3 {
            assert_eq!(rate.admit(now), Ok(()));
        }
        assert_eq!(rate.admit(now), Err(Duration::from_millis(100)));
        assert_eq!(rate.admit(now + NANOS_PER_SECOND / 20), Err(Duration::from_millis(50)));
        assert_eq!(rate.admit(now + NANOS_PER_SECOND / 10), Ok(()));
        assert!(rate.admit(now + NANOS_PER_SECOND / 10).is_err());
        assert!(!rate.is_rested(now + NANOS_PER_SECOND / 10));
        assert!(rate.is_rested(now + NANOS_PER_SECOND));
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_is_taken_and_nobody_gets_more_than_the_rate(
            per_second in 1u32..2000, burst in 1u32..100, steps in prop::collection::vec(0u64..50_000_000, 1..200),
        ) {
            let rate = Rate::new(per_second, burst);
            let (start, mut now, mut taken) = (1_000, 1_000, 0u64);
            for step in steps {
                now += step;
                match rate.admit(now) {
                    Ok(()) => taken += 1,
                    Err(wait) => {
                        now += u64::try_from(wait.as_nanos()).unwrap();
                        prop_assert_eq!(rate.admit(now), Ok(()));
                        taken += 1;
                    }
                }
            }
            prop_assert!(taken <= u64::from(burst) + (now - start) / (NANOS_PER_SECOND / u64::from(per_second)));
        }
    }
}

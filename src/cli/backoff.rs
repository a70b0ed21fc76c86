//! How long to wait before trying again.

use std::time::Duration;

/// Growing delays with jitter, so that many clients do not come back to a restarted server at the same moment.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(2);

    pub(crate) fn new() -> Self {
        Backoff { next: Self::FIRST }
    }

    /// The next delay: about double the one before, and never more than 2.5 s.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(Self::LONGEST);
        let [random, ..] = *uuid::Uuid::new_v4().as_bytes();
        delay.mul_f64(0.75 + f64::from(random) / 512.0)
    }

    /// No delay was asked for yet: this is the first failure in a row.
    pub(crate) fn is_fresh(&self) -> bool {
        self.next == Self::FIRST
    }

    /// Waits for the next delay.
    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next_delay()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_limit() {
        let mut backoff = Backoff::new();
        assert!(backoff.next_delay() <= Duration::from_millis(125));
        let last = (0..20).map(|_| backoff.next_delay()).last().unwrap();
        assert!(last >= Duration::from_millis(1500) && last <= Duration::from_millis(2500), "{last:?}");
    }
}

//! When to renew a grant, and when to count it as lost. No clock and no I/O: time is an argument.

use std::time::{Duration, Instant};

/// The deadlines of a grant, as far as this side can be sure of them.
///
/// The server counts the ttl from when it handles a renewal, which is after the renewal was sent. So the time of
/// *sending* plus the ttl is never later than the server's own deadline, however long the answer took.
///
/// The clock is monotonic, and on Linux it stands still while the machine is suspended. After a long suspension the
/// first renewal is answered with `NOT_HOLDER`; until then only the fencing token protects what the command writes to.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    ttl: Duration,
    grace: Duration,
    confirmed_at: Instant,
    next_attempt: Instant,
}

impl Schedule {
    /// A grant that was asked for at `sent_at`, for a command that gets `grace` between SIGTERM and SIGKILL.
    pub(super) fn new(sent_at: Instant, ttl: Duration, grace: Duration) -> Self {
        Schedule { ttl, grace, confirmed_at: sent_at, next_attempt: sent_at + ttl / 3 }
    }

    /// A renewal that was sent at `sent_at` succeeded, for `ttl`.
    pub(super) fn renewed(&mut self, sent_at: Instant, ttl: Duration) {
        // A renewal that was overtaken by a later one says nothing new.
        if sent_at >= self.confirmed_at {
            *self = Schedule::new(sent_at, ttl, self.grace);
        }
    }

    /// A renewal failed, and it is `now`: the next one follows soon.
    pub(super) fn failed(&mut self, now: Instant) {
        self.next_attempt = now + (self.ttl / 30).clamp(Duration::from_millis(5), Duration::from_secs(1));
    }

    /// When to send the next renewal.
    pub(super) fn next_attempt(&self) -> Instant {
        self.next_attempt
    }

    /// How long to wait for the answer to a renewal before trying again on a new connection.
    pub(super) fn attempt_timeout(&self) -> Duration {
        (self.ttl / 4).min(Duration::from_secs(5))
    }

    /// So much of the grant is used up that it should be renewed before a command is started under it.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        now >= self.next_attempt
    }

    /// When to stop the command: early enough that it gets its grace, or a part of it if the ttl is short, and is gone
    /// at the deadline.
    pub(super) fn stop_at(&self) -> Instant {
        let least = (self.ttl / 20).min(Duration::from_secs(1));
        let margin = self.grace.min(self.ttl / 3).max(least);
        self.confirmed_at + self.ttl.saturating_sub(margin)
    }

    /// When the server may give the lock to somebody else.
    pub(super) fn deadline(&self) -> Instant {
        self.confirmed_at + self.ttl
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(30);
    const GRACE: Duration = Duration::from_secs(5);

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_grant_is_renewed_every_third_of_its_ttl() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, TTL, GRACE);
        assert_eq!(schedule.next_attempt(), start + seconds(10.0));
        schedule.renewed(start + seconds(10.0), TTL);
        assert_eq!(schedule.next_attempt(), start + seconds(20.0));
        assert_eq!(schedule.deadline(), start + seconds(40.0));
    }

    #[test]
    fn failed_renewals_are_tried_again_soon_and_do_not_move_the_deadline() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, TTL, GRACE);
        schedule.failed(start + seconds(12.0));
        assert_eq!(schedule.next_attempt(), start + seconds(13.0));
        assert_eq!(schedule.deadline(), start + TTL);
    }

    #[test]
    fn the_deadline_counts_from_the_sending_and_never_moves_back() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, TTL, GRACE);
        schedule.renewed(start + seconds(10.0), TTL);
        schedule.renewed(start + seconds(4.0), TTL);
        assert_eq!(schedule.deadline(), start + seconds(40.0));
    }

    #[test]
    fn the_server_may_grant_another_ttl() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, TTL, GRACE);
        schedule.renewed(start, seconds(6.0));
        assert_eq!(schedule.next_attempt(), start + seconds(2.0));
        assert_eq!(schedule.deadline(), start + seconds(6.0));
    }

    #[test]
    fn the_command_is_stopped_its_grace_before_the_deadline() {
        let start = Instant::now();
        assert_eq!(Schedule::new(start, TTL, GRACE).stop_at(), start + seconds(25.0));
    }

    #[test]
    fn a_grace_longer_than_the_grant_leaves_time_to_work() {
        let start = Instant::now();
        let schedule = Schedule::new(start, seconds(3.0), GRACE);
        assert_eq!(schedule.stop_at(), start + seconds(2.0));
        assert!(schedule.next_attempt() < schedule.stop_at());
    }

    #[test]
    fn without_grace_the_command_is_still_stopped_before_the_deadline() {
        let start = Instant::now();
        assert_eq!(Schedule::new(start, TTL, Duration::ZERO).stop_at(), start + seconds(29.0));
        assert_eq!(Schedule::new(start, seconds(1.0), Duration::ZERO).stop_at(), start + seconds(0.95));
    }

    #[test]
    fn a_grant_whose_first_renewal_is_due_is_stale() {
        let start = Instant::now();
        let schedule = Schedule::new(start, TTL, GRACE);
        assert!(!schedule.is_stale(start + seconds(9.9)));
        assert!(schedule.is_stale(start + seconds(10.0)));
    }
}

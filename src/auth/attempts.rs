//! How long somebody who failed to log in has to wait for the answer.
//!
//! Who gives up waiting gains nothing: the wait is booked before the password is looked at, and an address has only so
//! many waits at a time.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How long a failure counts.
const WINDOW: Duration = Duration::from_mins(1);
/// So many failures cost nothing.
const FREE_FAILURES: usize = 5;
/// What the next one costs; each after it costs double.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// What a failure costs at most.
pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// More failures than it takes to the longest delay need not be remembered.
const REMEMBERED_FAILURES: usize = 16;
/// Waits that one address may have at a time.
const MAX_WAITS: usize = 8;
/// Addresses with failures that are remembered.
const MAX_CLIENTS: usize = 10_000;

/// The address has as many waits as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// The failures of the last minute.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    clients: HashMap<Client, Record>,
    hasher: RandomState,
}

/// One address, or the network of one subscriber; `None` for those that have no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Client(Option<IpAddr>);

#[derive(Debug, Default)]
struct Record {
    /// When, and a digest of whose name, oldest first.
    failures: VecDeque<(Instant, u64)>,
    /// Until when.
    waits: Vec<Instant>,
}

impl Attempts {
    /// Allows an attempt whose outcome is not known yet, and books its wait in case that it fails.
    pub(super) fn admit(&mut self, address: Option<IpAddr>, now: Instant) -> Result<(), TooMany> {
        let Some(record) = self.clients.get_mut(&Client::of(address)) else { return Ok(()) };
        record.forget(now);
        let delay = delay(record.failures.len() + 1);
        if delay.is_zero() {
            return Ok(());
        }
        if record.waits.len() >= MAX_WAITS {
            return Err(TooMany);
        }
        record.waits.push(now + delay);
        Ok(())
    }

    /// Notes that an attempt failed. Returns how long the answer has to wait.
    pub(super) fn fail(&mut self, address: Option<IpAddr>, user: &str, now: Instant) -> Duration {
        let client = Client::of(address);
        if !self.clients.contains_key(&client) && self.clients.len() >= MAX_CLIENTS {
            self.make_room(now);
        }
        let user = self.hasher.hash_one(user);
        let record = self.clients.entry(client).or_default();
        record.forget(now);
        if record.failures.len() >= REMEMBERED_FAILURES {
            record.failures.pop_front();
        }
        record.failures.push_back((now, user));
        delay(record.failures.len())
    }

    /// Notes that an attempt succeeded. What the same address tried under other names still counts.
    pub(super) fn succeed(&mut self, address: Option<IpAddr>, user: &str) {
        let (client, user) = (Client::of(address), self.hasher.hash_one(user));
        if let Some(record) = self.clients.get_mut(&client) {
            record.failures.retain(|(_, failed)| *failed != user);
            record.waits.pop();
            if record.failures.is_empty() {
                self.clients.remove(&client);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn count(&self, address: Option<IpAddr>) -> usize {
        self.clients.get(&Client::of(address)).map_or(0, |record| record.failures.len())
    }

    fn make_room(&mut self, now: Instant) {
        self.clients.retain(|_, record| record.newest().is_some_and(|failed| now < failed + WINDOW));
        if self.clients.len() >= MAX_CLIENTS {
            let oldest = self.clients.iter().min_by_key(|(_, record)| record.newest()).map(|(client, _)| *client);
            oldest.and_then(|client| self.clients.remove(&client));
        }
    }
}

impl Client {
    fn of(address: Option<IpAddr>) -> Self {
        Client(address.map(|address| match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            // A subscriber has at least 2^64 addresses.
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        }))
    }
}

impl Record {
    fn forget(&mut self, now: Instant) {
        self.failures.retain(|(time, _)| now < *time + WINDOW);
        self.waits.retain(|end| now < *end);
    }

    fn newest(&self) -> Option<Instant> {
        self.failures.back().map(|(time, _)| *time)
    }
}

/// What the last of `failures` in a minute costs.
fn delay(failures: usize) -> Duration {
    match failures.checked_sub(FREE_FAILURES + 1) {
        None => Duration::ZERO,
        Some(doublings @ 0..=5) => FIRST_DELAY * (1 << doublings),
        Some(_) => LONGEST_DELAY,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[expect(clippy::unnecessary_wraps, reason = "so the tests read as the calls do")]
    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn delays_double_up_to_the_longest_and_end_with_the_minute() {
        let (mut attempts, start, here) = (Attempts::default(), Instant::now(), address("9.9.9.9"));
        let mut fail = |seconds: u32| attempts.fail(here, "a", start + SECOND * seconds).as_millis();
        let delays: Vec<_> = (0..14).map(&mut fail).collect();
        assert_eq!(delays, [0, 0, 0, 0, 0, 250, 500, 1000, 2000, 4000, 8000, 10000, 10000, 10000]);
        assert_eq!(fail(13 + 60), 0);
    }

    #[test]
    fn others_pay_nothing() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..20 {
            attempts.fail(address("2001:db8::1"), "a", now);
        }
        assert_eq!(attempts.fail(address("2001:db8:0:1::1"), "a", now), Duration::ZERO);
        assert_eq!(attempts.fail(address("9.9.9.9"), "a", now), Duration::ZERO);
        assert_eq!(attempts.fail(None, "a", now), Duration::ZERO);
        assert_eq!(attempts.fail(address("2001:db8::ffff:1"), "a", now), LONGEST_DELAY, "the same network");
    }

    #[test]
    fn a_success_forgives_one_name_at_one_address() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let (here, there) = (address("9.9.9.9"), address("8.8.8.8"));
        for _ in 0..5 {
            attempts.fail(here, "a", now);
            attempts.fail(here, "b", now);
            attempts.fail(there, "a", now);
        }
        attempts.succeed(here, "a");
        assert_eq!(attempts.fail(here, "c", now), FIRST_DELAY, "five of b are left");
        assert_eq!(attempts.fail(there, "c", now), FIRST_DELAY);
        attempts.succeed(there, "nobody");
        assert_eq!(attempts.fail(there, "c", now), FIRST_DELAY * 2);
    }

    #[test]
    fn who_does_not_wait_gets_no_further_attempts() {
        let (mut attempts, start, here) = (Attempts::default(), Instant::now(), address("9.9.9.9"));
        for _ in 0..12 {
            attempts.fail(here, "a", start);
        }
        for _ in 0..MAX_WAITS {
            assert_eq!(attempts.admit(here, start), Ok(()));
        }
        assert_eq!(attempts.admit(here, start), Err(TooMany));
        assert_eq!(attempts.admit(address("8.8.8.8"), start), Ok(()));
        assert_eq!(attempts.admit(here, start + LONGEST_DELAY), Ok(()));
        attempts.succeed(here, "b");
        for _ in 0..MAX_WAITS {
            assert_eq!(attempts.admit(here, start + LONGEST_DELAY), Ok(()), "a success costs no wait");
        }
    }

    #[test]
    fn the_table_stays_small_and_drops_the_oldest() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        let nth = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        for number in 0..u32::try_from(MAX_CLIENTS).unwrap() + 10 {
            attempts.fail(nth(number), "a", start + Duration::from_micros(number.into()));
        }
        assert_eq!(attempts.clients.len(), MAX_CLIENTS);
        assert!(!attempts.clients.contains_key(&Client(nth(9))) && attempts.clients.contains_key(&Client(nth(10))));
        attempts.fail(nth(u32::MAX), "a", start + WINDOW * 2);
        assert_eq!(attempts.clients.len(), 1);
    }

    proptest! {
        /// However it mixes names, one address alone, always waiting, guesses a few times a minute at most.
        #[test]
        fn guesses_are_few(names in prop::collection::vec(0_u8..4, 200)) {
            let (mut attempts, start, here) = (Attempts::default(), Instant::now(), address("9.9.9.9"));
            let (mut now, mut guesses) = (start, 0);
            for name in names {
                if now > start + SECOND * 600 {
                    break;
                }
                now += attempts.fail(here, &name.to_string(), now);
                guesses += 1;
            }
            prop_assert!(guesses <= 150, "{} guesses", guesses);
        }
    }
}

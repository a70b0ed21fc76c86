//! How long somebody who failed to log in has to wait for the answer.
//!
//! Who gives up waiting gains nothing: the wait is booked before the password is looked at, and an address has only so
//! many waits at a time. Who asks many times at once gains nothing: guesses that are being checked count as failures.
//! Who logged in a short while ago does not suffer from others at the same address.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use steward_gateway::network;

use super::credentials::Credentials;

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
/// Logins of one address that may be checked at a time.
const MAX_CHECKS: usize = 64;
/// Addresses with failures that are remembered.
const MAX_CLIENTS: usize = 10_000;
/// How long somebody who logged in is known at the address.
const KNOWN_TIME: Duration = Duration::from_hours(1);
/// How often a minute somebody who is known may try although the address has as many waits as it may.
const TRIES_OF_KNOWN: usize = 3;
/// How many are known.
const MAX_KNOWN: usize = 10_000;

/// The address has as many waits or checks as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// The failures of the last minute, and the successes of the last hour.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    clients: HashMap<Client, Record>,
    known: HashMap<(Client, u64), Known>,
    hasher: RandomState,
}

/// One that is being checked. It has to be given back as failed, succeeded or abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) struct Attempt {
    client: Client,
    /// A digest of the name.
    user: u64,
    /// A digest of the name and the password.
    guess: u64,
    wait: Option<Instant>,
}

/// One address, or the network of one subscriber; `None` for those that have no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client(Option<IpAddr>);

#[derive(Debug, Default)]
struct Record {
    /// When, and a digest of whose name, oldest first.
    failures: VecDeque<(Instant, u64)>,
    /// Until when.
    waits: Vec<Instant>,
    /// The guesses that are being checked, and how often each is.
    checks: HashMap<u64, usize>,
}

/// Somebody who logged in.
#[derive(Debug)]
struct Known {
    login_time: Instant,
    tries: Vec<Instant>,
}

impl Attempts {
    /// Allows an attempt whose outcome is not known yet, and books its wait in case that it fails.
    pub(super) fn admit(
        &mut self,
        address: Option<IpAddr>,
        credentials: &Credentials,
        now: Instant,
    ) -> Result<Attempt, TooMany> {
        let client = Client::of(address);
        let user = self.hasher.hash_one(credentials.user());
        let guess = self.hasher.hash_one(credentials.as_bytes());
        let record = self.record(client, now);
        // Equal guesses come from a program that asks for several things at once, and tell no more than one.
        let others = record.checks.keys().filter(|other| **other != guess).count();
        let is_checked = others < record.checks.len();
        let delay = delay(record.failures.len() + others + 1);
        let has_no_wait = !delay.is_zero() && record.waits.len() >= MAX_WAITS;
        let has_no_check = record.checks.values().sum::<usize>() >= MAX_CHECKS;
        if (has_no_wait || has_no_check) && !self.lets_known_pass((client, user), is_checked && !has_no_check, now) {
            return Err(TooMany);
        }
        let wait = (!delay.is_zero()).then(|| now + delay);
        let record = self.record(client, now);
        record.waits.extend(wait);
        *record.checks.entry(guess).or_default() += 1;
        Ok(Attempt { client, user, guess, wait })
    }

    /// Notes that an attempt failed. Returns how long the answer has to wait.
    pub(super) fn fail(&mut self, attempt: Attempt, now: Instant) -> Duration {
        let record = self.record(attempt.client, now);
        record.end_check(attempt.guess);
        record.fail(attempt.user, now)
    }

    /// Notes a failure of nobody in particular that took no time to find. Returns how long the answer has to wait.
    pub(super) fn fail_at_once(&mut self, address: Option<IpAddr>, now: Instant) -> Result<Duration, TooMany> {
        let record = self.record(Client::of(address), now);
        if record.waits.len() >= MAX_WAITS {
            return Err(TooMany);
        }
        let delay = record.fail(0, now);
        if !delay.is_zero() {
            record.waits.push(now + delay);
        }
        Ok(delay)
    }

    /// Notes that an attempt succeeded. What the same address tried under other names still counts.
    pub(super) fn succeed(&mut self, attempt: Attempt, now: Instant) {
        if let Some(record) = self.clients.get_mut(&attempt.client) {
            record.failures.retain(|(_, failed)| *failed != attempt.user);
        }
        self.abandon(attempt);
        if self.known.len() >= MAX_KNOWN {
            self.known.retain(|_, known| now < known.login_time + KNOWN_TIME);
            if self.known.len() >= MAX_KNOWN {
                let oldest = self.known.iter().min_by_key(|(_, known)| known.login_time).map(|(who, _)| *who);
                oldest.and_then(|who| self.known.remove(&who));
            }
        }
        self.known.insert((attempt.client, attempt.user), Known { login_time: now, tries: Vec::new() });
    }

    /// Notes that nobody found out about an attempt.
    pub(super) fn abandon(&mut self, attempt: Attempt) {
        let Some(record) = self.clients.get_mut(&attempt.client) else { return };
        record.end_check(attempt.guess);
        if let Some(index) = record.waits.iter().position(|wait| Some(*wait) == attempt.wait) {
            record.waits.swap_remove(index);
        }
        if record.failures.is_empty() && record.checks.is_empty() {
            self.clients.remove(&attempt.client);
        }
    }

    /// Whether who makes this attempt logged in from there a while ago.
    pub(super) fn is_known(&self, attempt: &Attempt, now: Instant) -> bool {
        let known = self.known.get(&(attempt.client, attempt.user));
        known.is_some_and(|known| now < known.login_time + KNOWN_TIME)
    }

    #[cfg(test)]
    pub(super) fn count(&self, address: Option<IpAddr>) -> usize {
        self.clients.get(&Client::of(address)).map_or(0, |record| record.failures.len())
    }

    /// Whether somebody logged in here a while ago and has a try left, or needs none.
    fn lets_known_pass(&mut self, who: (Client, u64), is_checked: bool, now: Instant) -> bool {
        let Some(known) = self.known.get_mut(&who).filter(|known| now < known.login_time + KNOWN_TIME) else {
            return false;
        };
        known.tries.retain(|time| now < *time + WINDOW);
        let has_try = known.tries.len() < TRIES_OF_KNOWN;
        if has_try && !is_checked {
            known.tries.push(now);
        }
        has_try || is_checked
    }

    fn record(&mut self, client: Client, now: Instant) -> &mut Record {
        if !self.clients.contains_key(&client) && self.clients.len() >= MAX_CLIENTS {
            self.make_room(now);
        }
        let record = self.clients.entry(client).or_default();
        record.forget(now);
        record
    }

    fn make_room(&mut self, now: Instant) {
        let counts = |record: &Record| record.newest().is_some_and(|failed| now < failed + WINDOW);
        self.clients.retain(|_, record| counts(record) || !record.checks.is_empty());
        if self.clients.len() >= MAX_CLIENTS {
            let oldest = self.clients.iter().min_by_key(|(_, record)| record.newest()).map(|(client, _)| *client);
            oldest.and_then(|client| self.clients.remove(&client));
        }
    }
}

impl Client {
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        Client(address.map(network))
    }
}

impl Record {
    fn forget(&mut self, now: Instant) {
        self.failures.retain(|(time, _)| now < *time + WINDOW);
        self.waits.retain(|end| now < *end);
    }

    fn fail(&mut self, user: u64, now: Instant) -> Duration {
        if self.failures.len() >= REMEMBERED_FAILURES {
            self.failures.pop_front();
        }
        self.failures.push_back((now, user));
        delay(self.failures.len())
    }

    fn end_check(&mut self, guess: u64) {
        if let Some(count) = self.checks.get_mut(&guess) {
            *count -= 1;
            if *count == 0 {
                self.checks.remove(&guess);
            }
        }
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
mod tests;

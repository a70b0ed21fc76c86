//! How long somebody waits for the answer who brings tokens that are not good.
//!
//! They are counted apart from passwords, and only after they were refused: nobody else at the address is kept from
//! signing in. Every token ends one day, so where others are let in, or were a while ago, nobody waits.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::attempts::{Attempts, Client, TooMany};
use super::logins::{count_failure, report};
use super::refusal::too_many;
use crate::error::{Category, Failure};

/// How many answers may wait at a time.
const MAX_WAITING: usize = 128;
/// How long an address is known at which somebody was let in.
const KNOWN_TIME: Duration = Duration::from_hours(1);
/// How often that is noted anew.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);
/// How many are known.
const MAX_KNOWN: usize = 10_000;
/// How often the refusals at such an address are logged.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The tokens that were refused.
pub(super) struct TokenFailures {
    state: Mutex<State>,
    waiting: Semaphore,
}

#[derive(Default)]
struct State {
    attempts: Attempts,
    known: HashMap<Client, Known>,
    /// Where somebody was let in last, and when that was noted: of calls that follow each other only the first is.
    latest: Option<(Client, Instant)>,
}

/// An address at which somebody was let in.
struct Known {
    time: Instant,
    logged: Option<Instant>,
}

/// What a refusal costs.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    delay: Duration,
    is_logged: bool,
}

impl Default for TokenFailures {
    fn default() -> Self {
        TokenFailures { state: Mutex::default(), waiting: Semaphore::new(MAX_WAITING) }
    }
}

impl TokenFailures {
    /// Notes that somebody was let in.
    pub(super) fn succeed(&self, address: Option<IpAddr>) {
        self.state.lock().succeed(address, Instant::now());
    }

    /// Passes on why a token is refused, after a while where that happens too often. `user` is who it was said to be of.
    pub(super) async fn refuse(&self, address: Option<IpAddr>, user: &str, failure: Failure) -> Failure {
        if failure.category() != Category::Unauthenticated {
            return failure;
        }
        let Ok(cost) = self.state.lock().fail(address, Instant::now()) else { return too_many() };
        count_failure();
        if cost.is_logged {
            report(address, user, Some(failure.message()));
        }
        if !cost.delay.is_zero() {
            let Ok(_place) = self.waiting.try_acquire() else { return too_many() };
            tokio::time::sleep(cost.delay).await;
        }
        failure
    }
}

impl State {
    fn succeed(&mut self, address: Option<IpAddr>, now: Instant) {
        let client = Client::of(address);
        if self.latest.is_some_and(|(latest, time)| latest == client && now < time + NOTE_INTERVAL) {
            return;
        }
        self.latest = Some((client, now));
        if let Some(known) = self.known.get_mut(&client) {
            known.time = now;
            return;
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.retain(|_, known| now < known.time + KNOWN_TIME);
        }
        if self.known.len() >= MAX_KNOWN {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.time).map(|(client, _)| *client);
            oldest.and_then(|client| self.known.remove(&client));
        }
        self.known.insert(client, Known { time: now, logged: None });
    }

    fn fail(&mut self, address: Option<IpAddr>, now: Instant) -> Result<Cost, TooMany> {
        let known = self.known.get_mut(&Client::of(address)).filter(|known| now < known.time + KNOWN_TIME);
        let Some(known) = known else {
            return self.attempts.fail_at_once(address, now).map(|delay| Cost { delay, is_logged: true });
        };
        let is_logged = known.logged.is_none_or(|logged| now >= logged + LOG_INTERVAL);
        if is_logged {
            known.logged = Some(now);
        }
        Ok(Cost { delay: Duration::ZERO, is_logged })
    }
}

impl fmt::Debug for TokenFailures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokenFailures").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[expect(clippy::unnecessary_wraps, reason = "so the tests read as the calls do")]
    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn who_brings_one_bad_token_after_the_other_waits_longer_and_longer() {
        let (mut state, now, here) = (State::default(), Instant::now(), address("9.9.9.9"));
        let costs: Vec<_> = (0..20).map(|_| state.fail(here, now)).collect();
        assert!(costs[..5].iter().all(|cost| *cost == Ok(Cost { delay: Duration::ZERO, is_logged: true })));
        assert_eq!(costs[5], Ok(Cost { delay: SECOND / 4, is_logged: true }));
        assert_eq!(costs[7], Ok(Cost { delay: SECOND, is_logged: true }));
        assert_eq!(costs[19], Err(TooMany), "as many wait as may");
        let elsewhere = state.fail(address("8.8.8.8"), now);
        assert_eq!(elsewhere, Ok(Cost { delay: Duration::ZERO, is_logged: true }), "others do not");
    }

    #[test]
    fn where_somebody_is_let_in_nobody_waits_and_the_log_is_spared() {
        let (mut state, now, here) = (State::default(), Instant::now(), address("9.9.9.9"));
        state.succeed(here, now);
        let cost = |is_logged| Ok(Cost { delay: Duration::ZERO, is_logged });
        assert_eq!(state.fail(here, now), cost(true));
        assert!((0..100).all(|_| state.fail(here, now) == cost(false)));
        assert_eq!(state.fail(here, now + SECOND), cost(true));
        for _ in 0..5 {
            assert_eq!(state.fail(here, now + KNOWN_TIME), cost(true));
        }
        assert_ne!(state.fail(here, now + KNOWN_TIME), cost(true), "that was long ago");
    }

    #[test]
    fn only_so_many_addresses_are_known() {
        let (mut state, now) = (State::default(), Instant::now());
        for number in 0..=u32::try_from(MAX_KNOWN).unwrap() {
            state.succeed(Some(std::net::Ipv4Addr::from(number).into()), now + Duration::from_micros(number.into()));
        }
        assert_eq!(state.known.len(), MAX_KNOWN);
        assert!(!state.known.contains_key(&Client::of(address("0.0.0.0"))), "the oldest had to go");
    }
}

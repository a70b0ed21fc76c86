//! The settings of how much one caller may ask at a time, and how much all together.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use crate::auth::is_user_name;

/// More requests a second are as good as no limit.
const MAX_RATE: u32 = 1_000_000;
/// More calls at a time, too.
const MAX_CONCURRENT: u32 = 1_000_000;
/// Less would not take a message of an upload and its answer.
const LEAST_BYTES: u64 = 1024 * 1024;
/// How many calls an address may have open without a user, unless a setting says so: nobody knows who that is.
const STRANGERS_CONCURRENT: u32 = 1000;
/// How many bytes of such calls may be under way.
const STRANGERS_BYTES: u64 = 128 * 1024 * 1024;
/// Nobody waits longer.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// How much one caller may ask at a time, and how much all together. Zero: as much as they like.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How many calls a second a user may make.
    pub requests_per_second: u32,
    /// How many of them may come at once. Zero: as many as come in a second.
    pub burst: u32,
    /// How many calls and streams a user may have open.
    pub concurrent: u32,
    /// How many bytes of a user may be under way: of requests that services have not taken, and of answers that the
    /// user has not.
    pub bytes_in_flight: u64,
    /// The same for calls without a user, by the address that they come from. Processes of this machine have none.
    pub address_requests_per_second: u32,
    /// How many of them may come at once.
    pub address_burst: u32,
    /// How many calls and streams an address may have open.
    pub address_concurrent: u32,
    /// How many bytes of an address may be under way.
    pub address_bytes_in_flight: u64,
    /// How many bytes of requests may be in memory, of all callers together.
    pub memory: u64,
    /// How long a call waits for room for its bytes before it is refused.
    #[serde(with = "duration")]
    pub wait: Duration,
    /// What is different for single users.
    pub users: BTreeMap<String, UserLimits>,
}

/// What is different for one user; what is not named is as for the others.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct UserLimits {
    /// How many calls a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// How many of them may come at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// How many calls and streams may be open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
    /// How many bytes may be under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_in_flight: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            requests_per_second: 0,
            burst: 0,
            concurrent: 0,
            bytes_in_flight: 0,
            address_requests_per_second: 0,
            address_burst: 0,
            address_concurrent: STRANGERS_CONCURRENT,
            address_bytes_in_flight: STRANGERS_BYTES,
            memory: 1024 * 1024 * 1024,
            wait: Duration::from_secs(5),
            users: BTreeMap::new(),
        }
    }
}

impl Limits {
    /// The setting that cannot be, and what is wrong with it.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let is_odd = |bytes: u64| (1..LEAST_BYTES).contains(&bytes);
        let users = || self.users.values();
        let rates = [
            ("limits.requests_per_second", self.requests_per_second),
            ("limits.burst", self.burst),
            ("limits.concurrent", self.concurrent),
            ("limits.address_requests_per_second", self.address_requests_per_second),
            ("limits.address_burst", self.address_burst),
            ("limits.address_concurrent", self.address_concurrent),
        ];
        if let Some((setting, _)) = rates.into_iter().find(|(_, value)| *value > MAX_RATE.max(MAX_CONCURRENT)) {
            return Some((setting, "is more than 1000000; 0 is no limit"));
        }
        let of_users = users().flat_map(|user| [user.requests_per_second, user.burst, user.concurrent]).flatten();
        if of_users.max().is_some_and(|value| value > MAX_RATE.max(MAX_CONCURRENT)) {
            return Some(("limits.users", "has a number that is more than 1000000; 0 is no limit"));
        }
        let bytes = [
            ("limits.bytes_in_flight", self.bytes_in_flight),
            ("limits.address_bytes_in_flight", self.address_bytes_in_flight),
            ("limits.memory", self.memory),
        ];
        if let Some((setting, _)) = bytes.into_iter().find(|(_, value)| is_odd(*value)) {
            return Some((setting, "has to be 1 MiB at least, or 0 for no limit"));
        }
        if users().filter_map(|user| user.bytes_in_flight).any(is_odd) {
            return Some(("limits.users", "has a bytes_in_flight that is neither 0 nor 1 MiB at least"));
        }
        if self.wait > LONGEST_WAIT {
            return Some(("limits.wait", "is longer than ten minutes"));
        }
        self.users.keys().any(|name| !is_user_name(name)).then_some(("limits.users", "has a name that nobody can have"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(change: impl FnOnce(&mut Limits)) -> Option<&'static str> {
        let mut limits = Limits::default();
        change(&mut limits);
        limits.problem().map(|(setting, _)| setting)
    }

    #[test]
    fn what_cannot_be_is_named() {
        assert_eq!(problem(|_| {}), None);
        assert_eq!(problem(|limits| limits.burst = 1_000_001), Some("limits.burst"));
        assert_eq!(problem(|limits| limits.memory = 1), Some("limits.memory"));
        assert_eq!(problem(|limits| limits.memory = 0), None);
        assert_eq!(problem(|limits| limits.wait = Duration::from_secs(601)), Some("limits.wait"));
        let user = |name: &str, user: UserLimits| problem(|limits| limits.users = [(name.to_owned(), user)].into());
        assert_eq!(user("alice", UserLimits::default()), None);
        assert_eq!(user("a/b", UserLimits::default()), Some("limits.users"));
        let many = UserLimits { concurrent: Some(2_000_000), ..UserLimits::default() };
        assert_eq!(user("alice", many), Some("limits.users"));
        let few = UserLimits { bytes_in_flight: Some(5), ..UserLimits::default() };
        assert_eq!(user("alice", few), Some("limits.users"));
    }
}

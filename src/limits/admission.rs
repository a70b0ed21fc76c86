//! Which limits hold for a call.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::account::{Account, Allowance, Kind};
use super::accounts::Accounts;
use super::call::Call;
use super::purse::Budget;
use super::refusal::{Limit, Refusal, Scope};
use crate::auth::Grants;
use crate::config;

/// Of the memory for all, one caller has such a part at most.
const SHARES: u64 = 4;

/// The limits of a server. Clones count together.
#[derive(Clone, Default)]
pub struct Limits(Option<Arc<State>>);

struct State {
    /// What times are told by.
    start: Instant,
    users: Accounts<Box<str>>,
    of_users: Allowance,
    /// Those that are not as all others.
    of_some: HashMap<String, Allowance>,
    addresses: Accounts<Address>,
    of_addresses: Allowance,
    memory: Option<Budget>,
}

/// An address, or the network of one subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Address(IpAddr);

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        *address
    }
}

impl Limits {
    /// As the settings have it. The metrics have to be started.
    pub fn from_config(limits: &config::Limits) -> Self {
        let of_users = Allowance {
            requests_per_second: limits.requests_per_second,
            burst: limits.burst,
            concurrent: limits.concurrent,
            bytes: limits.bytes_in_flight,
        };
        let of_addresses = Allowance {
            requests_per_second: limits.address_requests_per_second,
            burst: limits.address_burst,
            concurrent: limits.address_concurrent,
            bytes: limits.address_bytes_in_flight,
        };
        let of_some: HashMap<_, _> =
            limits.users.iter().map(|(name, own)| (name.clone(), own_of(own, of_users))).collect();
        let is_unlimited = of_some.values().chain([&of_users, &of_addresses]).all(Allowance::is_unlimited);
        if is_unlimited && limits.memory == 0 {
            return Limits(None);
        }
        count_from_zero();
        let kind = |scope: Scope| Kind {
            scope,
            wait: limits.wait,
            calls: metrics::gauge!("steward_limits_calls", "scope" => scope.label()),
            bytes: gauge_of_bytes(scope),
            share: limits.memory.div_ceil(SHARES),
        };
        let memory =
            (limits.memory > 0).then(|| Budget::new(limits.memory, limits.wait, gauge_of_bytes(Scope::Server)));
        Limits(Some(Arc::new(State {
            start: Instant::now(),
            users: Accounts::new(kind(Scope::User), of_users),
            of_users,
            of_some,
            addresses: Accounts::new(kind(Scope::Address), of_addresses),
            of_addresses,
            memory,
        })))
    }

    /// Takes a call of this caller; `None` when nothing of it is counted.
    pub(super) fn admit(&self, grants: Option<&Grants>) -> Result<Option<Arc<Call>>, Refusal> {
        let Some(state) = &self.0 else { return Ok(None) };
        let now = u64::try_from(state.start.elapsed().as_nanos()).unwrap_or(u64::MAX / 2);
        let account = grants.and_then(|grants| state.account(grants, now));
        if let Some(account) = &account {
            account.enter(now)?;
        }
        if account.is_none() && state.memory.is_none() {
            return Ok(None);
        }
        Ok(Some(Arc::new(Call::new(account, state.memory.clone()))))
    }
}

impl State {
    /// The account that a call counts for, if its caller is limited, in what it asks or in its share of the memory.
    fn account(&self, grants: &Grants, now: u64) -> Option<Arc<Account>> {
        let identity = grants.caller();
        let is_counted = |allowance: &Allowance| self.memory.is_some() || !allowance.is_unlimited();
        if let Some(user) = &identity.user {
            let allowance = self.of_some.get(user).copied().unwrap_or(self.of_users);
            let find = || self.users.of(user.as_str(), allowance, now);
            return is_counted(&allowance).then(|| grants.keep(find));
        }
        // Who has none, or one of this machine, is a process of this machine; it may be a proxy of many.
        let address = identity.address.filter(|address| !address.is_loopback() && is_counted(&self.of_addresses))?;
        Some(self.addresses.of(&Address(steward_gateway::network(address)), self.of_addresses, now))
    }
}

fn own_of(own: &config::UserLimits, others: Allowance) -> Allowance {
    // A burst that goes with another rate says nothing of this one.
    let burst = if own.requests_per_second.is_some() { 0 } else { others.burst };
    Allowance {
        requests_per_second: own.requests_per_second.unwrap_or(others.requests_per_second),
        burst: own.burst.unwrap_or(burst),
        concurrent: own.concurrent.unwrap_or(others.concurrent),
        bytes: own.bytes_in_flight.unwrap_or(others.bytes),
    }
}

fn gauge_of_bytes(scope: Scope) -> metrics::Gauge {
    metrics::gauge!("steward_limits_bytes", "scope" => scope.label())
}

/// Whoever reads the metrics sees a first refusal as one more, and not as a new line.
fn count_from_zero() {
    let scopes = |limit| match limit {
        Limit::Requests | Limit::Calls | Limit::Bytes | Limit::Share => &[Scope::User, Scope::Address][..],
        Limit::Memory => &[Scope::Server],
    };
    for limit in Limit::ALL {
        for scope in scopes(limit) {
            metrics::counter!("steward_limits_refused_total", "limit" => limit.label(), "scope" => scope.label())
                .increment(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Identity;
    use crate::config::UserLimits;

    fn caller(user: Option<&str>, address: &str) -> Grants {
        let user = user.map(str::to_owned);
        Grants::everything_for(Identity { user, address: address.parse().ok(), ..Identity::default() })
    }

    fn limits(change: impl FnOnce(&mut config::Limits)) -> Limits {
        let none = config::Limits { address_concurrent: 0, address_bytes_in_flight: 0, ..config::Limits::default() };
        let mut config = config::Limits { memory: 0, ..none };
        change(&mut config);
        Limits::from_config(&config)
    }

    /// How many of ten calls are taken.
    fn taken(limits: &Limits, caller: &Grants) -> usize {
        let calls: Vec<_> = (0..10).filter_map(|_| limits.admit(Some(caller)).ok()).collect();
        calls.len()
    }

    #[test]
    fn without_a_setting_nothing_is_counted() {
        assert!(limits(|_| {}).0.is_none());
        let memory = limits(|config| config.memory = 1 << 20);
        assert_eq!(taken(&memory, &caller(Some("alice"), "192.0.2.1")), 10);
    }

    #[test]
    fn strangers_are_limited_without_a_setting_and_users_are_not() {
        let limits = Limits::from_config(&config::Limits::default());
        let open = |user| {
            let calls: Vec<_> = (0..2000).map(|_| limits.admit(Some(&caller(user, "192.0.2.1")))).collect();
            calls.iter().filter(|call| call.is_ok()).count()
        };
        assert_eq!((open(None), open(Some("alice"))), (1000, 2000));
    }

    #[test]
    fn users_count_by_name_wherever_they_are_and_the_rest_by_address() {
        let limits = limits(|config| (config.concurrent, config.address_concurrent) = (3, 2));
        let held: Vec<_> = (0..3).map(|_| limits.admit(Some(&caller(Some("alice"), "192.0.2.1")))).collect();
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(taken(&limits, &caller(Some("alice"), "192.0.2.9")), 0);
        assert_eq!(taken(&limits, &caller(Some("bob"), "192.0.2.1")), 3);
        assert_eq!(taken(&limits, &caller(None, "192.0.2.1")), 2);
        drop(held);
        assert_eq!(taken(&limits, &caller(Some("alice"), "192.0.2.9")), 3);
    }

    #[test]
    fn subscribers_count_as_one_and_processes_of_this_machine_not_at_all() {
        let limits = limits(|config| config.address_concurrent = 1);
        let _held = limits.admit(Some(&caller(None, "2001:db8::1"))).unwrap();
        assert_eq!(taken(&limits, &caller(None, "2001:db8::2")), 0);
        assert_eq!(taken(&limits, &caller(None, "2001:db8:0:1::2")), 1);
        for local in ["127.0.0.1", "::1", "a Unix socket"] {
            assert_eq!(taken(&limits, &caller(None, local)), 10, "{local}");
        }
        assert!(matches!(limits.admit(None), Ok(None)), "the server itself");
    }

    #[test]
    fn single_users_may_have_more_or_less() {
        let limits = limits(|config| {
            (config.concurrent, config.requests_per_second, config.burst) = (2, 1, 5);
            let own = |name: &str, own| {
                config.users.insert(name.to_owned(), own);
            };
            let mut own = own;
            own("more", UserLimits { concurrent: Some(4), ..UserLimits::default() });
            let unlimited = UserLimits { concurrent: Some(0), requests_per_second: Some(0), ..UserLimits::default() };
            own("root", unlimited);
            own("slow", UserLimits { requests_per_second: Some(1), ..UserLimits::default() });
        });
        let taken = |name| taken(&limits, &caller(Some(name), "192.0.2.1"));
        assert_eq!((taken("others"), taken("more"), taken("root"), taken("slow")), (2, 4, 10, 1));
    }
}

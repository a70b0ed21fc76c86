//! The callers that are counted. Their number is bounded: what is forgotten first is whom nothing is counted of any more.

use std::borrow::Borrow;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use parking_lot::Mutex;

use super::account::{Account, Allowance, Kind};

/// Calls of different callers seldom wait for each other.
const SHARDS: usize = 32;
/// Callers of one shard that are counted apart; all further ones count as one.
const MAX_ACCOUNTS: usize = 2048;
/// How often a full shard is searched for those that can be forgotten, in nanoseconds.
const SWEEP_INTERVAL: u64 = 1_000_000_000;

/// The callers of one scope by their names.
pub(super) struct Accounts<K> {
    shards: Box<[Mutex<Shard<K>>]>,
    hasher: RandomState,
    kind: Kind,
    /// Whoever finds no place.
    others: Arc<Account>,
}

struct Shard<K> {
    accounts: HashTable<(K, Arc<Account>)>,
    sweep_time: u64,
}

impl<K: Hash + Eq> Accounts<K> {
    /// Whoever finds no place of their own shares `allowance` with all others who do not.
    pub(super) fn new(kind: Kind, allowance: Allowance) -> Self {
        let shard = || Mutex::new(Shard { accounts: HashTable::new(), sweep_time: 0 });
        let others = Arc::new(Account::new(&kind, allowance));
        Accounts { shards: (0..SHARDS).map(|_| shard()).collect(), hasher: RandomState::new(), kind, others }
    }

    /// The account of `name`, made with this allowance if it is new.
    pub(super) fn of<Q>(&self, name: &Q, allowance: Allowance, now: u64) -> Arc<Account>
    where
        K: Borrow<Q> + for<'a> From<&'a Q>,
        Q: Hash + Eq + ?Sized,
    {
        // One hash finds the shard and the place in it, by different bits: those at its end are the place's.
        let hash = self.hasher.hash_one(name);
        let mut shard = self.shards[usize::try_from(hash >> 32).unwrap_or_default() % SHARDS].lock();
        if let Some((_, account)) = shard.accounts.find(hash, |(key, _)| key.borrow() == name) {
            return Arc::clone(account);
        }
        if shard.accounts.len() >= MAX_ACCOUNTS && !shard.has_room(now) {
            return Arc::clone(&self.others);
        }
        let account = Arc::new(Account::new(&self.kind, allowance));
        let rehash = |(key, _): &(K, _)| self.hasher.hash_one(key.borrow());
        shard.accounts.insert_unique(hash, (name.into(), Arc::clone(&account)), rehash);
        account
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().accounts.len()).sum()
    }
}

impl<K: Hash + Eq> Shard<K> {
    fn has_room(&mut self, now: u64) -> bool {
        if now < self.sweep_time.saturating_add(SWEEP_INTERVAL) {
            return false;
        }
        self.sweep_time = now;
        // Accounts are handed out under the lock, so nobody gets one that is just being forgotten.
        self.accounts.retain(|(_, account)| Arc::strong_count(account) > 1 || !account.is_rested(now));
        self.accounts.len() < MAX_ACCOUNTS
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics::Gauge;

    use super::*;
    use crate::limits::refusal::Scope;

    const ONCE: Allowance = Allowance { requests_per_second: 1, burst: 1, concurrent: 0, bytes: 0 };
    const ALL: usize = SHARDS * MAX_ACCOUNTS;

    fn accounts() -> Accounts<Box<str>> {
        let kind =
            Kind { scope: Scope::User, wait: Duration::ZERO, calls: Gauge::noop(), bytes: Gauge::noop(), share: 0 };
        Accounts::new(kind, ONCE)
    }

    #[test]
    fn everybody_has_an_account_of_their_own() {
        let accounts = accounts();
        assert!(accounts.of("alice", ONCE, 0).enter(0).is_ok());
        assert!(accounts.of("alice", ONCE, 0).enter(0).is_err());
        assert!(accounts.of("bob", ONCE, 0).enter(0).is_ok());
        assert_eq!(accounts.len(), 2);
    }

    #[test]
    fn there_are_never_more_than_there_may_be_and_who_asked_lately_is_not_forgotten() {
        let (accounts, now) = (accounts(), 2 * SWEEP_INTERVAL);
        for number in 0..2 * ALL {
            let _ = accounts.of(number.to_string().as_str(), ONCE, now).enter(now);
        }
        assert!(accounts.len() <= ALL, "{}", accounts.len());
        assert!(accounts.of("0", ONCE, now).enter(now).is_err(), "it has asked");
        let held: Vec<_> = (0..10).map(|number: u32| accounts.of(number.to_string().as_str(), ONCE, now)).collect();
        let later = 2 * now;
        for number in 2 * ALL..4 * ALL {
            accounts.of(number.to_string().as_str(), ONCE, later);
        }
        assert!(accounts.len() <= ALL, "{}", accounts.len());
        for (number, account) in held.iter().enumerate() {
            let same = accounts.of(number.to_string().as_str(), ONCE, later);
            assert!(Arc::ptr_eq(account, &same), "what is in use stays");
        }
    }
}

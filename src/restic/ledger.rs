//! Who uses how much, and who may: the books of all repositories.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::error::Error;
use super::name::RepositoryPath;

/// What a repository holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// To whose quota it counts; empty: nobody's.
    pub(super) owner: String,
    /// Its own quota in bytes; 0: none.
    pub(super) max_bytes: u64,
    /// How many objects it has, its config included.
    pub(super) objects: u64,
    /// How many bytes they have.
    pub(super) bytes: u64,
    /// How many bytes are deleted and can be restored.
    pub(super) deleted: u64,
    /// How many bytes are promised to uploads that have begun.
    pub(super) reserved: u64,
}

impl Account {
    fn enter(&mut self, entry: Entry) {
        self.objects = self.objects.saturating_add_signed(entry.objects);
        self.bytes = self.bytes.saturating_add_signed(entry.bytes);
        self.deleted = self.deleted.saturating_add_signed(entry.deleted);
    }

    fn in_use(&self) -> u64 {
        self.bytes.saturating_add(self.deleted).saturating_add(self.reserved)
    }
}

/// A change of an account.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    pub(super) objects: i64,
    pub(super) bytes: i64,
    pub(super) deleted: i64,
}

impl Entry {
    /// Of an object that came.
    pub(super) fn added(size: u64) -> Self {
        Entry { objects: 1, bytes: signed(size), deleted: 0 }
    }

    /// Of an object that went.
    pub(super) fn removed(size: u64) -> Self {
        Entry { objects: -1, bytes: -signed(size), deleted: 0 }
    }

    /// Of bytes that were deleted and can be restored.
    pub(super) fn hidden(size: u64) -> Self {
        Entry { deleted: signed(size), ..Entry::default() }
    }

    /// Of bytes that can no longer be restored, or have been.
    pub(super) fn unhidden(size: u64) -> Self {
        Entry { deleted: -signed(size), ..Entry::default() }
    }

    /// Both together.
    pub(super) fn and(self, other: Entry) -> Self {
        Entry {
            objects: self.objects + other.objects,
            bytes: self.bytes.saturating_add(other.bytes),
            deleted: self.deleted.saturating_add(other.deleted),
        }
    }
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The books.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// How many bytes all repositories may have together; 0: no limit.
    max_bytes: u64,
    accounts: Mutex<HashMap<RepositoryPath, Account>>,
}

impl Ledger {
    /// Books with a quota for all repositories together; 0: none.
    pub(super) fn new(max_bytes: u64) -> Self {
        Ledger { max_bytes, accounts: Mutex::default() }
    }

    /// Opens the account of a repository, or gives it another owner and quota.
    pub(super) fn open(&self, path: &RepositoryPath, owner: &str, max_bytes: u64) {
        let mut accounts = self.accounts.lock();
        let account = accounts.entry(path.clone()).or_default();
        owner.clone_into(&mut account.owner);
        account.max_bytes = max_bytes;
    }

    /// Closes the account of a repository that is gone.
    pub(super) fn close(&self, path: &RepositoryPath) {
        self.accounts.lock().remove(path);
    }

    /// What a repository holds.
    pub(super) fn account(&self, path: &RepositoryPath) -> Account {
        self.accounts.lock().get(path).cloned().unwrap_or_default()
    }

    /// Enters a change.
    pub(super) fn enter(&self, path: &RepositoryPath, entry: Entry) {
        if let Some(account) = self.accounts.lock().get_mut(path) {
            account.enter(entry);
        }
    }

    /// Promises bytes to an upload, unless a quota has no room: that of the repository, of its owner
    /// (`owner_max_bytes`), or of all.
    pub(super) fn reserve(
        self: &Arc<Self>,
        path: &RepositoryPath,
        bytes: u64,
        owner_max_bytes: impl FnOnce(&str) -> u64,
    ) -> Result<Reservation, Error> {
        let mut accounts = self.accounts.lock();
        let Some(account) = accounts.get(path) else { return Err(Error::no_repository(path)) };
        check(|| format!("repository {path}"), account.max_bytes, account.in_use(), bytes)?;
        let owner_limit = if account.owner.is_empty() { 0 } else { owner_max_bytes(&account.owner) };
        if owner_limit > 0 {
            let of_owner = accounts.values().filter(|other| other.owner == account.owner);
            let used = of_owner.map(Account::in_use).fold(0, u64::saturating_add);
            check(|| format!("user {}", account.owner), owner_limit, used, bytes)?;
        }
        if self.max_bytes > 0 {
            let used = accounts.values().map(Account::in_use).fold(0, u64::saturating_add);
            check(|| "this server".to_owned(), self.max_bytes, used, bytes)?;
        }
        if let Some(account) = accounts.get_mut(path) {
            account.reserved = account.reserved.saturating_add(bytes);
        }
        Ok(Reservation { ledger: Arc::clone(self), path: path.clone(), bytes })
    }
}

fn check(whose: impl FnOnce() -> String, limit: u64, used: u64, more: u64) -> Result<(), Error> {
    if limit > 0 && used.saturating_add(more) > limit {
        return Err(Error::QuotaExceeded { whose: whose(), limit, used });
    }
    Ok(())
}

/// Bytes that were promised. Dropped, they are free again.
#[derive(Debug)]
pub(super) struct Reservation {
    ledger: Arc<Ledger>,
    path: RepositoryPath,
    bytes: u64,
}

impl Reservation {
    /// Takes another one into this.
    pub(super) fn join(&mut self, mut other: Reservation) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Turns what was promised into what is there, in one step: nobody sees both or neither.
    pub(super) fn settle(mut self, entry: Entry) {
        let promised = std::mem::take(&mut self.bytes);
        if let Some(account) = self.ledger.accounts.lock().get_mut(&self.path) {
            account.reserved = account.reserved.saturating_sub(promised);
            account.enter(entry);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        if let Some(account) = self.ledger.accounts.lock().get_mut(&self.path) {
            account.reserved = account.reserved.saturating_sub(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> RepositoryPath {
        RepositoryPath::parse(path).unwrap()
    }

    fn refused(result: Result<Reservation, Error>) -> String {
        result.expect_err("a refusal").to_string()
    }

    #[test]
    fn a_quota_counts_what_is_stored_hidden_and_promised() {
        let ledger = Arc::new(Ledger::new(0));
        ledger.open(&path("a"), "", 100);
        ledger.enter(&path("a"), Entry::added(40));
        ledger.enter(&path("a"), Entry::removed(10).and(Entry::hidden(10)));
        let no_limit = |_: &str| 0;
        let promised = ledger.reserve(&path("a"), 50, no_limit).unwrap();
        assert!(ledger.reserve(&path("a"), 10, no_limit).is_ok());
        let message = refused(ledger.reserve(&path("a"), 11, no_limit));
        assert_eq!(message, "repository a has a quota of 100 bytes, of which 90 are in use");
        drop(promised);
        assert!(ledger.reserve(&path("a"), 60, no_limit).is_ok());
        ledger.enter(&path("a"), Entry::unhidden(10));
        assert_eq!(ledger.account(&path("a")).bytes, 30);
        ledger.reserve(&path("a"), 70, no_limit).unwrap().settle(Entry::added(70));
        assert!(ledger.reserve(&path("a"), 1, no_limit).is_err());
        assert_eq!((ledger.account(&path("a")).bytes, ledger.account(&path("a")).reserved), (100, 0));
    }

    #[test]
    fn an_owner_has_one_quota_for_all_repositories() {
        let ledger = Arc::new(Ledger::new(1000));
        for repository in ["alice/a", "alice/b"] {
            ledger.open(&path(repository), "alice", 0);
        }
        ledger.open(&path("bob"), "bob", 0);
        let limit = |user: &str| if user == "alice" { 100 } else { 0 };
        let _first = ledger.reserve(&path("alice/a"), 70, limit).unwrap();
        assert!(refused(ledger.reserve(&path("alice/b"), 31, limit)).starts_with("user alice has"));
        let _bob = ledger.reserve(&path("bob"), 900, limit).unwrap();
        assert!(refused(ledger.reserve(&path("bob"), 31, limit)).starts_with("this server has"));
    }
}

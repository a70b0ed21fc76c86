//! The commands on leases.

use std::time::Duration;

use futures::StreamExt as _;

use super::error::Error;
use super::event::{Event, Kind};
use super::keys::{self, Due, LockDigest};
use super::lease::Lease;
use super::load::Who;
use super::locks::{Effect, Locks, lease_expired, random};
use super::model::{LeaseId, LockKey};
use super::records;
use super::release::HolderRef;
use crate::store::{Error as StoreError, Key, KeyRange, Record, Revision, Step, Table, Txn, update};

/// Grants of a lease that are ended at a time, so that they share flushes and hold up nothing else.
const BATCH: usize = 32;

/// A wish for a lease.
#[derive(Clone, Debug)]
pub(crate) struct NewLease {
    pub(crate) owner: String,
    pub(crate) ttl: Duration,
    pub(crate) max_lifetime: Option<Duration>,
}

impl Locks {
    /// Creates a lease.
    pub(crate) async fn create_lease(&self, wish: &NewLease) -> Result<(LeaseId, Lease), Error> {
        let id = LeaseId(random());
        let lease = Lease::new(&wish.owner, wish.ttl, wish.max_lifetime, self.clock.now());
        update(&*self.store, "a new lease", || async {
            Ok::<_, Error>(Step::Commit(put_lease(id, None, Some(&lease)), ()))
        })
        .await?;
        Ok((id, lease))
    }

    /// Reads a living lease, and some of the locks tied to it.
    pub(crate) async fn lease(&self, id: LeaseId, max_locks: usize) -> Result<(Lease, Vec<LockKey>), Error> {
        let (lease, _) = self.living_lease(id).await?;
        let page = self.store.scan(KeyRange::prefix(&keys::lease_grants(id)), max_locks).await?;
        let mut locks = Vec::new();
        for (key, record) in &page.records {
            locks.push(records::read_lock_ref(key, record)?.0);
        }
        self.store.settled().await?;
        Ok((lease, locks))
    }

    /// Whether something holds for every lock that is tied to a lease.
    pub(crate) async fn is_true_of_lease(&self, id: LeaseId, claim: impl Fn(&LockKey) -> bool) -> Result<bool, Error> {
        let mut range = KeyRange::prefix(&keys::lease_grants(id));
        loop {
            let page = self.store.scan(range.clone(), super::load::SCAN_PAGE).await?;
            for (key, record) in &page.records {
                if !claim(&records::read_lock_ref(key, record)?.0) {
                    return Ok(false);
                }
            }
            match page.records.last() {
                Some((key, _)) if page.has_more => range = range.after(key),
                _ => return Ok(true),
            }
            tokio::task::yield_now().await;
        }
    }

    async fn living_lease(&self, id: LeaseId) -> Result<(Lease, Revision), Error> {
        let loader = self.loader();
        let lease = loader.lease(id).await?.filter(|(lease, _)| lease.is_alive(loader.now));
        lease.ok_or_else(|| lease_expired(id))
    }

    /// Reads up to `limit` living leases behind `after`; also the key to go on from, if there are more.
    pub(crate) async fn leases(
        &self,
        after: Option<&Key>,
        limit: usize,
        is_wanted: impl Fn(&Lease) -> bool,
    ) -> Result<(Vec<(LeaseId, Lease)>, Option<Key>), Error> {
        let now = self.clock.now();
        let mut range = KeyRange::prefix(&Key::table(Table::Lease));
        if let Some(after) = after {
            range = range.after(after);
        }
        let (mut leases, mut last) = (Vec::new(), None);
        loop {
            let page = self.store.scan(range.clone(), super::load::SCAN_PAGE).await?;
            for (key, record) in &page.records {
                let lease = Lease::decode(key, record)?;
                let Some(id) = keys::lease_id(key).filter(|_| lease.is_alive(now) && is_wanted(&lease)) else {
                    continue;
                };
                if leases.len() == limit {
                    self.store.settled().await?;
                    return Ok((leases, last));
                }
                leases.push((id, lease));
                last = Some(key.clone());
            }
            match page.records.last() {
                Some((key, _)) if page.has_more => range = range.after(key),
                _ => break,
            }
            tokio::task::yield_now().await;
        }
        self.store.settled().await?;
        Ok((leases, None))
    }

    /// Extends a lease.
    pub(crate) async fn keep_alive(&self, id: LeaseId) -> Result<Lease, Error> {
        let attempt = || async {
            let (lease, revision) = self.living_lease(id).await?;
            let extended = lease.kept_alive(self.clock.now());
            let mut txn = put_lease(id, Some(&lease), Some(&extended));
            txn.expect(keys::lease(id), Some(revision));
            Ok::<_, Error>(Step::Commit(txn, extended))
        };
        Ok(update(&*self.store, "a lease", attempt).await?.0)
    }

    /// Ends a lease and releases all its locks as failed. Returns how many.
    pub(crate) async fn revoke_lease(&self, id: LeaseId) -> Result<u32, Error> {
        let attempt = || async {
            let (lease, revision) = self.living_lease(id).await?;
            let mut txn = put_lease(id, Some(&lease), Some(&lease.revoked(self.clock.now())));
            txn.expect(keys::lease(id), Some(revision));
            Ok::<_, Error>(Step::Commit(txn, ()))
        };
        update(&*self.store, "a lease", attempt).await?;
        self.bury_lease(id).await
    }

    /// Releases all locks of a lease that has ended, and then forgets it. Returns how many grants it ended.
    async fn bury_lease(&self, id: LeaseId) -> Result<u32, Error> {
        let mut ended = 0;
        loop {
            let (count, is_over) = self.bury_some(id).await?;
            ended += count;
            if is_over {
                return Ok(ended);
            }
        }
    }

    /// Does a bounded part of that, for a lease that is over by time as well; nothing when it lives. Safe to be repeated
    /// after a crash. Returns how many grants it ended, and whether there is nothing left to do.
    pub(crate) async fn bury_some(&self, id: LeaseId) -> Result<(u32, bool), Error> {
        if !self.mark_ended(id).await? {
            return Ok((0, true));
        }
        // No grant can be tied to it any more: that takes a precondition on a living lease.
        let page = self.store.scan(KeyRange::prefix(&keys::lease_grants(id)), BATCH).await?;
        let releases = page.records.iter().map(|(key, record)| self.release_lost(id, key.clone(), record.clone()));
        let results = futures::stream::iter(releases.collect::<Vec<_>>()).buffer_unordered(BATCH).collect::<Vec<_>>();
        let mut ended = 0;
        for result in results.await {
            ended += u32::from(result?);
        }
        if !page.has_more {
            self.forget_lease(id).await?;
        }
        Ok((ended, !page.has_more))
    }

    /// Makes the end of a lease a fact that no keep-alive undoes. Says whether the lease is over.
    async fn mark_ended(&self, id: LeaseId) -> Result<bool, Error> {
        let attempt = || async {
            let loader = self.loader();
            let Some((lease, revision)) = loader.lease(id).await? else { return Ok(Step::Answer(true)) };
            if lease.is_alive(loader.now) || lease.is_revoked {
                return Ok(Step::Answer(lease.is_revoked));
            }
            let mut txn = put_lease(id, Some(&lease), Some(&lease.ended()));
            txn.expect(keys::lease(id), Some(revision));
            Ok::<_, StoreError>(Step::Commit(txn, true))
        };
        Ok(update(&*self.store, "a lease", attempt).await?.0)
    }

    async fn release_lost(&self, id: LeaseId, tie: Key, record: Record) -> Result<bool, Error> {
        let (lock, owner) = records::read_lock_ref(&tie, &record)?;
        Ok(self.run(&lock, || self.try_release_lost(&lock, &owner, id)).await?.0)
    }

    async fn try_release_lost(&self, key: &LockKey, owner: &str, id: LeaseId) -> Result<Step<(bool, Effect)>, Error> {
        let loaded = self.load(key, Who::Owner(owner)).await?;
        let grant = loaded.state.find(&HolderRef::Owner(owner.to_owned())).cloned();
        let tie = keys::lease_grant(id, LockDigest::of(key), owner);
        let Some(grant) = grant.filter(|grant| grant.lifetime.lease == Some(id)) else {
            // The grant ended by itself in this moment; at most its tie is left.
            let mut txn = Txn::default();
            txn.delete(tie);
            return Ok(Step::Commit(txn, (false, Effect::default())));
        };
        self.decide(loaded, |state, cx| {
            state.end_grant(&grant);
            state.emit(Event::of_grant(Kind::LeaseLost, &grant, cx.now));
            state.serve_queue(cx);
            Ok(true)
        })
    }

    async fn forget_lease(&self, id: LeaseId) -> Result<(), Error> {
        let attempt = || async {
            let loader = self.loader();
            let Some((lease, revision)) = loader.lease(id).await? else { return Ok(Step::Answer(())) };
            if lease.is_alive(loader.now) {
                return Ok(Step::Answer(()));
            }
            let mut txn = put_lease(id, Some(&lease), None);
            txn.expect(keys::lease(id), Some(revision));
            Ok::<_, StoreError>(Step::Commit(txn, ()))
        };
        update(&*self.store, "a lease", attempt).await?;
        Ok(())
    }
}

/// Changes a lease together with its place in the deadline table.
fn put_lease(id: LeaseId, before: Option<&Lease>, after: Option<&Lease>) -> Txn {
    let mut txn = Txn::default();
    if let Some(before) = before {
        txn.delete(keys::deadline(before.deadline(), &Due::Lease(id)));
    }
    match after {
        Some(after) => {
            txn.put(keys::deadline(after.deadline(), &Due::Lease(id)), Vec::new());
            txn.put(keys::lease(id), after.encode());
        }
        None => txn.delete(keys::lease(id)),
    }
    txn
}

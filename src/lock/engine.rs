//! The loops of locking: what is over at a time, and the records of dismissed queues.

use async_trait::async_trait;
use futures::StreamExt as _;
use steward_proto::store::v1 as pb;

use super::error::Error;
use super::keys::{self, Due, LockDigest};
use super::load::{Loader, Who};
use super::locks::Locks;
use super::records;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::{self, Key, KeyRange, Record, Step, Table, Txn, update};

/// Deadlines that one activation looks at.
const DUE_BATCH: usize = 256;
/// How many of them are worked on at a time, so that they share flushes.
const DUE_AT_A_TIME: usize = 64;
/// Dismissed queues that one activation works on.
const PURGE_BATCH: usize = 16;
/// Waiters that one commit removes: two records each.
const PURGED_WAITERS: usize = 45;

/// Ends grants, claims, completions, leases and remembered requests at their time.
pub struct ExpiryEngine {
    locks: Locks,
}

impl ExpiryEngine {
    /// An engine for these locks.
    pub fn new(locks: Locks) -> Self {
        ExpiryEngine { locks }
    }

    async fn end(&self, (entry, record, due): (Key, Record, Due)) -> Result<(), Error> {
        let entry = &entry;
        match &due {
            Due::Lock(_) => {
                let (key, _) = records::read_lock_ref(entry, &record)?;
                if !self.locks.settle(&key).await? {
                    self.drop_stray(entry, &key).await?;
                }
            }
            Due::Lease(lease) => {
                self.locks.bury_some(*lease).await?;
                let loader = self.locks.loader();
                if loader.lease(*lease).await?.is_none() {
                    self.drop_entry(entry, &[]).await?;
                }
            }
            Due::Record(key) => self.drop_record(entry, key).await?,
        }
        Ok(())
    }

    /// Removes an entry that a lock does not know of, or that turned out to be about nothing.
    async fn drop_stray(&self, entry: &Key, key: &super::model::LockKey) -> Result<(), Error> {
        let attempt = || async {
            let Some(record) = self.locks.store.get(entry).await? else { return Ok(Step::Answer(())) };
            let loader = Loader { store: &*self.locks.store, now: self.locks.clock.now() };
            let head_key = keys::head(key);
            let head = self.locks.store.get(&head_key).await?;
            let loaded = loader.load(key, Who::Nobody).await?;
            if loaded.state.is_unsettled(loaded.now) {
                return Ok(Step::Answer(()));
            }
            let mut txn = Txn::default();
            txn.expect(entry.clone(), Some(record.revision));
            txn.expect(head_key, head.map(|head| head.revision));
            txn.delete(entry.clone());
            Ok::<_, store::Error>(Step::Commit(txn, ()))
        };
        update(&*self.locks.store, "a deadline", attempt).await?;
        Ok(())
    }

    async fn drop_record(&self, entry: &Key, key: &Key) -> Result<(), Error> {
        let now = self.locks.clock.now();
        let record = self.locks.store.get(key).await?;
        // The record may have been written anew since, with a later end.
        let is_over = match &record {
            Some(record) => records::decode::<pb::LockRequestRecord>(key, record)?.expire_nanos <= now.nanos(),
            None => false,
        };
        let also = if is_over { vec![key.clone()] } else { Vec::new() };
        self.drop_entry(entry, &also).await
    }

    async fn drop_entry(&self, entry: &Key, also: &[Key]) -> Result<(), Error> {
        let attempt = || async {
            let mut txn = Txn::default();
            txn.delete(entry.clone());
            for key in also {
                txn.delete(key.clone());
            }
            Ok::<_, store::Error>(Step::Commit(txn, ()))
        };
        update(&*self.locks.store, "a deadline", attempt).await?;
        Ok(())
    }
}

#[async_trait]
impl Engine for ExpiryEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "lock-expiry"
    }

    fn wakes_on(&self) -> Key {
        Key::table(Table::LockDeadline)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let now = self.locks.clock.now();
        let page = self.locks.store.scan(KeyRange::prefix(&Key::table(Table::LockDeadline)), DUE_BATCH).await?;
        let mut next = page.has_more.then_some(now);
        let mut due = Vec::new();
        for (entry, record) in page.records {
            let Some((time, what)) = keys::read_deadline(&entry) else {
                return Err(
                    store::Error::Damaged { key: entry.to_string(), reason: "not a deadline".to_owned() }.into()
                );
            };
            if time > now {
                next = Some(time);
                break;
            }
            due.push((entry, record, what));
        }
        let this = &*self;
        let results =
            futures::stream::iter(due).map(|entry| this.end(entry)).buffer_unordered(DUE_AT_A_TIME).collect::<Vec<_>>();
        let results = results.await;
        // What was worked on may have left more to do under the same time.
        if !results.is_empty() {
            next = Some(now);
        }
        results.into_iter().collect::<Result<(), Error>>()?;
        Ok(next)
    }
}

/// Removes the waiters of dismissed queues, which wakes those that block.
pub struct PurgeEngine {
    locks: Locks,
}

impl PurgeEngine {
    /// An engine for these locks.
    pub fn new(locks: Locks) -> Self {
        PurgeEngine { locks }
    }

    async fn purge(&self, key: &Key, record: &Record) -> Result<(), Error> {
        let stored: pb::PurgeRecord = records::decode(key, record)?;
        let lock = LockDigest::of(&super::model::LockKey { lock_type: stored.r#type, resource_id: stored.resource_id });
        let waiters = KeyRange::prefix(&keys::waiters(lock, stored.epoch));
        let page = self.locks.store.scan(waiters, PURGED_WAITERS).await?;
        let mut txn = Txn::default();
        for (waiter_key, record) in &page.records {
            let waiter = records::waiter(waiter_key, record)?;
            txn.delete(waiter_key.clone());
            txn.delete(keys::waiter_index(lock, stored.epoch, &waiter.owner));
        }
        if !page.has_more {
            txn.delete(key.clone());
        }
        // No precondition: nobody else writes to a dismissed queue, and removing twice is the same as once.
        let attempt = || async { Ok::<_, store::Error>(Step::Commit(txn.clone(), ())) };
        update(&*self.locks.store, "a dismissed queue", attempt).await?;
        Ok(())
    }
}

#[async_trait]
impl Engine for PurgeEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "lock-purge"
    }

    fn wakes_on(&self) -> Key {
        Key::table(Table::LockPurge)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let page = self.locks.store.scan(KeyRange::prefix(&Key::table(Table::LockPurge)), PURGE_BATCH).await?;
        for (key, record) in &page.records {
            self.purge(key, record).await?;
        }
        Ok((!page.records.is_empty()).then(|| self.locks.clock.now()))
    }
}

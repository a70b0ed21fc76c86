//! Loads what one decision on a lock needs, and turns what it decided into a transaction.

use std::collections::BTreeMap;

use prost::Message as _;
use steward_proto::store::v1 as pb;

use super::keys::{self, Due, LockDigest, RequestKind};
use super::lease::Lease;
use super::model::{Grant, GrantId, Head, LeaseId, LockKey, Outcome};
use super::records;
use super::state::{Change, DueHolders, Front, LockState, Place, Population};
use crate::clock::Timestamp;
use crate::store::{self, Key, KeyRange, Record, Revision, Store, Txn};

/// Shared holders that one commit ends.
const DUE_BATCH: usize = 16;
/// Records that a scan reads at a time.
pub(super) const SCAN_PAGE: usize = 500;

/// Whom the command is about: what is loaded besides the head.
#[derive(Clone, Copy, Debug)]
pub(super) enum Who<'a> {
    Nobody,
    Owner(&'a str),
    Grant(GrantId),
}

/// A lock as it was loaded, and what has to be unchanged when the decision is committed.
pub(super) struct Loaded {
    pub(super) state: LockState,
    /// The time of the decision: what was loaded is judged by it.
    pub(super) now: Timestamp,
    stored: Option<Head>,
    preconditions: BTreeMap<Key, Option<Revision>>,
}

/// Reads the records of the lock tables.
pub(super) struct Loader<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) now: Timestamp,
}

impl Loader<'_> {
    /// Loads a lock.
    pub(super) async fn load(&self, key: &LockKey, who: Who<'_>) -> Result<Loaded, store::Error> {
        let head_key = keys::head(key);
        let record = self.store.get(&head_key).await?;
        let stored = match &record {
            Some(record) => Some(records::head(&head_key, record)?.1),
            None => None,
        };
        let mut loaded = Loaded {
            state: LockState::new(key.clone(), stored.clone().unwrap_or_default()),
            now: self.now,
            stored,
            preconditions: BTreeMap::from([(head_key, record.map(|record| record.revision))]),
        };
        self.load_holders(&mut loaded, who).await?;
        self.load_queue(&mut loaded, who).await?;
        Ok(loaded)
    }

    async fn load_holders(&self, loaded: &mut Loaded, who: Who<'_>) -> Result<(), store::Error> {
        let state = &mut loaded.state;
        let lock = LockDigest::of(&state.key);
        if let Some(grant) = &mut state.head.exclusive {
            self.ask_lease(grant).await?;
            // What the lease says of the end is not a change of the lock.
            if let Some(stored) = &mut loaded.stored {
                stored.exclusive.clone_from(&state.head.exclusive);
            }
        }
        if state.head.shared_count == 0 {
            return Ok(());
        }
        if state.head.shared_deadline.is_some_and(|deadline| deadline <= self.now) {
            state.due = self.due_holders(lock).await?;
        }
        let owner = match who {
            Who::Nobody => return Ok(()),
            Who::Owner(owner) => owner.to_owned(),
            Who::Grant(grant) => {
                let index_key = keys::holder_index(lock, grant);
                let Some(record) = self.store.get(&index_key).await? else { return Ok(()) };
                records::read_lock_ref(&index_key, &record)?.1
            }
        };
        let holder_key = keys::holder(lock, &owner);
        let record = self.store.get(&holder_key).await?;
        if let Some(record) = &record {
            state.holder = Some(self.holder(&holder_key, record).await?);
        }
        loaded.preconditions.insert(holder_key, record.map(|record| record.revision));
        Ok(())
    }

    /// Reads a shared holder, with its true end.
    pub(super) async fn holder(&self, key: &Key, record: &Record) -> Result<Grant, store::Error> {
        let stored: pb::GrantRecord = records::decode(key, record)?;
        let mut grant = records::grant(key, record.revision, stored)?;
        self.ask_lease(&mut grant).await?;
        Ok(grant)
    }

    /// Corrects the end of a grant that depends on a lease: keep-alives move the lease alone.
    pub(super) async fn ask_lease(&self, grant: &mut Grant) -> Result<(), store::Error> {
        let Some(lease) = grant.lifetime.lease else { return Ok(()) };
        let alive = self.lease(lease).await?.filter(|(lease, _)| lease.is_alive(self.now));
        match alive {
            Some((lease, _)) if !grant.is_unclaimed => grant.extend(self.now, Some(lease.expires)),
            Some(_) => {}
            None => grant.expires = Some(self.now),
        }
        Ok(())
    }

    /// Reads a lease, dead or alive.
    pub(super) async fn lease(&self, id: LeaseId) -> Result<Option<(Lease, Revision)>, store::Error> {
        let key = keys::lease(id);
        let Some(record) = self.store.get(&key).await? else { return Ok(None) };
        Ok(Some((Lease::decode(&key, &record)?, record.revision)))
    }

    async fn due_holders(&self, lock: LockDigest) -> Result<DueHolders, store::Error> {
        let mut due = DueHolders::default();
        let mut range = KeyRange::prefix(&keys::holders(lock));
        loop {
            let page = self.store.scan(range.clone(), SCAN_PAGE).await?;
            for (key, record) in &page.records {
                let grant = self.holder(key, record).await?;
                if !grant.is_expired(self.now) {
                    due.next = [due.next, grant.expires].into_iter().flatten().min();
                } else if due.expired.len() < DUE_BATCH {
                    due.expired.push(grant);
                } else {
                    due.next = Some(self.now);
                }
            }
            match page.records.last() {
                Some((last, _)) if page.has_more => range = range.after(last),
                _ => return Ok(due),
            }
        }
    }

    async fn load_queue(&self, loaded: &mut Loaded, who: Who<'_>) -> Result<(), store::Error> {
        let state = &mut loaded.state;
        let Some(epoch) = state.head.epoch.filter(|_| state.head.waiter_count > 0) else { return Ok(()) };
        let lock = LockDigest::of(&state.key);
        let page = self.store.scan(KeyRange::prefix(&keys::waiters(lock, epoch)), 1).await?;
        let Some((key, record)) = page.records.first() else { return Ok(()) };
        let seq = keys::waiter_seq(key).unwrap_or_default();
        let waiter = records::waiter(key, record)?;
        let is_lease_lost = match waiter.lifetime.lease {
            Some(lease) => !self.lease(lease).await?.is_some_and(|(lease, _)| lease.is_alive(self.now)),
            None => false,
        };
        state.front = Some(Front { seq, waiter, is_lease_lost });
        if let Who::Owner(owner) = who {
            state.place = self.place(lock, epoch, &state.head, seq, owner).await?;
        }
        Ok(())
    }

    async fn place(
        &self,
        lock: LockDigest,
        epoch: u64,
        head: &Head,
        front_seq: u64,
        owner: &str,
    ) -> Result<Option<Place>, store::Error> {
        let index_key = keys::waiter_index(lock, epoch, owner);
        let Some(index) = self.store.get(&index_key).await? else { return Ok(None) };
        let seq = records::decode::<pb::WaiterIndexRecord>(&index_key, &index)?.seq;
        let key = keys::waiter(lock, epoch, seq);
        let Some(record) = self.store.get(&key).await? else { return Ok(None) };
        let waiter = records::waiter(&key, &record)?;
        let has_gaps = head.next_seq - front_seq != u64::from(head.waiter_count);
        let ahead = if has_gaps {
            let range = KeyRange { start: keys::waiters(lock, epoch), end: Some(key) };
            self.store.scan(range, head.waiter_count as usize).await?.records.len()
        } else {
            usize::try_from(seq - front_seq).unwrap_or(usize::MAX)
        };
        Ok(Some(Place { seq, waiter, position: u32::try_from(ahead).unwrap_or(u32::MAX).saturating_add(1) }))
    }

    /// What a request of this id was answered before: its grant and, for a release, its outcome.
    pub(super) async fn remembered(
        &self,
        key: &LockKey,
        kind: RequestKind,
        request_id: &str,
    ) -> Result<Option<(GrantId, Option<Outcome>)>, store::Error> {
        if request_id.is_empty() {
            return Ok(None);
        }
        let record_key = keys::request(LockDigest::of(key), kind, request_id);
        let Some(record) = self.store.get(&record_key).await? else { return Ok(None) };
        let stored: pb::LockRequestRecord = records::decode(&record_key, &record)?;
        if stored.expire_nanos <= self.now.nanos() {
            return Ok(None);
        }
        let grant = stored.grant_id.as_ref().try_into().map(GrantId);
        Ok(grant.ok().map(|grant| (grant, Outcome::from_number(stored.outcome))))
    }
}

impl Loaded {
    /// Requires that another record is still as it was read.
    pub(super) fn expect(&mut self, key: Key, revision: Option<Revision>) {
        self.preconditions.insert(key, revision);
    }

    /// When the lock was last changed; `None` when nothing is kept of it.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.preconditions.get(&keys::head(&self.state.key)).copied().flatten()
    }

    /// What the gauges counted for this lock before the decision.
    pub(super) fn population(&self) -> Population {
        self.stored.as_ref().map(Population::of).unwrap_or_default()
    }

    /// Adds what the decision changed to a transaction. Returns what the gauges count for this lock after it.
    pub(super) fn write(self, txn: &mut Txn) -> Population {
        let Loaded { state, now, stored, preconditions } = self;
        let final_head = state.final_head(now);
        for (key, revision) in preconditions {
            txn.expect(key, revision);
        }
        write_head(&state.key, stored.as_ref(), final_head.as_ref(), txn);
        let lock = LockDigest::of(&state.key);
        for change in &state.changes {
            write_change(&state.key, lock, change, txn);
        }
        final_head.as_ref().map(Population::of).unwrap_or_default()
    }

    /// Whether the decision changed anything.
    pub(super) fn is_changed(&self) -> bool {
        !self.state.changes.is_empty() || self.state.final_head(self.now) != self.stored
    }
}

fn write_head(key: &LockKey, before: Option<&Head>, after: Option<&Head>, txn: &mut Txn) {
    if before == after {
        return;
    }
    let (old_deadline, new_deadline) = (before.and_then(|head| head.deadline), after.and_then(|head| head.deadline));
    match after {
        Some(head) => txn.put(keys::head(key), records::head_record(key, head)),
        None => txn.delete(keys::head(key)),
    }
    if old_deadline != new_deadline {
        let due = Due::Lock(LockDigest::of(key));
        if let Some(old) = old_deadline {
            txn.delete(keys::deadline(old, &due));
        }
        if let Some(new) = new_deadline {
            txn.put(keys::deadline(new, &due), records::lock_ref(key, ""));
        }
    }
}

fn write_change(key: &LockKey, lock: LockDigest, change: &Change, txn: &mut Txn) {
    match change {
        Change::PutHolder(grant) => {
            txn.put(keys::holder(lock, &grant.owner), records::grant_record(grant).encode_to_vec());
            txn.put(keys::holder_index(lock, grant.id), records::lock_ref(key, &grant.owner));
        }
        Change::DropHolder { owner, grant } => {
            txn.delete(keys::holder(lock, owner));
            txn.delete(keys::holder_index(lock, *grant));
        }
        Change::PutWaiter { epoch, seq, waiter } => {
            txn.put(keys::waiter(lock, *epoch, *seq), records::waiter_record(waiter));
            let index = pb::WaiterIndexRecord { seq: *seq };
            txn.put(keys::waiter_index(lock, *epoch, &waiter.owner), index.encode_to_vec());
        }
        Change::DropWaiter { epoch, seq, owner } => {
            txn.delete(keys::waiter(lock, *epoch, *seq));
            txn.delete(keys::waiter_index(lock, *epoch, owner));
        }
        Change::TieLease { lease, owner } => {
            txn.put(keys::lease_grant(*lease, lock, owner), records::lock_ref(key, owner));
        }
        Change::UntieLease { lease, owner } => txn.delete(keys::lease_grant(*lease, lock, owner)),
        Change::PurgeQueue { epoch } => {
            let purge =
                pb::PurgeRecord { r#type: key.lock_type.clone(), resource_id: key.resource_id.clone(), epoch: *epoch };
            txn.put(keys::purge(lock, *epoch), purge.encode_to_vec());
        }
        Change::Remember { kind, request_id, grant, outcome, until } => {
            let record = pb::LockRequestRecord {
                grant_id: grant.0.to_vec().into(),
                outcome: outcome.map_or(0, Outcome::number),
                expire_nanos: until.nanos(),
            };
            let record_key = keys::request(lock, *kind, request_id);
            txn.put(keys::deadline(*until, &Due::Record(record_key.clone())), Vec::new());
            txn.put(record_key, record.encode_to_vec());
        }
        Change::Emit(event) => txn.emit(keys::event(key), event.encode(key)),
    }
}

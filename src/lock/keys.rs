//! The keys of the lock tables.
//!
//! Heads and events are named after the lock, so that they list in its order; everything else is named after its
//! digest, which is short whatever the names are.

use super::model::{GrantId, LeaseId, LockKey};
use crate::clock::Timestamp;
use crate::store::Key;
use crate::store::key::{KeyBuilder, KeyReader, Table, digest};

/// A name longer than this many bytes as a key is cut to [`CUT_NAME`] and ends in its digest: see
/// [`crate::store::MAX_KEY_BYTES`].
const LONGEST_NAME: usize = 400;
const CUT_NAME: usize = 360;
/// Ends a cut name. Whole names end in another byte.
const CUT_MARK: &[u8] = &[0xfe];

/// The digest of a lock's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LockDigest(pub(crate) [u8; 32]);

impl LockDigest {
    pub(crate) fn of(key: &LockKey) -> Self {
        LockDigest(digest(&[key.lock_type.as_bytes(), key.resource_id.as_bytes()]))
    }
}

fn owner_digest(owner: &str) -> [u8; 32] {
    digest(&[owner.as_bytes()])
}

/// The head of a lock.
pub(crate) fn head(key: &LockKey) -> Key {
    named(Table::Lock, key)
}

/// The events of a lock.
pub(crate) fn event(key: &LockKey) -> Key {
    named(Table::LockEvent, key)
}

fn named(table: Table, key: &LockKey) -> Key {
    let name = KeyBuilder::new(table).text(&key.lock_type).text(&key.resource_id);
    if name.len() <= LONGEST_NAME {
        return name.build();
    }
    name.cut(CUT_NAME).fixed(&LockDigest::of(key).0).fixed(CUT_MARK).build()
}

/// The lock that a head is of, unless its name was cut.
pub(crate) fn name_of(key: &Key) -> Option<LockKey> {
    let mut reader = KeyReader::new(key);
    let (lock_type, resource_id) = (reader.text()?, reader.text()?);
    reader.rest().is_empty().then_some(LockKey { lock_type, resource_id })
}

/// A prefix of all locks of a type, and with a resource id that starts so. It may let others pass, where names were
/// cut.
pub(crate) fn name_prefix(table: Table, lock_type: Option<&str>, resource_id_prefix: &str) -> Key {
    let builder = KeyBuilder::new(table);
    match lock_type {
        None => builder.build(),
        Some(lock_type) => builder.text(lock_type).text_start(resource_id_prefix).cut(CUT_NAME).build(),
    }
}

/// A shared or semaphore holder.
pub(crate) fn holder(lock: LockDigest, owner: &str) -> Key {
    KeyBuilder::new(Table::LockHolder).fixed(&lock.0).fixed(&owner_digest(owner)).build()
}

/// All of them.
pub(crate) fn holders(lock: LockDigest) -> Key {
    KeyBuilder::new(Table::LockHolder).fixed(&lock.0).build()
}

/// Whose a shared or semaphore grant is.
pub(crate) fn holder_index(lock: LockDigest, grant: GrantId) -> Key {
    KeyBuilder::new(Table::LockHolderIndex).fixed(&lock.0).fixed(&grant.0).build()
}

/// A place in a queue.
pub(crate) fn waiter(lock: LockDigest, epoch: u64, seq: u64) -> Key {
    KeyBuilder::new(Table::LockWaiter).fixed(&lock.0).number(epoch).number(seq).build()
}

/// All of them, in order.
pub(crate) fn waiters(lock: LockDigest, epoch: u64) -> Key {
    KeyBuilder::new(Table::LockWaiter).fixed(&lock.0).number(epoch).build()
}

/// The number in the key of a place in a queue.
pub(crate) fn waiter_seq(key: &Key) -> Option<u64> {
    let mut reader = KeyReader::new(key);
    reader.fixed::<32>()?;
    reader.number()?;
    reader.number()
}

/// Where an owner waits.
pub(crate) fn waiter_index(lock: LockDigest, epoch: u64, owner: &str) -> Key {
    KeyBuilder::new(Table::LockWaiterIndex).fixed(&lock.0).number(epoch).fixed(&owner_digest(owner)).build()
}

/// A dismissed queue.
pub(crate) fn purge(lock: LockDigest, epoch: u64) -> Key {
    KeyBuilder::new(Table::LockPurge).fixed(&lock.0).number(epoch).build()
}

/// A lease.
pub(crate) fn lease(lease: LeaseId) -> Key {
    KeyBuilder::new(Table::Lease).fixed(&lease.0).build()
}

/// The lease that a key is of.
pub(crate) fn lease_id(key: &Key) -> Option<LeaseId> {
    KeyReader::new(key).fixed::<16>().map(LeaseId)
}

/// A grant of a lease.
pub(crate) fn lease_grant(lease: LeaseId, lock: LockDigest, owner: &str) -> Key {
    KeyBuilder::new(Table::LeaseGrant).fixed(&lease.0).fixed(&lock.0).fixed(&owner_digest(owner)).build()
}

/// All of them.
pub(crate) fn lease_grants(lease: LeaseId) -> Key {
    KeyBuilder::new(Table::LeaseGrant).fixed(&lease.0).build()
}

/// What a remembered request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Acquire,
    Release,
}

/// A remembered request.
pub(crate) fn request(lock: LockDigest, kind: RequestKind, request_id: &str) -> Key {
    let kind: &[u8] = match kind {
        RequestKind::Acquire => b"acquire",
        RequestKind::Release => b"release",
    };
    KeyBuilder::new(Table::LockRequest).fixed(&digest(&[&lock.0, kind, request_id.as_bytes()])).build()
}

/// An act of an operator; the newest first.
pub(crate) fn audit(time: Timestamp, id: [u8; 16]) -> Key {
    let age = u64::MAX - u64::try_from(time.nanos()).unwrap_or(0);
    KeyBuilder::new(Table::LockAudit).number(age).fixed(&id).build()
}

/// What is due at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// A lock: a grant, a claim or a completion in it ends, or its queue goes on.
    Lock(LockDigest),
    /// A lease ends.
    Lease(LeaseId),
    /// A record has been kept long enough.
    Record(Key),
}

const DUE_LOCK: &[u8] = &[1];
const DUE_LEASE: &[u8] = &[2];
const DUE_RECORD: &[u8] = &[3];

/// An entry of the deadline table.
pub(crate) fn deadline(time: Timestamp, due: &Due) -> Key {
    let builder = KeyBuilder::new(Table::LockDeadline).number(u64::try_from(time.nanos()).unwrap_or(0));
    match due {
        Due::Lock(lock) => builder.fixed(DUE_LOCK).fixed(&lock.0),
        Due::Lease(lease) => builder.fixed(DUE_LEASE).fixed(&lease.0),
        Due::Record(key) => builder.fixed(DUE_RECORD).fixed(key.as_bytes()),
    }
    .build()
}

/// Reads an entry of the deadline table.
pub(crate) fn read_deadline(key: &Key) -> Option<(Timestamp, Due)> {
    let mut reader = KeyReader::new(key);
    let time = Timestamp::from_nanos(i64::try_from(reader.number()?).unwrap_or(i64::MAX));
    let due = match reader.fixed::<1>()?.as_slice() {
        DUE_LOCK => Due::Lock(LockDigest(reader.fixed()?)),
        DUE_LEASE => Due::Lease(LeaseId(reader.fixed()?)),
        DUE_RECORD => Due::Record(Key::from_bytes(reader.rest().to_vec())),
        _ => return None,
    };
    Some((time, due))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::MAX_KEY_BYTES;

    fn key(lock_type: &str, resource_id: &str) -> LockKey {
        LockKey { lock_type: lock_type.to_owned(), resource_id: resource_id.to_owned() }
    }

    proptest! {
        #[test]
        fn a_lock_is_known_by_its_name(lock_type in ".{1,40}", resource_id in ".{1,40}") {
            let key = key(&lock_type, &resource_id);
            prop_assert_eq!(name_of(&head(&key)), Some(key));
        }

        #[test]
        fn deadlines_sort_by_time_and_read_back(time in 0..i64::MAX, other in 0..i64::MAX, id: [u8; 16], lock: [u8; 32]) {
            let (first, second) = (Timestamp::from_nanos(time), Timestamp::from_nanos(other));
            let lease = deadline(first, &Due::Lease(LeaseId(id)));
            let lock_key = deadline(second, &Due::Lock(LockDigest(lock)));
            prop_assert_eq!(read_deadline(&lease), Some((first, Due::Lease(LeaseId(id)))));
            if first != second {
                prop_assert_eq!(lease.cmp(&lock_key), first.cmp(&second));
            }
        }
    }

    #[test]
    fn the_longest_names_fit_into_a_key_and_stay_apart() {
        let (first, second) = (key(&"t".repeat(1024), &"\0".repeat(1024)), key(&"t".repeat(1024), &"\0".repeat(1023)));
        assert!(head(&first).as_bytes().len() <= MAX_KEY_BYTES);
        assert_ne!(head(&first), head(&second));
        assert_eq!(name_of(&head(&first)), None);
        let record = Due::Record(request(LockDigest::of(&first), RequestKind::Acquire, "id"));
        assert_eq!(read_deadline(&deadline(Timestamp::MAX, &record)), Some((Timestamp::MAX, record)));
    }
}

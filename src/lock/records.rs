//! Between the nouns and the records that the store keeps.

use std::time::Duration;

use prost::Message as _;
use steward_proto::store::v1 as pb;

use super::keys;
use super::model::{Completion, Grant, GrantId, Head, LeaseId, Lifetime, LockKey, Mode, Token, Waiter};
use crate::clock::Timestamp;
use crate::store::{Error, Key, Record, Revision};

/// Stands for the revision of the record that it is in.
const TOKEN_OF_THIS_COMMIT: i64 = -1;

const MODE_EXCLUSIVE: i32 = 1;
const MODE_SHARED: i32 = 2;
const MODE_SEMAPHORE: i32 = 3;

/// Reads a message of the store.
pub(crate) fn decode<M: prost::Message + Default>(key: &Key, record: &Record) -> Result<M, Error> {
    M::decode(record.value.clone()).map_err(|error| damaged(key, &error.to_string()))
}

fn damaged(key: &Key, reason: &str) -> Error {
    Error::Damaged { key: key.to_string(), reason: reason.to_owned() }
}

fn time(nanos: i64) -> Option<Timestamp> {
    (nanos != 0).then_some(Timestamp::from_nanos(nanos))
}

fn nanos(time: Option<Timestamp>) -> i64 {
    time.map_or(0, Timestamp::nanos)
}

fn duration(nanos: i64) -> Option<Duration> {
    u64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map(Duration::from_nanos)
}

fn duration_nanos(duration: Option<Duration>) -> i64 {
    duration.map_or(0, |duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

fn token(stored: i64, revision: Revision) -> Token {
    Token::Is(if stored == TOKEN_OF_THIS_COMMIT { revision_token(revision) } else { stored })
}

/// The token of a grant that was made by the commit of this revision.
pub(crate) fn revision_token(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

fn token_record(token: Token) -> i64 {
    match token {
        Token::Is(token) => token,
        Token::OfThisCommit => TOKEN_OF_THIS_COMMIT,
    }
}

fn mode(number: i32, permits: u32) -> Option<Mode> {
    match number {
        MODE_EXCLUSIVE => Some(Mode::Exclusive),
        MODE_SHARED => Some(Mode::Shared),
        MODE_SEMAPHORE => Some(Mode::Semaphore { permits }),
        _ => None,
    }
}

fn mode_record(mode: Mode) -> i32 {
    match mode {
        Mode::Exclusive => MODE_EXCLUSIVE,
        Mode::Shared => MODE_SHARED,
        Mode::Semaphore { .. } => MODE_SEMAPHORE,
    }
}

fn lease(bytes: &[u8]) -> Option<LeaseId> {
    bytes.try_into().ok().map(LeaseId)
}

fn lease_record(lease: Option<LeaseId>) -> Vec<u8> {
    lease.map_or_else(Vec::new, |lease| lease.0.to_vec())
}

fn grant_id(key: &Key, bytes: &[u8]) -> Result<GrantId, Error> {
    bytes.try_into().map(GrantId).map_err(|_| damaged(key, "a grant id is not 16 bytes"))
}

/// Reads a grant; `owner` is given where the record leaves it out.
pub(crate) fn grant(key: &Key, revision: Revision, stored: pb::GrantRecord) -> Result<Grant, Error> {
    Ok(Grant {
        id: grant_id(key, &stored.grant_id)?,
        token: token(stored.fencing_token, revision),
        mode: mode(stored.mode, stored.permits).ok_or_else(|| damaged(key, "unknown lock mode"))?,
        granted: Timestamp::from_nanos(stored.grant_nanos),
        expires: time(stored.expire_nanos),
        max_expires: time(stored.max_expire_nanos),
        lifetime: Lifetime {
            ttl: duration(stored.ttl_nanos),
            max: duration(stored.max_lifetime_nanos),
            lease: lease(&stored.lease_id),
        },
        is_unclaimed: stored.is_unclaimed,
        request_id: stored.request_id,
        owner: stored.owner,
    })
}

/// Writes a grant.
pub(crate) fn grant_record(grant: &Grant) -> pb::GrantRecord {
    pb::GrantRecord {
        owner: grant.owner.clone(),
        grant_id: grant.id.0.to_vec().into(),
        fencing_token: token_record(grant.token),
        mode: mode_record(grant.mode),
        permits: grant.mode.permits(),
        grant_nanos: grant.granted.nanos(),
        expire_nanos: nanos(grant.expires),
        max_expire_nanos: nanos(grant.max_expires),
        ttl_nanos: duration_nanos(grant.lifetime.ttl),
        lease_id: lease_record(grant.lifetime.lease).into(),
        is_unclaimed: grant.is_unclaimed,
        max_lifetime_nanos: duration_nanos(grant.lifetime.max),
        request_id: grant.request_id.clone(),
    }
}

/// Reads a completion.
pub(crate) fn completion(key: &Key, stored: pb::CompletionRecord) -> Result<Completion, Error> {
    Ok(Completion {
        token: stored.fencing_token,
        grant_id: grant_id(key, &stored.grant_id)?,
        completed: Timestamp::from_nanos(stored.complete_nanos),
        expires: Timestamp::from_nanos(stored.expire_nanos),
        owner: stored.owner,
    })
}

/// Writes a completion.
pub(crate) fn completion_record(completion: &Completion) -> pb::CompletionRecord {
    pb::CompletionRecord {
        owner: completion.owner.clone(),
        fencing_token: completion.token,
        complete_nanos: completion.completed.nanos(),
        expire_nanos: completion.expires.nanos(),
        grant_id: completion.grant_id.0.to_vec().into(),
    }
}

/// Reads the head of a lock, and which lock it is of.
pub(crate) fn head(key: &Key, record: &Record) -> Result<(LockKey, Head), Error> {
    let stored: pb::LockRecord = decode(key, record)?;
    let name = match keys::name_of(key) {
        Some(name) => name,
        None => LockKey { lock_type: stored.r#type, resource_id: stored.resource_id },
    };
    let head = Head {
        epoch: (stored.epoch != 0).then_some(stored.epoch),
        last_token: (stored.last_token != 0).then(|| token(stored.last_token, record.revision)),
        next_seq: stored.next_seq,
        waiter_count: stored.waiter_count,
        capacity: stored.capacity,
        exclusive: stored.exclusive.map(|stored| grant(key, record.revision, stored)).transpose()?,
        shared_count: stored.shared_count,
        permits_used: stored.permits_used,
        shared_deadline: time(stored.shared_deadline_nanos),
        completion: stored.completion.map(|stored| completion(key, stored)).transpose()?,
        deadline: time(stored.deadline_nanos),
    };
    Ok((name, head))
}

/// Writes the head of a lock. The lock's name is written only where the key has no room for it.
pub(crate) fn head_record(key: &LockKey, head: &Head) -> Vec<u8> {
    let is_named = keys::name_of(&keys::head(key)).is_some();
    let stored = pb::LockRecord {
        r#type: if is_named { String::new() } else { key.lock_type.clone() },
        resource_id: if is_named { String::new() } else { key.resource_id.clone() },
        epoch: head.epoch.unwrap_or(0),
        last_token: head.last_token.map_or(0, token_record),
        next_seq: head.next_seq,
        waiter_count: head.waiter_count,
        capacity: head.capacity,
        exclusive: head.exclusive.as_ref().map(grant_record),
        shared_count: head.shared_count,
        permits_used: head.permits_used,
        shared_deadline_nanos: nanos(head.shared_deadline),
        completion: head.completion.as_ref().map(completion_record),
        deadline_nanos: nanos(head.deadline),
    };
    stored.encode_to_vec()
}

/// Reads a place in a queue.
pub(crate) fn waiter(key: &Key, record: &Record) -> Result<Waiter, Error> {
    let stored: pb::WaiterRecord = decode(key, record)?;
    Ok(Waiter {
        mode: mode(stored.mode, stored.permits).ok_or_else(|| damaged(key, "unknown lock mode"))?,
        lifetime: Lifetime {
            ttl: duration(stored.ttl_nanos),
            max: duration(stored.max_lifetime_nanos),
            lease: lease(&stored.lease_id),
        },
        enqueued: Timestamp::from_nanos(stored.enqueue_nanos),
        request_id: stored.request_id,
        owner: stored.owner,
    })
}

/// Writes a place in a queue.
pub(crate) fn waiter_record(waiter: &Waiter) -> Vec<u8> {
    let stored = pb::WaiterRecord {
        owner: waiter.owner.clone(),
        mode: mode_record(waiter.mode),
        permits: waiter.mode.permits(),
        ttl_nanos: duration_nanos(waiter.lifetime.ttl),
        max_lifetime_nanos: duration_nanos(waiter.lifetime.max),
        lease_id: lease_record(waiter.lifetime.lease).into(),
        enqueue_nanos: waiter.enqueued.nanos(),
        request_id: waiter.request_id.clone(),
    };
    stored.encode_to_vec()
}

/// Writes which lock, and which holder of it, an entry of another table is about.
pub(crate) fn lock_ref(key: &LockKey, owner: &str) -> Vec<u8> {
    let stored = pb::LockRefRecord {
        r#type: key.lock_type.clone(),
        resource_id: key.resource_id.clone(),
        owner: owner.to_owned(),
    };
    stored.encode_to_vec()
}

/// Reads it.
pub(crate) fn read_lock_ref(key: &Key, record: &Record) -> Result<(LockKey, String), Error> {
    let stored: pb::LockRefRecord = decode(key, record)?;
    Ok((LockKey { lock_type: stored.r#type, resource_id: stored.resource_id }, stored.owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_as_it_was_written_with_its_token_resolved() {
        let lock = LockKey { lock_type: "pull".to_owned(), resource_id: "sha256:a".to_owned() };
        let grant = Grant {
            owner: "NODEA".to_owned(),
            id: GrantId([7; 16]),
            token: Token::OfThisCommit,
            mode: Mode::Exclusive,
            granted: Timestamp::from_nanos(10),
            expires: Some(Timestamp::from_nanos(30)),
            max_expires: Some(Timestamp::from_nanos(90)),
            lifetime: Lifetime {
                ttl: Some(Duration::from_nanos(20)),
                max: Some(Duration::from_nanos(80)),
                lease: Some(LeaseId([9; 16])),
            },
            is_unclaimed: true,
            request_id: "r".to_owned(),
        };
        let written = Head {
            epoch: Some(u64::MAX),
            last_token: Some(Token::OfThisCommit),
            next_seq: 3,
            waiter_count: 2,
            exclusive: Some(grant),
            deadline: Some(Timestamp::from_nanos(30)),
            ..Head::default()
        };
        let record = Record { value: head_record(&lock, &written).into(), revision: Revision(41) };
        let (name, mut read) = head(&keys::head(&lock), &record).expect("a head that was just written");
        assert_eq!(name, lock);
        let grant = read.exclusive.as_mut().expect("the grant");
        assert_eq!((grant.token, read.last_token), (Token::Is(41), Some(Token::Is(41))));
        grant.token = Token::OfThisCommit;
        read.last_token = Some(Token::OfThisCommit);
        assert_eq!(read, written);
    }
}

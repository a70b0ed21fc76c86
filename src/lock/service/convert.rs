//! From the nouns to the messages of the protocol.

use steward_proto::lock::v1 as api;

use crate::clock::Timestamp;
use crate::lock::acquire::Acquired;
use crate::lock::event::Event;
use crate::lock::lease::Lease;
use crate::lock::model::{Completion, Grant, GrantId, LeaseId, LockKey, Mode, Token, Waiter};
use crate::lock::query::View;
use crate::store::Revision;

impl From<&LockKey> for api::LockKey {
    fn from(key: &LockKey) -> Self {
        api::LockKey { r#type: key.lock_type.clone(), resource_id: key.resource_id.clone() }
    }
}

impl From<Timestamp> for prost_types::Timestamp {
    fn from(time: Timestamp) -> Self {
        let (seconds, nanos) = (time.nanos().div_euclid(1_000_000_000), time.nanos().rem_euclid(1_000_000_000));
        // The remainder of a division by 10^9 fits.
        prost_types::Timestamp { seconds, nanos: i32::try_from(nanos).unwrap_or(0) }
    }
}

/// A revision as the protocol has it.
pub(super) fn revision(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// Whether the reader may see the ids that prove the right to renew and release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    Shown,
    Hidden,
}

fn uuid_text(id: [u8; 16]) -> String {
    uuid::Uuid::from_bytes(id).to_string()
}

pub(super) fn mode(mode: Mode) -> api::LockMode {
    match mode {
        Mode::Exclusive => api::LockMode::Exclusive,
        Mode::Shared => api::LockMode::Shared,
        Mode::Semaphore { .. } => api::LockMode::Semaphore,
    }
}

pub(super) fn token(token: Token) -> i64 {
    match token {
        Token::Is(token) => token,
        // Stands only between a decision and its commit; what is answered or read has its number.
        Token::OfThisCommit => 0,
    }
}

fn duration(duration: std::time::Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(duration).ok()
}

pub(super) fn grant(key: &LockKey, grant: &Grant, secrets: Secrets) -> api::Grant {
    let GrantId(id) = grant.id;
    let is_shown = secrets == Secrets::Shown;
    let lease_id = grant.lifetime.lease.filter(|_| is_shown).map(|LeaseId(id)| uuid_text(id));
    api::Grant {
        key: Some(key.into()),
        owner: grant.owner.clone(),
        grant_id: if is_shown { uuid_text(id) } else { String::new() },
        fencing_token: token(grant.token),
        mode: mode(grant.mode).into(),
        permits: grant.mode.permits(),
        grant_time: Some(grant.granted.into()),
        expire_time: grant.expires.map(Into::into),
        max_expire_time: grant.max_expires.map(Into::into),
        ttl: grant.lifetime.ttl.and_then(duration),
        lease_id: lease_id.unwrap_or_default(),
        is_unclaimed: grant.is_unclaimed,
    }
}

pub(super) fn completion(key: &LockKey, completion: &Completion) -> api::Completion {
    api::Completion {
        key: Some(key.into()),
        owner: completion.owner.clone(),
        fencing_token: completion.token,
        complete_time: Some(completion.completed.into()),
        expire_time: Some(completion.expires.into()),
    }
}

fn waiter(position: u32, waiter: &Waiter) -> api::Waiter {
    api::Waiter {
        owner: waiter.owner.clone(),
        mode: mode(waiter.mode).into(),
        permits: waiter.mode.permits(),
        queue_position: position,
        enqueue_time: Some(waiter.enqueued.into()),
    }
}

pub(super) fn lock(view: &View) -> api::Lock {
    let View { key, head, holders, waiters, revision: at } = view;
    let mode_of = holders.first().map(|grant| grant.mode).or(waiters.first().map(|waiter| waiter.mode));
    api::Lock {
        key: Some(key.into()),
        mode: mode_of.map_or(api::LockMode::Unspecified, mode).into(),
        capacity: if head.is_in_use() { head.capacity } else { 0 },
        holders: holders.iter().map(|holder| grant(key, holder, Secrets::Hidden)).collect(),
        holder_count: head.holder_count(),
        waiters: (1..).zip(waiters).map(|(position, entry)| waiter(position, entry)).collect(),
        waiter_count: head.waiter_count,
        completion: head.completion.as_ref().map(|done| completion(key, done)),
        newest_fencing_token: head.last_token.map_or(0, token),
        revision: revision(*at),
    }
}

pub(super) fn event(key: &LockKey, event: &Event) -> api::LockEvent {
    api::LockEvent {
        kind: event.kind.number(),
        key: Some(key.into()),
        owner: event.owner.clone(),
        grant: event.grant.as_ref().map(|held| grant(key, held, Secrets::Hidden)),
        outcome: event.outcome.map_or(0, crate::lock::model::Outcome::number),
        error: event.error.clone(),
        completion: event.completion.as_ref().map(|done| completion(key, done)),
        event_time: Some(event.time.into()),
    }
}

pub(super) fn lease(id: LeaseId, lease: &Lease) -> api::Lease {
    api::Lease {
        lease_id: uuid_text(id.0),
        owner: lease.owner.clone(),
        ttl: duration(lease.ttl),
        create_time: Some(lease.created.into()),
        expire_time: Some(lease.expires.into()),
        max_expire_time: lease.max_expires.map(Into::into),
    }
}

pub(super) fn acquired(key: &LockKey, acquired: &Acquired, at: Revision) -> api::AcquireResponse {
    let answer = api::AcquireResponse { revision: revision(at), ..api::AcquireResponse::default() };
    match acquired {
        Acquired::Granted { grant: held, .. } => api::AcquireResponse {
            status: api::AcquireStatus::Granted.into(),
            grant: Some(grant(key, held, Secrets::Shown)),
            ..answer
        },
        Acquired::Queued(position) => {
            api::AcquireResponse { status: api::AcquireStatus::Queued.into(), queue_position: *position, ..answer }
        }
        Acquired::Contended => api::AcquireResponse { status: api::AcquireStatus::Contended.into(), ..answer },
        Acquired::Skipped(done) => api::AcquireResponse {
            status: api::AcquireStatus::Skipped.into(),
            completion: Some(completion(key, done)),
            ..answer
        },
    }
}

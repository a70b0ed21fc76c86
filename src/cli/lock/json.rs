//! The JSON of `--json`: field names as in the protocol, times in RFC 3339, enums as lowercase words.
//!
//! These types are the promise to scripts; the generated messages may change without it.

use serde::Serialize;
use steward_proto::lock::v1::{self as pb, watch_response::Update};

use crate::cli::json::word;
use crate::cli::{duration, time};

#[derive(Debug, Serialize)]
pub(super) struct Key {
    r#type: String,
    resource_id: String,
}

#[expect(clippy::struct_field_names, reason = "the names are the protocol's")]
#[derive(Debug, Serialize)]
pub(super) struct Grant {
    key: Option<Key>,
    owner: String,
    grant_id: String,
    fencing_token: i64,
    mode: String,
    permits: u32,
    grant_time: Option<String>,
    expire_time: Option<String>,
    max_expire_time: Option<String>,
    ttl: Option<String>,
    lease_id: String,
    is_unclaimed: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Completion {
    key: Option<Key>,
    owner: String,
    fencing_token: i64,
    complete_time: Option<String>,
    expire_time: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Waiter {
    owner: String,
    mode: String,
    permits: u32,
    queue_position: u32,
    enqueue_time: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Lock {
    key: Option<Key>,
    mode: String,
    capacity: u32,
    holders: Vec<Grant>,
    holder_count: u32,
    waiters: Vec<Waiter>,
    waiter_count: u32,
    completion: Option<Completion>,
    newest_fencing_token: i64,
    revision: i64,
}

#[expect(clippy::struct_field_names, reason = "the names are the protocol's")]
#[derive(Debug, Serialize)]
pub(super) struct Event {
    kind: String,
    key: Option<Key>,
    owner: String,
    grant: Option<Grant>,
    outcome: String,
    error: String,
    completion: Option<Completion>,
    event_time: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Acquired {
    status: String,
    grant: Option<Grant>,
    queue_position: u32,
    completion: Option<Completion>,
    revision: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Released {
    next_owner: String,
    completion: Option<Completion>,
    revision: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct ForceReleased {
    released_count: i32,
    next_owner: String,
}

/// One step of a watch: the revision, and one of `snapshot`, `snapshot_end`, `event`, `progress`.
#[derive(Debug, Serialize)]
pub(super) struct Watched {
    revision: i64,
    #[serde(flatten)]
    step: Step,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Snapshot(Box<Lock>),
    SnapshotEnd {},
    Event(Box<Event>),
    Progress {},
}

impl From<pb::LockKey> for Key {
    fn from(key: pb::LockKey) -> Self {
        Key { r#type: key.r#type, resource_id: key.resource_id }
    }
}

impl From<pb::Grant> for Grant {
    fn from(grant: pb::Grant) -> Self {
        Grant {
            mode: word(grant.mode().as_str_name(), "LOCK_MODE_"),
            key: grant.key.map(Key::from),
            owner: grant.owner,
            grant_id: grant.grant_id,
            fencing_token: grant.fencing_token,
            permits: grant.permits,
            grant_time: time::json(grant.grant_time),
            expire_time: time::json(grant.expire_time),
            max_expire_time: time::json(grant.max_expire_time),
            ttl: grant.ttl.and_then(duration::json),
            lease_id: grant.lease_id,
            is_unclaimed: grant.is_unclaimed,
        }
    }
}

impl From<pb::Completion> for Completion {
    fn from(completion: pb::Completion) -> Self {
        Completion {
            key: completion.key.map(Key::from),
            owner: completion.owner,
            fencing_token: completion.fencing_token,
            complete_time: time::json(completion.complete_time),
            expire_time: time::json(completion.expire_time),
        }
    }
}

impl From<pb::Waiter> for Waiter {
    fn from(waiter: pb::Waiter) -> Self {
        Waiter {
            mode: word(waiter.mode().as_str_name(), "LOCK_MODE_"),
            owner: waiter.owner,
            permits: waiter.permits,
            queue_position: waiter.queue_position,
            enqueue_time: time::json(waiter.enqueue_time),
        }
    }
}

impl From<pb::Lock> for Lock {
    fn from(lock: pb::Lock) -> Self {
        Lock {
            mode: word(lock.mode().as_str_name(), "LOCK_MODE_"),
            key: lock.key.map(Key::from),
            capacity: lock.capacity,
            holders: lock.holders.into_iter().map(Grant::from).collect(),
            holder_count: lock.holder_count,
            waiters: lock.waiters.into_iter().map(Waiter::from).collect(),
            waiter_count: lock.waiter_count,
            completion: lock.completion.map(Completion::from),
            newest_fencing_token: lock.newest_fencing_token,
            revision: lock.revision,
        }
    }
}

impl From<pb::LockEvent> for Event {
    fn from(event: pb::LockEvent) -> Self {
        Event {
            kind: word(event.kind().as_str_name(), "LOCK_EVENT_KIND_"),
            outcome: word(event.outcome().as_str_name(), "OUTCOME_"),
            key: event.key.map(Key::from),
            owner: event.owner,
            grant: event.grant.map(Grant::from),
            error: event.error,
            completion: event.completion.map(Completion::from),
            event_time: time::json(event.event_time),
        }
    }
}

impl From<pb::AcquireResponse> for Acquired {
    fn from(answer: pb::AcquireResponse) -> Self {
        Acquired {
            status: word(answer.status().as_str_name(), "ACQUIRE_STATUS_"),
            grant: answer.grant.map(Grant::from),
            queue_position: answer.queue_position,
            completion: answer.completion.map(Completion::from),
            revision: answer.revision,
        }
    }
}

impl From<pb::ReleaseResponse> for Released {
    fn from(answer: pb::ReleaseResponse) -> Self {
        Released {
            next_owner: answer.next_owner,
            completion: answer.completion.map(Completion::from),
            revision: answer.revision,
        }
    }
}

impl From<pb::ForceReleaseResponse> for ForceReleased {
    fn from(answer: pb::ForceReleaseResponse) -> Self {
        ForceReleased { released_count: answer.released_count, next_owner: answer.next_owner }
    }
}

impl Watched {
    pub(super) fn new(revision: i64, update: Update) -> Self {
        let step = match update {
            Update::Snapshot(lock) => Step::Snapshot(Box::new(lock.into())),
            Update::SnapshotEnd(pb::SnapshotEnd {}) => Step::SnapshotEnd {},
            Update::Event(event) => Step::Event(Box::new(event.into())),
            Update::Progress(pb::Progress {}) => Step::Progress {},
        };
        Watched { revision, step }
    }
}

#[cfg(test)]
mod tests;

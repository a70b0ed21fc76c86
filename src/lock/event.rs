//! What happened to a lock, as watches are told.

use prost::Message as _;
use steward_proto::store::v1 as pb;

use super::model::{Completion, Grant, LockKey, Outcome};
use super::records;
use crate::clock::Timestamp;
use crate::store::{Error, Key, Record};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Kind {
    Granted = 1,
    Enqueued = 2,
    Assigned = 3,
    Claimed = 4,
    Renewed = 5,
    Released = 6,
    Expired = 7,
    ForceReleased = 8,
    Completed = 9,
    CompletionDropped = 10,
    WaitCancelled = 11,
    LeaseLost = 12,
}

impl Kind {
    const ALL: [Kind; 12] = [
        Kind::Granted,
        Kind::Enqueued,
        Kind::Assigned,
        Kind::Claimed,
        Kind::Renewed,
        Kind::Released,
        Kind::Expired,
        Kind::ForceReleased,
        Kind::Completed,
        Kind::CompletionDropped,
        Kind::WaitCancelled,
        Kind::LeaseLost,
    ];

    /// The number in the protocol, where the same kinds have the same numbers.
    pub(crate) fn number(self) -> i32 {
        self as i32
    }
}

impl Outcome {
    /// The number in the protocol.
    pub(crate) fn number(self) -> i32 {
        match self {
            Outcome::Succeeded => 1,
            Outcome::Failed => 2,
            Outcome::Released => 3,
        }
    }

    /// The outcome of a number.
    pub(crate) fn from_number(number: i32) -> Option<Self> {
        [Outcome::Succeeded, Outcome::Failed, Outcome::Released].into_iter().find(|outcome| outcome.number() == number)
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    /// Whom it is about.
    pub(crate) owner: String,
    pub(crate) grant: Option<Grant>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) error: String,
    pub(crate) completion: Option<Completion>,
    pub(crate) time: Timestamp,
}

impl Event {
    /// Something about a grant.
    pub(crate) fn of_grant(kind: Kind, grant: &Grant, time: Timestamp) -> Self {
        Event { grant: Some(grant.clone()), ..Event::of_owner(kind, &grant.owner, time) }
    }

    /// Something about a completion.
    pub(crate) fn of_completion(kind: Kind, completion: &Completion, time: Timestamp) -> Self {
        Event { completion: Some(completion.clone()), ..Event::of_owner(kind, &completion.owner, time) }
    }

    /// Something about an owner alone.
    pub(crate) fn of_owner(kind: Kind, owner: &str, time: Timestamp) -> Self {
        Event {
            kind,
            owner: owner.to_owned(),
            grant: None,
            outcome: None,
            error: String::new(),
            completion: None,
            time,
        }
    }

    /// As it passes through the journal.
    pub(crate) fn encode(&self, key: &LockKey) -> Vec<u8> {
        // The owner is written once: three names of a kilobyte each would not fit.
        let grant = self.grant.as_ref().map(|grant| pb::GrantRecord {
            owner: String::new(),
            request_id: String::new(),
            ..records::grant_record(grant)
        });
        let completion = self
            .completion
            .as_ref()
            .map(|completion| pb::CompletionRecord { owner: String::new(), ..records::completion_record(completion) });
        let stored = pb::LockEventRecord {
            kind: self.kind.number(),
            r#type: key.lock_type.clone(),
            resource_id: key.resource_id.clone(),
            owner: self.owner.clone(),
            grant,
            outcome: self.outcome.map_or(0, Outcome::number),
            error: self.error.clone(),
            completion,
            event_nanos: self.time.nanos(),
        };
        stored.encode_to_vec()
    }

    /// Reads what passed through the journal in the commit of the record's revision.
    pub(crate) fn decode(key: &Key, record: &Record) -> Result<(LockKey, Event), Error> {
        let stored: pb::LockEventRecord = records::decode(key, record)?;
        let damaged = |reason: &str| Error::Damaged { key: key.to_string(), reason: reason.to_owned() };
        let kind = Kind::ALL.into_iter().find(|kind| kind.number() == stored.kind);
        let mut grant = stored.grant.map(|grant| records::grant(key, record.revision, grant)).transpose()?;
        let mut completion = stored.completion.map(|completion| records::completion(key, completion)).transpose()?;
        if let Some(grant) = &mut grant {
            grant.owner.clone_from(&stored.owner);
        }
        if let Some(completion) = &mut completion {
            completion.owner.clone_from(&stored.owner);
        }
        let event = Event {
            kind: kind.ok_or_else(|| damaged("unknown event"))?,
            grant,
            outcome: Outcome::from_number(stored.outcome),
            error: stored.error,
            completion,
            time: Timestamp::from_nanos(stored.event_nanos),
            owner: stored.owner,
        };
        Ok((LockKey { lock_type: stored.r#type, resource_id: stored.resource_id }, event))
    }
}

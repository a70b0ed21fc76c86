//! The nouns of locking, as plain data.

use std::time::Duration;

use super::records;
use crate::clock::Timestamp;
use crate::store::Revision;

/// What a lock protects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LockKey {
    /// The kind of operation.
    pub(crate) lock_type: String,
    /// What it works on.
    pub(crate) resource_id: String,
}

impl LockKey {
    /// The resource that rights are given for, as the protocol makes it of the fields of a request.
    pub(crate) fn access_resource(&self) -> String {
        format!("{}/{}", self.lock_type, self.resource_id)
    }
}

impl std::fmt::Display for LockKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{} {}\"", Shown(&self.lock_type), Shown(&self.resource_id))
    }
}

/// A name in a message: without control characters, and cut, as messages travel in headers of limited size.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl Shown<'_> {
    const MAX_CHARS: usize = 100;
}

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars().take(Self::MAX_CHARS) {
            write!(f, "{}", character.escape_debug())?;
        }
        if self.0.chars().nth(Self::MAX_CHARS).is_some() { f.write_str("…") } else { Ok(()) }
    }
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// By one owner alone.
    Exclusive,
    /// By any number of owners, none of them exclusively.
    Shared,
    /// By owners that take permits of a capacity.
    Semaphore {
        /// What this owner takes; at least 1.
        permits: u32,
    },
}

impl Mode {
    /// What the owner takes of a semaphore's capacity.
    pub(crate) fn permits(self) -> u32 {
        match self {
            Mode::Exclusive | Mode::Shared => 0,
            Mode::Semaphore { permits } => permits,
        }
    }
}

/// Proves the right to renew and release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GrantId(pub(crate) [u8; 16]);

/// Names a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LeaseId(pub(crate) [u8; 16]);

/// Orders the grants of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Token {
    /// Known.
    Is(i64),
    /// The revision of the commit that this decision becomes. A revision is never used twice, so tokens grow for each
    /// key without any memory of its past.
    OfThisCommit,
}

/// How long a grant lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// Until the next renewal; `None`: it does not expire.
    pub(crate) ttl: Option<Duration>,
    /// Renewals included; `None`: no limit.
    pub(crate) max: Option<Duration>,
    /// With a lease.
    pub(crate) lease: Option<LeaseId>,
}

/// The right of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) owner: String,
    pub(crate) id: GrantId,
    pub(crate) token: Token,
    pub(crate) mode: Mode,
    pub(crate) granted: Timestamp,
    /// When it ends. Of a grant with a lease this is stored as it was once, as keep-alives move the lease alone:
    /// whoever loads it asks the lease.
    pub(crate) expires: Option<Timestamp>,
    pub(crate) max_expires: Option<Timestamp>,
    pub(crate) lifetime: Lifetime,
    /// Handed over, to be claimed before `expires`.
    pub(crate) is_unclaimed: bool,
    pub(crate) request_id: String,
}

impl Grant {
    /// Whether it has ended at `now`.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Gives it the token that the commit of `revision` stands for.
    pub(crate) fn resolve_token(&mut self, revision: Revision) {
        if self.token == Token::OfThisCommit {
            self.token = Token::Is(records::revision_token(revision));
        }
    }

    /// When this grant has to be looked at, apart from the end of its lease, which is looked at for all its grants.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        if self.lifetime.lease.is_some() && !self.is_unclaimed { self.max_expires } else { self.expires }
    }

    /// Starts or extends its life at `now`; `lease_expires` is the end of its lease, if it has one.
    pub(crate) fn extend(&mut self, now: Timestamp, lease_expires: Option<Timestamp>) {
        let natural = match self.lifetime.lease {
            Some(_) => lease_expires,
            None => self.lifetime.ttl.map(|ttl| now.plus(ttl)),
        };
        self.expires = [natural, self.max_expires].into_iter().flatten().min();
    }
}

/// A place in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) owner: String,
    pub(crate) mode: Mode,
    pub(crate) lifetime: Lifetime,
    pub(crate) enqueued: Timestamp,
    pub(crate) request_id: String,
}

/// That the work was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    pub(crate) owner: String,
    pub(crate) token: i64,
    pub(crate) grant_id: GrantId,
    pub(crate) completed: Timestamp,
    pub(crate) expires: Timestamp,
}

/// How the work under a grant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done.
    Succeeded,
    /// It failed.
    Failed,
    /// Nothing is said of it.
    Released,
}

/// All of a lock that one decision needs, besides the records of one owner and the head of the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Which queue is the living one; `None` while there is none.
    pub(crate) epoch: Option<u64>,
    pub(crate) last_token: Option<Token>,
    pub(crate) next_seq: u64,
    pub(crate) waiter_count: u32,
    /// Permits in all, while the lock is used as a semaphore; otherwise 0.
    pub(crate) capacity: u32,
    pub(crate) exclusive: Option<Grant>,
    pub(crate) shared_count: u32,
    pub(crate) permits_used: u32,
    /// No shared holder ends by time before this.
    pub(crate) shared_deadline: Option<Timestamp>,
    pub(crate) completion: Option<Completion>,
    /// Where the deadline table has this lock.
    pub(crate) deadline: Option<Timestamp>,
}

impl Head {
    /// How many hold the lock.
    pub(crate) fn holder_count(&self) -> u32 {
        self.shared_count + u32::from(self.exclusive.is_some())
    }

    /// Nobody holds it or waits for it, and nothing is remembered.
    pub(crate) fn is_idle(&self) -> bool {
        self.holder_count() == 0 && self.waiter_count == 0 && self.completion.is_none()
    }

    /// Somebody holds it or waits for it.
    pub(crate) fn is_in_use(&self) -> bool {
        self.holder_count() > 0 || self.waiter_count > 0
    }
}

//! The decision on a request for a lock.

use super::error::Error;
use super::event::{Event, Kind};
use super::keys::RequestKind;
use super::model::{Completion, Grant, GrantId, Lifetime, LockKey, Mode, Shown, Waiter};
use super::state::{Change, Context, LockState, claimed_grant};
use crate::clock::Timestamp;

/// How long requests with an id are remembered.
pub(crate) const REQUEST_RETENTION: std::time::Duration = std::time::Duration::from_mins(10);

/// What to do when the lock is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Leave it.
    Try,
    /// Join the queue.
    Enqueue,
}

/// Whether work that is done is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnCompleted {
    /// Say so instead of granting.
    Skip,
    /// Grant, and forget that it was done.
    Ignore,
}

/// A request for a lock.
#[derive(Clone, Debug)]
pub(crate) struct Acquire {
    pub(crate) key: LockKey,
    pub(crate) owner: String,
    pub(crate) mode: Mode,
    /// Of a semaphore; otherwise 0.
    pub(crate) capacity: u32,
    pub(crate) policy: Policy,
    pub(crate) lifetime: Lifetime,
    pub(crate) on_completed: OnCompleted,
    /// Empty: none.
    pub(crate) request_id: String,
}

/// What was loaded for the request besides the lock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// The end of the lease that it names, which lives.
    pub(crate) lease_expires: Option<Timestamp>,
    /// The end of the lease of the grant that the owner already has, when it has one.
    pub(crate) own_lease_expires: Option<Timestamp>,
    /// The grant that a request of this id once got.
    pub(crate) remembered: Option<GrantId>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Acquired {
    /// The owner holds the lock.
    Granted {
        /// Its grant.
        grant: Grant,
        /// It became a holder by this request, or claimed what it was handed.
        is_new: bool,
    },
    /// The owner waits at this place; 1 is the head.
    Queued(u32),
    /// Somebody else holds the lock.
    Contended,
    /// The work is done.
    Skipped(Completion),
}

/// Decides on a settled lock.
pub(crate) fn acquire(
    state: &mut LockState,
    command: &Acquire,
    known: Known,
    cx: &mut Context<'_>,
) -> Result<Acquired, Error> {
    if let Some(remembered) = known.remembered
        && state.grant_of(&command.owner).is_none_or(|grant| grant.id != remembered)
    {
        let request_id = Shown(&command.request_id).to_string();
        return Err(Error::RequestEnded { key: command.key.to_string(), request_id });
    }
    if let Some(grant) = state.grant_of(&command.owner).cloned() {
        return hold_on(state, command, grant, known, cx);
    }
    if command.on_completed == OnCompleted::Skip
        && let Some(completion) = &state.head.completion
    {
        return Ok(Acquired::Skipped(completion.clone()));
    }
    check_capacity(state, command)?;
    if let Some(place) = &state.place {
        if place.waiter.mode != command.mode {
            return Err(mode_mismatch(command));
        }
        return Ok(match command.policy {
            Policy::Try => Acquired::Contended,
            Policy::Enqueue => Acquired::Queued(place.position),
        });
    }
    if state.head.capacity == 0 {
        state.head.capacity = command.capacity;
    }
    // Nobody overtakes the queue, even where the lock could be shared with its holders.
    if state.head.waiter_count == 0 && state.is_free_for(command.mode) {
        return Ok(Acquired::Granted { grant: grant(state, command, known, cx), is_new: true });
    }
    match command.policy {
        Policy::Try => Ok(Acquired::Contended),
        Policy::Enqueue => enqueue(state, command, cx),
    }
}

/// The owner asks again for what it has: it claims what it was handed, or renews.
fn hold_on(
    state: &mut LockState,
    command: &Acquire,
    mut grant: Grant,
    known: Known,
    cx: &mut Context<'_>,
) -> Result<Acquired, Error> {
    if grant.mode != command.mode || (command.capacity != 0 && command.capacity != state.head.capacity) {
        return Err(mode_mismatch(command));
    }
    let before = grant.clone();
    if let Some(ttl) = command.lifetime.ttl.filter(|_| grant.lifetime.lease.is_none()) {
        grant.lifetime.ttl = Some(ttl);
    }
    if grant.is_unclaimed {
        grant.is_unclaimed = false;
        grant.lifetime.max = command.lifetime.max.or(grant.lifetime.max);
        grant.max_expires = grant.lifetime.max.map(|max| cx.now.plus(max));
        grant.extend(cx.now, known.own_lease_expires);
    } else if grant.lifetime.ttl.is_some() {
        grant.extend(cx.now, known.own_lease_expires);
    }
    if known.remembered.is_none() {
        remember(state, &command.request_id, &grant, cx.now);
    }
    if grant == before {
        return Ok(Acquired::Granted { grant, is_new: false });
    }
    state.update_grant(&grant);
    if before.is_unclaimed && before.request_id != command.request_id {
        // The request that joined the queue got this grant as well.
        remember(state, &before.request_id, &grant, cx.now);
    }
    let kind = if before.is_unclaimed { Kind::Claimed } else { Kind::Renewed };
    state.emit(Event::of_grant(kind, &grant, cx.now));
    Ok(Acquired::Granted { grant, is_new: before.is_unclaimed })
}

fn grant(state: &mut LockState, command: &Acquire, known: Known, cx: &mut Context<'_>) -> Grant {
    let grant =
        claimed_grant(&command.owner, command.mode, command.lifetime, known.lease_expires, &command.request_id, cx);
    state.drop_completion(cx.now);
    state.begin_grant(&grant);
    remember(state, &command.request_id, &grant, cx.now);
    state.emit(Event::of_grant(Kind::Granted, &grant, cx.now));
    grant
}

fn enqueue(state: &mut LockState, command: &Acquire, cx: &mut Context<'_>) -> Result<Acquired, Error> {
    if state.head.waiter_count >= cx.rules.max_waiters {
        return Err(Error::QueueFull { key: command.key.to_string(), limit: cx.rules.max_waiters });
    }
    let waiter = Waiter {
        owner: command.owner.clone(),
        mode: command.mode,
        lifetime: command.lifetime,
        enqueued: cx.now,
        request_id: command.request_id.clone(),
    };
    state.join_queue(waiter, cx);
    Ok(Acquired::Queued(state.head.waiter_count))
}

fn remember(state: &mut LockState, request_id: &str, grant: &Grant, now: Timestamp) {
    if !request_id.is_empty() {
        state.changes.push(Change::Remember {
            kind: RequestKind::Acquire,
            request_id: request_id.to_owned(),
            grant: grant.id,
            outcome: None,
            until: now.plus(REQUEST_RETENTION),
        });
    }
}

fn check_capacity(state: &LockState, command: &Acquire) -> Result<(), Error> {
    let used = state.head.capacity;
    if !state.head.is_in_use() || used == command.capacity {
        return Ok(());
    }
    let describe = |capacity: u32| match capacity {
        0 => "as an exclusive or shared lock".to_owned(),
        capacity => format!("as a semaphore of capacity {capacity}"),
    };
    Err(Error::CapacityMismatch {
        key: command.key.to_string(),
        used: describe(used),
        asked: describe(command.capacity),
    })
}

fn mode_mismatch(command: &Acquire) -> Error {
    Error::ModeMismatch { key: command.key.to_string(), owner: Shown(&command.owner).to_string() }
}

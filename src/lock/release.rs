//! The decision on a lock that is given back, and on a place in the queue that is given up.

use super::acquire::REQUEST_RETENTION;
use super::error::Error;
use super::event::{Event, Kind};
use super::keys::RequestKind;
use super::model::{Completion, Grant, GrantId, LockKey, Mode, Outcome, Shown, Token};
use super::state::{Change, Context, LockState};

/// Which grant is meant.
#[derive(Clone, Debug)]
pub(crate) enum HolderRef {
    /// By the id that only its holder knows.
    Grant(GrantId),
    /// By name.
    Owner(String),
}

impl std::fmt::Display for HolderRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HolderRef::Grant(_) => write!(f, "that grant"),
            HolderRef::Owner(owner) => write!(f, "\"{}\"", Shown(owner)),
        }
    }
}

/// A lock that is given back.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) key: LockKey,
    pub(crate) holder: HolderRef,
    pub(crate) outcome: Outcome,
    pub(crate) error: String,
    /// Empty: none.
    pub(crate) request_id: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Released {
    /// Who was handed the lock.
    pub(crate) next_owner: Option<String>,
    /// The record of success.
    pub(crate) completion: Option<Completion>,
}

/// Decides on a settled lock. `grant` is the one that the command means, if it lives; `remembered` is what a request of
/// this id was answered.
pub(crate) fn release(
    state: &mut LockState,
    command: &Release,
    grant: Option<Grant>,
    remembered: Option<Outcome>,
    cx: &mut Context<'_>,
) -> Result<Released, Error> {
    // What was answered before is answered again, whoever holds the lock by now.
    if let Some(remembered) = remembered {
        return if remembered == command.outcome {
            Ok(Released { next_owner: None, completion: state.head.completion.clone() })
        } else {
            Err(Error::not_holder(&command.key, &command.holder.to_string()))
        };
    }
    let Some(grant) = grant else { return release_again(state, command) };
    if command.outcome == Outcome::Succeeded && grant.mode != Mode::Exclusive {
        return Err(Error::OutcomeNeedsExclusive { key: command.key.to_string() });
    }
    state.end_grant(&grant);
    let mut event = Event::of_grant(Kind::Released, &grant, cx.now);
    event.outcome = Some(command.outcome);
    event.error.clone_from(&command.error);
    state.emit(event);
    if !command.request_id.is_empty() {
        state.changes.push(Change::Remember {
            kind: RequestKind::Release,
            request_id: command.request_id.clone(),
            grant: grant.id,
            outcome: Some(command.outcome),
            until: cx.now.plus(REQUEST_RETENTION),
        });
    }
    let mut completion = None;
    if command.outcome == Outcome::Succeeded && !cx.rules.completed_retention.is_zero() {
        let done = completion_of(&grant, cx);
        state.dismiss_queue();
        state.complete(&done);
        completion = Some(done);
    } else {
        state.serve_queue(cx);
    }
    Ok(Released { next_owner: state.assigned().map(str::to_owned), completion })
}

fn completion_of(grant: &Grant, cx: &Context<'_>) -> Completion {
    let token = match grant.token {
        Token::Is(token) => token,
        // A grant that is released was loaded, and with it its token.
        Token::OfThisCommit => 0,
    };
    Completion {
        owner: grant.owner.clone(),
        token,
        grant_id: grant.id,
        completed: cx.now,
        expires: cx.now.plus(cx.rules.completed_retention),
    }
}

/// The grant is gone. That is fine for who released it before in the same way.
fn release_again(state: &LockState, command: &Release) -> Result<Released, Error> {
    let completion = state.head.completion.clone();
    let is_doer = completion.as_ref().is_some_and(|completion| match &command.holder {
        HolderRef::Grant(id) => completion.grant_id == *id,
        HolderRef::Owner(owner) => completion.owner == *owner,
    });
    if is_doer && command.outcome == Outcome::Succeeded {
        return Ok(Released { next_owner: None, completion });
    }
    Err(Error::not_holder(&command.key, &command.holder.to_string()))
}

/// What became of a wish to leave the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// The owner waited, or was handed the lock without claiming it.
    Yes,
    /// The owner holds the lock.
    IsHolder,
    /// The owner neither waited nor holds.
    WasNotWaiting,
}

/// Decides on a settled lock.
pub(crate) fn cancel_wait(state: &mut LockState, owner: &str, cx: &mut Context<'_>) -> Cancelled {
    if let Some(place) = state.place.take() {
        state.leave_queue(place.seq, &place.waiter);
        state.emit(Event::of_owner(Kind::WaitCancelled, owner, cx.now));
        return Cancelled::Yes;
    }
    match state.grant_of(owner).cloned() {
        Some(grant) if grant.is_unclaimed => {
            state.end_grant(&grant);
            state.emit(Event::of_grant(Kind::WaitCancelled, &grant, cx.now));
            state.serve_queue(cx);
            Cancelled::Yes
        }
        Some(_) => Cancelled::IsHolder,
        None => Cancelled::WasNotWaiting,
    }
}

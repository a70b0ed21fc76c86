//! The decision on a grant that is to live longer.

use std::time::Duration;

use super::error::Error;
use super::event::{Event, Kind};
use super::model::{Grant, GrantId, LockKey};
use super::state::{Context, LockState};

/// A wish to hold on.
#[derive(Clone, Debug)]
pub(crate) struct Renew {
    pub(crate) key: LockKey,
    pub(crate) grant: GrantId,
    /// Instead of the ttl of the grant, from now on.
    pub(crate) ttl: Option<Duration>,
}

/// Decides on a settled lock. `grant` is the one that the command means, if it lives.
pub(crate) fn renew(
    state: &mut LockState,
    command: &Renew,
    grant: Option<Grant>,
    cx: &mut Context<'_>,
) -> Result<Grant, Error> {
    // A grant that was handed over has to be claimed by asking for the lock.
    let Some(mut grant) = grant.filter(|grant| !grant.is_unclaimed) else {
        return Err(Error::not_holder(&command.key, "that grant"));
    };
    if grant.lifetime.lease.is_some() {
        return Err(Error::Invalid {
            field: "grant_id",
            problem: "the grant lives with its lease: keep the lease alive instead".to_owned(),
        });
    }
    grant.lifetime.ttl = command.ttl.or(grant.lifetime.ttl);
    if grant.lifetime.ttl.is_none() {
        return Err(Error::Invalid { field: "ttl", problem: "the grant has none, so the request must".to_owned() });
    }
    grant.extend(cx.now, None);
    state.update_grant(&grant);
    state.emit(Event::of_grant(Kind::Renewed, &grant, cx.now));
    Ok(grant)
}

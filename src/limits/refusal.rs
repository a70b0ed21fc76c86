//! What somebody is told who asks too much.

use std::time::Duration;

use crate::error::{Category, Failure};

/// When to try again where nobody knows when there will be room.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Requests,
    Calls,
    Bytes,
    /// One caller's part of the memory for all.
    Share,
    Memory,
}

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    User,
    Address,
    Server,
}

/// A call that is not taken, or broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) limit: Limit,
    pub(super) scope: Scope,
    pub(super) retry_delay: Duration,
}

impl Refusal {
    /// A refusal, which is counted.
    pub(super) fn new(limit: Limit, scope: Scope, retry_delay: Option<Duration>) -> Self {
        metrics::counter!("steward_limits_refused_total", "limit" => limit.label(), "scope" => scope.label())
            .increment(1);
        Refusal { limit, scope, retry_delay: retry_delay.unwrap_or(RETRY_DELAY) }
    }

    /// As the caller reads it.
    pub(super) fn status(self) -> tonic::Status {
        let Refusal { limit, scope, retry_delay } = self;
        let (reason, what) = match limit {
            Limit::Requests => ("TOO_MANY_REQUESTS", "too many requests a second"),
            Limit::Calls => ("TOO_MANY_CALLS", "too many calls at a time"),
            Limit::Bytes => ("TOO_MANY_BYTES", "too many bytes under way"),
            Limit::Share => ("TOO_MANY_BYTES", "too many bytes of requests in memory"),
            Limit::Memory => ("TOO_MANY_BYTES", "the server has too many bytes of requests in memory"),
        };
        let message = match scope {
            Scope::User => format!("{what} of one user; try again later"),
            Scope::Address => format!("{what} of one address; try again later"),
            Scope::Server => format!("{what}; try again later"),
        };
        let failure = Failure::new(Category::ResourceExhausted, reason, message);
        failure.with("scope", scope.label()).retry_after(retry_delay).into()
    }
}

impl Limit {
    pub(super) const ALL: [Self; 5] = [Self::Requests, Self::Calls, Self::Bytes, Self::Share, Self::Memory];

    pub(super) fn label(self) -> &'static str {
        match self {
            Limit::Requests => "requests",
            Limit::Calls => "calls",
            Limit::Bytes => "bytes",
            Limit::Share => "share",
            Limit::Memory => "memory",
        }
    }
}

impl Scope {
    pub(super) fn label(self) -> &'static str {
        match self {
            Scope::User => "user",
            Scope::Address => "address",
            Scope::Server => "server",
        }
    }
}

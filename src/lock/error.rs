//! Why a command was refused.

use super::model::LockKey;
use crate::error::{Category, Failure};
use crate::places::Full;
use crate::store;

/// Why a command on locks was refused. Nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The caller does not hold the lock, or no longer.
    #[error("lock {key} is not held by {who}")]
    NotHolder {
        /// Which lock.
        key: String,
        /// Who claimed to hold it.
        who: String,
    },
    /// The lock is in use with another capacity.
    #[error("lock {key} is in use {used}; it cannot be used {asked} at the same time")]
    CapacityMismatch {
        /// Which lock.
        key: String,
        /// How it is used.
        used: String,
        /// How the caller would use it.
        asked: String,
    },
    /// The owner holds the lock, or waits for it, in another mode.
    #[error("{owner} already holds lock {key} or waits for it in another mode; release it first")]
    ModeMismatch {
        /// Which lock.
        key: String,
        /// Who.
        owner: String,
    },
    /// Success was reported under a grant that others share.
    #[error("lock {key} is held with others: only an exclusive holder can report success")]
    OutcomeNeedsExclusive {
        /// Which lock.
        key: String,
    },
    /// The grant that this request once got has ended.
    #[error("request {request_id} for lock {key} was granted before, and that grant has ended; use a new request id")]
    RequestEnded {
        /// Which lock.
        key: String,
        /// Which request.
        request_id: String,
    },
    /// The lease has expired, was revoked, or never was.
    #[error("lease {lease_id} does not exist or has expired")]
    LeaseExpired {
        /// Which lease.
        lease_id: String,
    },
    /// There is nothing to act on.
    #[error("{0}")]
    NotFound(String),
    /// The queue of a lock is full.
    #[error("{limit} owners wait for lock {key} already, which is the limit")]
    QueueFull {
        /// Which lock.
        key: String,
        /// How many may wait.
        limit: u32,
    },
    /// There are as many watches as may be.
    #[error("{} watches{} are open already, which is the limit", .0.limit, .0.whose())]
    TooManyWatchers(Full),
    /// A field of the request is not acceptable in the state of the lock.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The server is about to stop; the place in the queue is kept.
    #[error("the server is shutting down; ask again, your place in the queue is kept")]
    ShuttingDown,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    pub(crate) fn not_holder(key: &LockKey, who: &str) -> Self {
        Error::NotHolder { key: key.to_string(), who: who.to_owned() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (category, reason) = match &error {
            Error::NotHolder { .. } => (Category::FailedPrecondition, "NOT_HOLDER"),
            Error::CapacityMismatch { .. } => (Category::FailedPrecondition, "CAPACITY_MISMATCH"),
            Error::ModeMismatch { .. } => (Category::FailedPrecondition, "MODE_MISMATCH"),
            Error::OutcomeNeedsExclusive { .. } => (Category::FailedPrecondition, "OUTCOME_NEEDS_EXCLUSIVE"),
            Error::RequestEnded { .. } => (Category::FailedPrecondition, "REQUEST_ENDED"),
            Error::LeaseExpired { .. } => (Category::NotFound, "LEASE_EXPIRED"),
            Error::NotFound(_) => (Category::NotFound, "NOT_FOUND"),
            Error::QueueFull { .. } => (Category::ResourceExhausted, "QUEUE_FULL"),
            Error::TooManyWatchers(_) => (Category::ResourceExhausted, "TOO_MANY_WATCHERS"),
            Error::Invalid { field, problem } => return Failure::invalid([(*field, problem.clone())]),
            Error::ShuttingDown => (Category::Unavailable, "SHUTTING_DOWN"),
            Error::Store(error) => return Failure::from(error.clone()),
        };
        let failure = Failure::new(category, reason, error.to_string());
        match error {
            Error::NotHolder { key, .. }
            | Error::CapacityMismatch { key, .. }
            | Error::ModeMismatch { key, .. }
            | Error::OutcomeNeedsExclusive { key }
            | Error::RequestEnded { key, .. } => failure.with("key", key),
            Error::QueueFull { key, limit } => failure.with("key", key).with("limit", limit.to_string()),
            Error::LeaseExpired { lease_id } => failure.with("lease_id", lease_id),
            Error::TooManyWatchers(full) => failure.with("limit", full.limit.to_string()),
            Error::NotFound(_) | Error::Invalid { .. } | Error::ShuttingDown | Error::Store(_) => failure,
        }
    }
}

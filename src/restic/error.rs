//! Why a command was refused.

use std::io;

use super::name::{ObjectName, RepositoryPath};
use crate::error::{Category, Failure};
use crate::places::Full;

/// Why a command on repositories was refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of the request is wrong.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The range is none.
    #[error("{0}")]
    InvalidRange(String),
    /// The object has no such bytes.
    #[error("the object has {size} bytes, none of them in the range")]
    RangeNotSatisfiable {
        /// How many it has.
        size: u64,
    },
    /// The bytes are not what the name promises.
    #[error("the content of {object} has the SHA-256 {actual}")]
    ContentMismatch {
        /// The object as it was named.
        object: ObjectName,
        /// What the content has.
        actual: String,
    },
    /// The upload ended without its end, or with another size than it had.
    #[error("the upload of {object} broke off: {problem}")]
    BrokenOff {
        /// What was uploaded.
        object: ObjectName,
        /// What was wrong with its end.
        problem: String,
    },
    /// There is no such repository or object.
    #[error("{0} does not exist")]
    NotFound(String),
    /// There is such an object already, with other bytes.
    #[error("{object} exists in repository {repository} with another content")]
    Exists {
        /// In which repository.
        repository: RepositoryPath,
        /// Which.
        object: ObjectName,
    },
    /// The object changed under the upload.
    #[error("{object} was damaged and has been moved aside, or is being changed: send it again")]
    Busy {
        /// Which.
        object: ObjectName,
    },
    /// The object is longer than objects may be.
    #[error("the object has more than {limit} bytes, which is the limit")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// A quota has no room for it.
    #[error("{whose} has a quota of {limit} bytes, of which {used} are in use")]
    QuotaExceeded {
        /// Whose quota.
        whose: String,
        /// The quota, in bytes.
        limit: u64,
        /// What is in use or promised to other uploads, in bytes.
        used: u64,
    },
    /// The repository has as many locks as may be.
    #[error(
        "repository {repository} has {limit} locks, which is the limit: remove those that are left over (`restic unlock`)"
    )]
    TooManyLocks {
        /// Which.
        repository: RepositoryPath,
        /// How many it may have.
        limit: usize,
    },
    /// The disk has no room for it.
    #[error("the disk of the server is full")]
    DiskFull,
    /// The caller may not.
    #[error("{0}")]
    Forbidden(String),
    /// Nobody but locks may be deleted.
    #[error("repository {0} is append-only for you: nothing but locks is deleted or replaced")]
    AppendOnly(RepositoryPath),
    /// The object is too young to be deleted.
    #[error("{object} is protected from deletion until {until}")]
    TooYoung {
        /// Which.
        object: ObjectName,
        /// Until when, RFC 3339.
        until: String,
    },
    /// There are as many watches as may be.
    #[error("{} watches{} are open already, which is the limit", .0.limit, .0.whose())]
    TooManyWatchers(Full),
    /// There are as many verifications as may be.
    #[error("{limit} verifications are running already, which is the limit")]
    TooManyVerifications {
        /// How many may run.
        limit: usize,
    },
    /// What a watch asks for is no longer remembered.
    #[error("revision {asked} is compacted: changes are remembered from revision {floor} on")]
    Compacted {
        /// What was asked for.
        asked: i64,
        /// The earliest that can be resumed from.
        floor: i64,
    },
    /// It is never done.
    #[error("{0}")]
    Unimplemented(&'static str),
    /// The server is about to stop.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The file system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was done.
        what: String,
        /// How it failed.
        source: io::Error,
    },
}

impl Error {
    /// The failure of a file operation. A full disk is one of its own.
    pub(super) fn io(what: impl Into<String>, source: io::Error) -> Self {
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Error::DiskFull;
        }
        Error::Io { what: what.into(), source }
    }

    pub(super) fn no_repository(path: &RepositoryPath) -> Self {
        Error::NotFound(format!("repository {path}"))
    }

    pub(super) fn no_object(path: &RepositoryPath, object: ObjectName) -> Self {
        Error::NotFound(format!("{object} in repository {path}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (category, reason) = match &error {
            Error::Invalid { field, problem } => return Failure::invalid([(*field, problem.clone())]),
            Error::InvalidRange(_) => (Category::InvalidArgument, "INVALID_RANGE"),
            Error::RangeNotSatisfiable { .. } => (Category::OutOfRange, "RANGE_NOT_SATISFIABLE"),
            Error::ContentMismatch { .. } => (Category::InvalidArgument, "CONTENT_MISMATCH"),
            Error::BrokenOff { .. } => (Category::InvalidArgument, "UPLOAD_BROKEN_OFF"),
            Error::NotFound(_) => (Category::NotFound, "NOT_FOUND"),
            Error::Exists { .. } => (Category::AlreadyExists, "OBJECT_EXISTS"),
            Error::Busy { .. } => (Category::Unavailable, "BUSY"),
            Error::TooLarge { .. } => (Category::ResourceExhausted, "OBJECT_TOO_LARGE"),
            Error::QuotaExceeded { .. } => (Category::ResourceExhausted, "QUOTA_EXCEEDED"),
            Error::TooManyLocks { .. } => (Category::ResourceExhausted, "TOO_MANY_LOCKS"),
            Error::DiskFull => (Category::ResourceExhausted, "DISK_FULL"),
            Error::Forbidden(_) => (Category::PermissionDenied, "FORBIDDEN"),
            Error::AppendOnly(_) => (Category::PermissionDenied, "APPEND_ONLY"),
            Error::TooYoung { .. } => (Category::PermissionDenied, "TOO_YOUNG"),
            Error::TooManyWatchers(_) => (Category::ResourceExhausted, "TOO_MANY_WATCHERS"),
            Error::TooManyVerifications { .. } => (Category::ResourceExhausted, "TOO_MANY_VERIFICATIONS"),
            Error::Compacted { .. } => (Category::OutOfRange, "REVISION_COMPACTED"),
            Error::Unimplemented(_) => (Category::Unimplemented, "UNIMPLEMENTED"),
            Error::ShuttingDown => (Category::Unavailable, "SHUTTING_DOWN"),
            Error::Io { .. } => (Category::Internal, "INTERNAL"),
        };
        let failure = Failure::new(category, reason, error.to_string());
        match error {
            Error::RangeNotSatisfiable { size } => failure.with("size", size.to_string()),
            Error::QuotaExceeded { limit, used, .. } => {
                failure.with("limit", limit.to_string()).with("used", used.to_string())
            }
            Error::TooLarge { limit } => failure.with("limit", limit.to_string()),
            Error::TooManyLocks { limit, .. } | Error::TooManyVerifications { limit } => {
                failure.with("limit", limit.to_string())
            }
            Error::TooManyWatchers(full) => failure.with("limit", full.limit.to_string()),
            Error::Compacted { floor, .. } => failure.with("floor", floor.to_string()),
            _ => failure,
        }
    }
}

//! Why a command on volumes was refused.

use crate::error::{Category, Failure};
use crate::places::Full;
use crate::store;

/// Why a command on volumes was refused. Nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The path is none.
    #[error("{field}: {problem}")]
    InvalidPath {
        /// The field that it came in.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A field of the request is wrong.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The thing, or a directory on the way to it, belongs to somebody else.
    #[error("{what} does not belong to {user:?}")]
    InvalidUser {
        /// What it is.
        what: String,
        /// Who asked.
        user: String,
    },
    /// There is no such thing.
    #[error("{0} does not exist")]
    NotFound(String),
    /// There is one already, and it is not what was asked for.
    #[error("{0} exists already")]
    AlreadyExists(String),
    /// It is being worked on in a way that does not allow this.
    #[error("{0}")]
    BadState(String),
    /// It is a directory, and a volume is needed.
    #[error("{0} is a directory")]
    IsDirectory(String),
    /// It is a volume, and a directory is needed.
    #[error("{0} is not a directory")]
    NotADirectory(String),
    /// The directory has entries.
    #[error("{0} is not empty")]
    DirectoryNotEmpty(String),
    /// The volume has snapshots.
    #[error("{0} has snapshots")]
    HasSnapshots(String),
    /// The volume has a snapshot that is in error.
    #[error("{0} has a snapshot that is in error")]
    HasError(String),
    /// Somebody has the volume open, or it is being flattened.
    #[error("{0}")]
    VolumeInUse(String),
    /// Clones need the snapshot, or somebody has it open.
    #[error("{0}")]
    SnapshotInUse(String),
    /// The snapshot is another volume's, or not done.
    #[error("{0}")]
    SnapshotInvalid(String),
    /// It is protected from deletion.
    #[error("{0} is protected")]
    Protected(String),
    /// The UUID and the path do not agree.
    #[error("{0}")]
    NameMismatch(String),
    /// It has ended, or cannot be taken back.
    #[error("{0} cannot be cancelled")]
    NotCancellable(String),
    /// The operation has not ended.
    #[error("operation {0} has not ended")]
    TaskUnfinished(String),
    /// Somebody else changed it in the meantime.
    #[error("{0} was changed in the meantime")]
    EtagMismatch(String),
    /// The size is outside of the limits, or smaller than before.
    #[error("{0}")]
    SizeOutOfRange(String),
    /// A clone has to be in the pool of its snapshot.
    #[error("{0}")]
    PoolMismatch(String),
    /// This server is not set up for it.
    #[error("{0}")]
    NotSupported(String),
    /// The volume has as many snapshots as it may.
    #[error("{volume} has {limit} snapshots, which is the limit")]
    SnapshotLimit {
        /// The volume.
        volume: String,
        /// How many it may have.
        limit: u32,
    },
    /// As many layers lie below as may.
    #[error("{limit} layers lie on each other, which is the limit: delete snapshots, or flatten a clone among them")]
    ChainLimit {
        /// How many may.
        limit: u32,
    },
    /// There are as many operations as there may be.
    #[error("{limit} operations are waiting or running, which is the limit")]
    TaskLimit {
        /// How many there may be.
        limit: usize,
    },
    /// The user has as much as it may.
    #[error("{user:?} would have more than its quota of {limit} {what}")]
    QuotaExceeded {
        /// Who.
        user: String,
        /// Of what: `bytes`, `volumes`, `snapshots`.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// There are as many watches as may be.
    #[error("{} watches{} are open already, which is the limit", .0.limit, .0.whose())]
    TooManyWatchers(Full),
    /// There are as many exports as may be.
    #[error("{} exports{} are open already, which is the limit", .0.limit, .0.whose())]
    TooManyExports(Full),
    /// No space is left on the disk.
    #[error("no space is left on the disk")]
    DiskFull,
    /// Bytes of a volume cannot be read any more.
    #[error("{0}")]
    DataDamaged(String),
    /// The server is about to stop.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// Something went wrong that is not the caller's fault.
    #[error("{0}")]
    Internal(String),
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::DiskFull,
            std::io::ErrorKind::FileTooLarge => Error::SizeOutOfRange(error.to_string()),
            _ => Error::Internal(format!("the bytes of a volume: {error}")),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let (category, reason) = match error {
            Error::Store(error) => return error.into(),
            Error::Invalid { field, problem } => return Failure::invalid([(field, problem)]),
            Error::InvalidPath { .. } => (Category::InvalidArgument, "INVALID_PATH"),
            Error::InvalidUser { .. } => (Category::PermissionDenied, "INVALID_USER"),
            Error::NotFound(_) => (Category::NotFound, "NOT_FOUND"),
            Error::AlreadyExists(_) => (Category::AlreadyExists, "ALREADY_EXISTS"),
            Error::BadState(_) => (Category::FailedPrecondition, "BAD_STATE"),
            Error::IsDirectory(_) => (Category::FailedPrecondition, "IS_DIRECTORY"),
            Error::NotADirectory(_) => (Category::FailedPrecondition, "NOT_A_DIRECTORY"),
            Error::DirectoryNotEmpty(_) => (Category::FailedPrecondition, "DIRECTORY_NOT_EMPTY"),
            Error::HasSnapshots(_) => (Category::FailedPrecondition, "HAS_SNAPSHOTS"),
            Error::HasError(_) => (Category::FailedPrecondition, "HAS_ERROR"),
            Error::VolumeInUse(_) => (Category::FailedPrecondition, "VOLUME_IN_USE"),
            Error::SnapshotInUse(_) => (Category::FailedPrecondition, "SNAPSHOT_IN_USE"),
            Error::SnapshotInvalid(_) => (Category::FailedPrecondition, "SNAPSHOT_INVALID"),
            Error::Protected(_) => (Category::FailedPrecondition, "PROTECTED"),
            Error::NameMismatch(_) => (Category::FailedPrecondition, "NAME_MISMATCH"),
            Error::NotCancellable(_) => (Category::FailedPrecondition, "NOT_CANCELLABLE"),
            Error::TaskUnfinished(_) => (Category::FailedPrecondition, "TASK_UNFINISHED"),
            Error::EtagMismatch(_) => (Category::FailedPrecondition, "ETAG_MISMATCH"),
            Error::SizeOutOfRange(_) => (Category::FailedPrecondition, "SIZE_OUT_OF_RANGE"),
            Error::PoolMismatch(_) => (Category::FailedPrecondition, "POOL_MISMATCH"),
            Error::NotSupported(_) => (Category::FailedPrecondition, "NOT_SUPPORTED"),
            Error::SnapshotLimit { .. } | Error::ChainLimit { .. } => (Category::ResourceExhausted, "SNAPSHOT_LIMIT"),
            Error::TaskLimit { .. } => (Category::ResourceExhausted, "TASK_LIMIT"),
            Error::QuotaExceeded { .. } => (Category::ResourceExhausted, "QUOTA_EXCEEDED"),
            Error::TooManyWatchers(_) => (Category::ResourceExhausted, "TOO_MANY_WATCHERS"),
            Error::TooManyExports(_) => (Category::ResourceExhausted, "TOO_MANY_EXPORTS"),
            Error::DiskFull => (Category::ResourceExhausted, "DISK_FULL"),
            Error::DataDamaged(_) => (Category::DataLoss, "DATA_DAMAGED"),
            Error::ShuttingDown => (Category::Unavailable, "SHUTTING_DOWN"),
            Error::Internal(_) => (Category::Internal, "INTERNAL"),
        };
        Failure::new(category, reason, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_that_the_file_system_cannot_hold_is_one_out_of_range() {
        let error = std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it cannot hold 17 bytes");
        assert!(matches!(Error::from(error), Error::SizeOutOfRange(problem) if problem == "it cannot hold 17 bytes"));
    }
}

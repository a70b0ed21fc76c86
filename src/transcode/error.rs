//! Why a command was refused.

use super::model::{TaskUuid, WorkerId};
use crate::error::{Category, Failure};
use crate::places::Full;
use crate::store;

/// Why a command on the farm was refused. Nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No such worker.
    #[error("worker {} does not exist", .0.0)]
    WorkerNotFound(WorkerId),
    /// The worker of this name beats.
    #[error("worker {0:?} is online; a second one of its name is refused until its heartbeats have stopped")]
    WorkerOnline(String),
    /// Another worker has the name.
    #[error("another worker is named {0:?}")]
    WorkerExists(String),
    /// The worker's heartbeats have stopped, or it was told to go.
    #[error("worker {} is offline: a heartbeat or a registration brings it back", .0.0)]
    WorkerOffline(WorkerId),
    /// No such task.
    #[error("task {0} does not exist")]
    TaskNotFound(String),
    /// The task is another worker's, or was given again.
    #[error("task {0} does not belong to the caller")]
    NotTaskOwner(TaskUuid),
    /// The task has ended.
    #[error("task {0} has ended")]
    TaskEnded(TaskUuid),
    /// The video is being worked on.
    #[error("the video of task {0} is being worked on")]
    TaskInProgress(TaskUuid),
    /// No such video, or its file is gone.
    #[error("video {0} does not exist")]
    VideoNotFound(i32),
    /// No such library.
    #[error("library {0:?} does not exist")]
    LibraryNotFound(String),
    /// The file of a video cannot be read where the server is.
    #[error("{0}")]
    SourceUnreachable(String),
    /// What a worker sent is no good result.
    #[error("{0}")]
    ResultRefused(String),
    /// The bytes of a result are not those that were sent: they have to be sent again.
    #[error("the digest of the result is not the one that was sent; it has to be sent again from its beginning")]
    WrongDigest,
    /// Another upload of the same result has not ended.
    #[error("another upload of this result has not ended yet")]
    UploadBusy,
    /// The next part did not come.
    #[error("the next part of the result did not come in time; go on from where it is")]
    UploadStalled,
    /// A part of a result or of a source is not the next one.
    #[error("offset {sent} was asked for, {expected} is next")]
    WrongOffset {
        /// What was sent.
        sent: i64,
        /// What would be right.
        expected: i64,
    },
    /// There are as many watches as may be.
    #[error("{} watches{} are open already, which is the limit", .0.limit, .0.whose())]
    TooManyWatchers(Full),
    /// A field of the request is wrong.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
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

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let (category, reason) = match error {
            Error::Store(error) => return error.into(),
            Error::Invalid { field, problem } => return Failure::invalid([(field, problem)]),
            Error::WorkerNotFound(_) => (Category::NotFound, "WORKER_NOT_FOUND"),
            Error::WorkerOnline(_) => (Category::AlreadyExists, "WORKER_ONLINE"),
            Error::WorkerExists(_) => (Category::AlreadyExists, "WORKER_EXISTS"),
            Error::WorkerOffline(_) => (Category::FailedPrecondition, "WORKER_OFFLINE"),
            Error::TaskNotFound(_) => (Category::NotFound, "TASK_NOT_FOUND"),
            Error::NotTaskOwner(_) => (Category::FailedPrecondition, "NOT_TASK_OWNER"),
            Error::TaskEnded(_) => (Category::FailedPrecondition, "TASK_ENDED"),
            Error::TaskInProgress(_) => (Category::FailedPrecondition, "TASK_IN_PROGRESS"),
            Error::VideoNotFound(_) => (Category::NotFound, "VIDEO_NOT_FOUND"),
            Error::LibraryNotFound(_) => (Category::NotFound, "LIBRARY_NOT_FOUND"),
            Error::SourceUnreachable(_) => (Category::FailedPrecondition, "SOURCE_UNREACHABLE"),
            Error::ResultRefused(_) => (Category::FailedPrecondition, "RESULT_REFUSED"),
            Error::WrongDigest => (Category::FailedPrecondition, "WRONG_DIGEST"),
            Error::UploadBusy => (Category::Unavailable, "UPLOAD_BUSY"),
            Error::UploadStalled => (Category::Unavailable, "UPLOAD_STALLED"),
            Error::WrongOffset { .. } => (Category::OutOfRange, "WRONG_OFFSET"),
            Error::TooManyWatchers(_) => (Category::ResourceExhausted, "TOO_MANY_WATCHERS"),
            Error::ShuttingDown => (Category::Unavailable, "SHUTTING_DOWN"),
            Error::Internal(_) => (Category::Internal, "INTERNAL"),
        };
        Failure::new(category, reason, message)
    }
}

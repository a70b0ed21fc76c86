//! Why a task did not come to its end.

use std::fmt::Display;
use std::io;

/// Why a task did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It was told to stop.
    Stopped,
    /// The video cannot be transcoded, or its result is no good.
    Video(String),
    /// The fault is this machine's, noticed before the work began: another worker may do better, and the video loses no
    /// attempt.
    Worker(String),
    /// The fault is this machine's, noticed after the work began. It takes an attempt: a video that brings down every
    /// machine must not go around for ever.
    Spent(String),
}

impl Failure {
    pub(super) fn video(message: impl Into<String>) -> Self {
        Failure::Video(message.into())
    }

    pub(super) fn worker(message: impl Into<String>) -> Self {
        Failure::Worker(message.into())
    }

    /// This machine did not do `what`. To be given to `map_err`.
    pub(super) fn io<E: Display>(what: impl Display) -> impl FnOnce(E) -> Self {
        move |error| Failure::Worker(format!("{what}: {error}"))
    }
}

/// Does `work` on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

//! The gRPC face of the farm: request, command, answer.

mod fields;
mod libraries;
mod logs;
mod page;
mod rights;
mod session;
mod tasks;
mod transfers;
mod videos;
mod workers;

use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Response, Status};

use super::error::Error;
use super::farm::Farm;
use super::watch::Steps;
use crate::error::Failure;

/// All services of the farm.
#[derive(Clone, Debug)]
pub struct FarmServer {
    farm: Farm,
    watchers: Arc<Semaphore>,
}

impl FarmServer {
    /// Services for this farm.
    pub fn new(farm: Farm) -> Self {
        let watchers = Arc::new(Semaphore::new(farm.settings.max_watchers));
        FarmServer { farm, watchers }
    }

    /// The place of one more watch.
    fn watcher(&self) -> Result<OwnedSemaphorePermit, Error> {
        let limit = self.farm.settings.max_watchers;
        Arc::clone(&self.watchers).try_acquire_owned().map_err(|_| Error::TooManyWatchers { limit })
    }
}

/// What a call that streams sends.
type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// The answer of a handler, or its refusal as a status.
fn answer<T, E: Into<Failure>>(result: Result<T, E>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| Status::from(error.into()))
}

/// The steps of a watch as messages.
fn stream<T: Send + 'static, M: 'static>(steps: Steps<T>, message: fn(T) -> M) -> Answers<M> {
    seen(steps, |_| true, message)
}

/// The steps of a watch that the caller may see, as messages.
fn seen<T: Send + 'static, M: 'static>(
    steps: Steps<T>,
    sees: impl Fn(&T) -> bool + Send + 'static,
    message: fn(T) -> M,
) -> Answers<M> {
    let steps = futures::stream::unfold(steps, |mut steps| async move { Some((steps.recv().await?, steps)) });
    let steps = steps.filter(move |step| std::future::ready(step.as_ref().map_or(true, &sees)));
    steps.map(move |step| step.map(message).map_err(|error| Status::from(Failure::from(error)))).boxed()
}

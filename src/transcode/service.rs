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

use futures::stream::{BoxStream, StreamExt as _};
use tonic::{Response, Status};

use super::error::Error;
use super::farm::Farm;
use super::reach::Reach;
use super::watch::Steps;
use crate::error::Failure;
use crate::places::{Place, Places};

/// All services of the farm.
#[derive(Clone, Debug)]
pub struct FarmServer {
    farm: Farm,
    watchers: Places,
}

impl FarmServer {
    /// Services for this farm.
    pub fn new(farm: Farm) -> Self {
        let watchers = Places::new(farm.settings.max_watchers);
        FarmServer { farm, watchers }
    }

    /// The place of one more watch.
    fn watcher(&self, reach: &Reach) -> Result<Place, Error> {
        self.watchers.take(reach.caller()).map_err(Error::TooManyWatchers)
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

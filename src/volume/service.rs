//! The gRPC face of volumes: request, command, answer.

mod exports;
mod fields;
mod operations;
mod policies;
mod rights;
mod snapshots;
mod streams;
mod volumes;
mod watch;

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Response, Status};

use super::catalog::Catalog;
use super::error::Error;
use crate::error::Failure;

/// All services of volumes.
#[derive(Clone)]
pub struct VolumeServer {
    catalog: Catalog,
    watchers: Arc<Semaphore>,
}

impl VolumeServer {
    /// Services for this catalogue.
    pub fn new(catalog: Catalog) -> Self {
        let watchers = Arc::new(Semaphore::new(catalog.settings.max_watchers));
        VolumeServer { catalog, watchers }
    }

    /// The place of one more watch.
    fn watcher(&self) -> Result<OwnedSemaphorePermit, Error> {
        let limit = self.catalog.settings.max_watchers;
        Arc::clone(&self.watchers).try_acquire_owned().map_err(|_| Error::TooManyWatchers { limit })
    }
}

/// The answer of a handler, or its refusal as a status.
fn answer<T, E: Into<Failure>>(result: Result<T, E>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| Status::from(error.into()))
}

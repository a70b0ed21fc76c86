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

use tonic::{Response, Status};

use super::catalog::Catalog;
use super::error::Error;
use crate::auth::Identity;
use crate::error::Failure;
use crate::places::{Place, Places};

/// All services of volumes.
#[derive(Clone)]
pub struct VolumeServer {
    catalog: Catalog,
    watchers: Places,
}

impl VolumeServer {
    /// Services for this catalogue.
    pub fn new(catalog: Catalog) -> Self {
        let watchers = Places::new(catalog.settings.max_watchers);
        VolumeServer { catalog, watchers }
    }

    /// The place of one more watch.
    fn watcher(&self, caller: &Identity) -> Result<Place, Error> {
        self.watchers.take(caller).map_err(Error::TooManyWatchers)
    }
}

/// The answer of a handler, or its refusal as a status.
fn answer<T, E: Into<Failure>>(result: Result<T, E>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| Status::from(error.into()))
}

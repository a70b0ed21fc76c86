//! The gRPC face of volumes: request, command, answer.

mod exports;
mod fields;
mod operations;
mod policies;
mod snapshots;
mod streams;
mod volumes;
mod watch;

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Response, Status};

use super::catalog::Catalog;
use super::error::Error;
use super::namespace::{ROOT_USER, User};
use super::settings::RootAccess;
use crate::auth::Identity;
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

    /// On whose behalf a request is made that names `user`, or nobody.
    fn user<T>(&self, request: &Request<T>, user: &str) -> Result<User, Failure> {
        self.acting(signed_in(request), user)
    }

    /// On whose behalf somebody acts who has signed in, or has not, and names `user`, or nobody.
    fn acting(&self, signed_in: Option<String>, user: &str) -> Result<User, Failure> {
        let has_signed_in = signed_in.is_some();
        let named = (!user.is_empty()).then(|| user.to_owned());
        let user = User(named.or(signed_in).unwrap_or_else(|| ROOT_USER.to_owned()));
        fields::user_name("user", &user.0)?;
        let may_be_root = match self.catalog.settings.root {
            RootAccess::Trusted => true,
            RootAccess::Token => has_signed_in,
            RootAccess::Deny => false,
        };
        if user.is_root() && !may_be_root {
            return Err(Error::InvalidUser { what: "this server".to_owned(), user: user.0 }.into());
        }
        Ok(user)
    }
}

/// As whom the caller has signed in.
fn signed_in<T>(request: &Request<T>) -> Option<String> {
    request.extensions().get::<Identity>().and_then(|identity| identity.user.clone())
}

/// The answer of a handler, or its refusal as a status.
fn answer<T, E: Into<Failure>>(result: Result<T, E>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| Status::from(error.into()))
}

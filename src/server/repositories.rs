//! Starts the repositories of restic.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::restic::{self, ObjectServer, Repositories, Settings};

/// Opens the repositories that the configuration names and tends them in `tasks` until shutdown.
pub(super) async fn start(
    config: &Config,
    shutdown: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<ObjectServer, restic::Error> {
    let root = config.restic.path.clone().unwrap_or_else(|| config.store.data.join("restic"));
    let settings = Settings { root, restic: config.restic.clone() };
    let clock = Arc::new(SystemClock::default());
    let repositories = Repositories::open(settings, clock, shutdown.clone(), tasks.clone()).await?;
    tasks.spawn(restic::tend(repositories.clone()));
    Ok(ObjectServer::new(repositories))
}

//! Starts the transcoding farm: its state, its loops and its scanner.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::running::BoxError;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::engine;
use crate::store::Store;
use crate::transcode::{Farm, FarmServer, RetentionEngine, SilenceEngine};

/// The farm in `store`, at work.
pub(super) async fn start(
    config: &Config,
    store: Arc<dyn Store>,
    shutdown: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<FarmServer, BoxError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let settings = config.farm_settings();
    let farm = Farm::open(Arc::clone(&store), Arc::clone(&clock), settings, shutdown.clone(), tasks.clone()).await?;
    let silence = SilenceEngine::new(farm.clone());
    tasks.spawn(engine::run(silence, Arc::clone(&store), Arc::clone(&clock), shutdown.clone()));
    let retention = RetentionEngine::new(farm.clone());
    tasks.spawn(engine::run(retention, store, clock, shutdown.clone()));
    farm.start_scanner();
    Ok(FarmServer::new(farm))
}

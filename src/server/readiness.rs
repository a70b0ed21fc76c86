//! Whether requests can be served. Why not is for the log: anybody may ask.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

use crate::store::Store as _;
use crate::store::sled::SledStore;

/// How long an upstream may take to say that it serves.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(5);

/// Says whether requests can be served, or why not.
pub(super) type Readiness = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Ready while the store takes commits and nobody has said stop.
pub(super) fn of_store(store: &Arc<SledStore>, shutdown: &CancellationToken) -> Readiness {
    let (store, shutdown) = (Arc::clone(store), shutdown.clone());
    Arc::new(move || {
        let (store, shutdown) = (Arc::clone(&store), shutdown.clone());
        Box::pin(async move {
            if shutdown.is_cancelled() {
                return Err("shutting down".to_owned());
            }
            store.settled().await.map_err(|error| error.to_string())
        })
    })
}

/// Ready while the upstream says that it serves.
pub(super) fn of_upstream(channel: Channel) -> Readiness {
    Arc::new(move || {
        let mut health = HealthClient::new(channel.clone());
        Box::pin(async move {
            let check = tokio::time::timeout(UPSTREAM_TIMEOUT, health.check(HealthCheckRequest::default()));
            let answer = check.await.map_err(|_| "the upstream does not answer".to_owned())?;
            let status = answer.map_err(|status| format!("the upstream: {}", status.message()))?.into_inner().status();
            if status == ServingStatus::Serving { Ok(()) } else { Err("the upstream does not serve".to_owned()) }
        })
    })
}

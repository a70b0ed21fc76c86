//! Starts artifacts and replication.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use super::data_dir::{DataDir, Purpose};
use super::running::BoxError;
use crate::artifact::{ArtifactServer, Artifacts};
use crate::auth::{Authenticator, RegistryTokenServer, RegistryTokens};
use crate::blob::{Blobs, Sharing};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::replication::{ClusterServer, Replication, ReplicationServer, local_channel};
use crate::secrets::{Holder, SecretServer, Secrets};
use crate::store::Store;

/// The services of artifacts and replication.
#[derive(Clone)]
pub(super) struct Servers {
    pub(super) artifacts: ArtifactServer,
    pub(super) replication: ReplicationServer,
    pub(super) clusters: ClusterServer,
    /// Tokens for those who push and pull images.
    pub(super) tokens: RegistryTokenServer,
    /// The secrets that replication stores.
    pub(super) secrets: SecretServer,
}

/// The artifacts in `store` and their replication, at work. The directory of their bytes is theirs while the second lives.
pub(super) async fn start(
    config: &Config,
    store: Arc<dyn Store>,
    secrets: &Secrets,
    authenticator: &Authenticator,
    shutdown: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<(Servers, DataDir), BoxError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let path = config.artifacts.path.clone().unwrap_or_else(|| config.store.data.join("blobs"));
    let privately = Sharing::Private.create_directory(&path);
    privately.map_err(|error| format!("the directory of blobs, {}: {error}", path.display()))?;
    let taken = DataDir::take(Purpose::Blobs, &path)?;
    let directory = path.clone();
    let blobs = tokio::task::spawn_blocking(move || Blobs::open(&directory)).await?;
    let blobs = blobs.map_err(|error| format!("the directory of blobs, {}: {error}", path.display()))?;
    let artifacts = Artifacts::open(
        Arc::clone(&store),
        blobs,
        Arc::clone(&clock),
        config.artifacts.settings(),
        shutdown.clone(),
        tasks.clone(),
    )
    .await?;
    artifacts.start();
    artifacts.start_files();
    let artifacts = ArtifactServer::new(artifacts);

    let local = local_channel(Routes::new(super::grpc::artifact_service(artifacts.clone())).prepare());
    let settings = config.replication.settings(&config.server);
    let replication =
        Replication::new(Arc::clone(&store), local, clock, secrets.clone(), settings, shutdown.clone(), tasks.clone());
    let replication = replication.with_rights(authenticator.clone());
    replication.start();
    let holders: Vec<Arc<dyn Holder>> = vec![Arc::new(replication.clone())];
    let servers = Servers {
        artifacts,
        tokens: RegistryTokenServer::new(registry_tokens(secrets)),
        clusters: ClusterServer::new(replication.clone()),
        replication: ReplicationServer::new(replication),
        secrets: SecretServer::new(secrets.clone(), store, holders, tasks.clone()),
    };
    Ok((servers, taken))
}

/// The tokens of those who push and pull images.
pub(super) fn registry_tokens(secrets: &Secrets) -> RegistryTokens {
    RegistryTokens::new(secrets.clone(), Arc::new(SystemClock::default()))
}

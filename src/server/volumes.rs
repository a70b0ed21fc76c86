//! Starts volumes: the catalogue, its loops, and the NBD server.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::data_dir::{DataDir, Purpose};
use super::listen::{PortTls, Tls};
use super::running::BoxError;
use crate::audit::{Audit, AuditedExports};
use crate::auth::Authenticator;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Listen, Port};
use crate::engine;
use crate::store::Store;
use crate::volume::layers::Depot;
use crate::volume::layers::disk::OsDisk;
use crate::volume::{
    Catalog, ExpiryEngine, NbdAccess, NbdAddresses, NbdExports, NbdUsers, OperationRetention, PolicyEngine, Runner,
    TrashEngine, claim_layers, nbd,
};

/// The volumes in `store`, at work, and the directory of their layers, which is to be kept as long as they are used.
pub(super) async fn start(
    config: &Config,
    store: Arc<dyn Store>,
    shutdown: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<(Catalog, DataDir), BoxError> {
    let path = config.volumes.path.clone().unwrap_or_else(|| config.store.data.join("volumes"));
    let directory = DataDir::take(Purpose::Volumes, &path)?;
    claim_layers(&*store, &path).await?;
    let depot = tokio::task::spawn_blocking(move || open_depot(&path)).await??;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let catalog = Catalog::open(
        Arc::clone(&store),
        Arc::new(depot),
        Arc::clone(&clock),
        config.volumes.settings(),
        shutdown.clone(),
        tasks.clone(),
    )
    .await?;
    catalog.drop_left_snapshots().await?;
    tasks.spawn(Runner::new(catalog.clone()).run());
    tasks.spawn(catalog.clone().run_tidy());
    tasks.spawn(catalog.clone().run_exports());
    tasks.spawn(engine::run(
        TrashEngine::new(catalog.clone()),
        Arc::clone(&store),
        Arc::clone(&clock),
        shutdown.clone(),
    ));
    tasks.spawn(engine::run(
        OperationRetention::new(catalog.clone()),
        Arc::clone(&store),
        Arc::clone(&clock),
        shutdown.clone(),
    ));
    tasks.spawn(engine::run(
        PolicyEngine::new(catalog.clone()),
        Arc::clone(&store),
        Arc::clone(&clock),
        shutdown.clone(),
    ));
    tasks.spawn(engine::run(ExpiryEngine::new(catalog.clone()), store, clock, shutdown.clone()));
    Ok((catalog, directory))
}

fn open_depot(path: &Path) -> Result<Depot<OsDisk>, BoxError> {
    std::fs::create_dir_all(path)
        .and_then(|()| OsDisk::open(path))
        .map(Depot::new)
        .map_err(|error| format!("the directory of volumes, {}: {error}", path.display()).into())
}

/// The NBD server, if there is to be one, at work.
pub(super) async fn serve_nbd(
    config: &Config,
    catalog: &Catalog,
    tls: Option<&Tls>,
    authenticator: &Authenticator,
    audit: Audit,
) -> Result<Option<nbd::Server>, BoxError> {
    let settings = &config.volumes;
    if settings.nbd.is_empty() {
        return Ok(None);
    }
    let (tls, requires_certificates) =
        (tls.and_then(|tls| tls.of_port(Port::Nbd)), config.tls.requires_certificates(Port::Nbd));
    if settings.nbd_require_tls && tls.is_none() {
        return Err("volumes.nbd_require_tls is of no use without tls.cert and tls.key".into());
    }
    let requires_tls = settings.nbd_require_tls || requires_certificates;
    let access = if config.asks_for_users() {
        NbdAccess::Users(NbdUsers { certificates: config.auth.certificates, authenticator: authenticator.clone() })
    } else {
        NbdAccess::Everybody
    };
    let server = nbd::Server::start(
        nbd::Settings {
            listen: settings.nbd.clone(),
            tls: tls.as_ref().map(PortTls::config),
            require_tls: requires_tls,
            max_connections: settings.nbd_connections,
            ..nbd::Settings::default()
        },
        Arc::new(AuditedExports::new(NbdExports::new(catalog.clone(), access), audit)),
    );
    let server = server.await.map_err(|error: io::Error| format!("cannot listen for nbd: {error}"))?;
    let mut addresses = NbdAddresses::default();
    for address in server.addresses() {
        match address {
            Listen::Unix(path) => addresses.unix.push(path.clone()),
            Listen::Tcp { host, port } => {
                let address = format!("{host}:{port}");
                let address = address.parse().or_else(|_| format!("[{host}]:{port}").parse());
                addresses.tcp.extend(address.ok().map(|address| (address, requires_tls)));
            }
        }
    }
    catalog.set_nbd_addresses(addresses);
    Ok(Some(server))
}

//! The lives of `steward serve` and `steward gateway`.

use std::error::Error;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;
use tower::ServiceExt as _;

use super::browsers::Browsers;
use super::data_dir::{DataDir, Purpose};
use super::listen::{self, Socket};
use super::open_upstream::OpenUpstream;
use super::operators::{MetricsAccess, Operators};
use super::options::gateway_options;
use super::{advice, artifacts, farm, grpc, http, open_files, readiness, repositories, stop, upstream, volumes};
use crate::audit::{Audit, AuditServer};
use crate::auth::oidc::Oidc;
use crate::auth::{AuthServer, Authenticator, Bearers, Proxies, Relay, Tokens};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Listen, Port};
use crate::limits::Limits;
use crate::lock::{ExpiryEngine, LockServer, Locks, PurgeEngine};
use crate::secrets::Secrets;
use crate::store::Store;
use crate::store::journal;
use crate::store::sled::{self, SledStore};
use crate::volume::{VolumeServer, nbd};
use crate::{engine, telemetry};

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// Serves everything until a signal to stop or a failure of the disk.
pub async fn serve(config: Config) -> Result<(), BoxError> {
    open_files::raise_limit();
    let metrics = telemetry::start_metrics()?;
    let oidc = config.auth.oidc.as_ref().map(|oidc| Oidc::open(oidc, Arc::new(SystemClock::default()))).transpose()?;
    let data = DataDir::take(Purpose::Data, &config.store.data)?;
    let secrets = open_secrets(&config)?;
    let store = open_store(&config, &data).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let tokens = Tokens::open(Arc::clone(&store) as Arc<dyn Store>, clock).await?;
    let mut bearers: Vec<Arc<dyn Bearers>> = Vec::new();
    if config.auth.is_asked_for() || config.tls.asks_for_certificates() {
        bearers.push(Arc::clone(&tokens) as Arc<dyn Bearers>);
        bearers.push(Arc::new(artifacts::registry_tokens(&secrets)));
    }
    bearers.extend(oidc.iter().map(|oidc| Arc::new(oidc.clone()) as Arc<dyn Bearers>));
    let authenticator = Authenticator::from_config(&config.auth)?
        .with_certificates(config.tls.asks_for_certificates())
        .with_tokens(bearers);
    let shutdown = stop::on_signal()?;
    let tasks = TaskTracker::new();
    tasks.spawn(telemetry::keep_up(metrics.clone(), shutdown.clone()));
    authenticator.start(shutdown.clone(), &tasks)?;
    if let Some(oidc) = &oidc {
        oidc.start(&shutdown, &tasks)?;
    }
    let audit = start_audit(&config, &data, &shutdown, &tasks).await?;
    advice::give(&config, &authenticator).await;
    let locks = start_locks(&config, &store, &shutdown, &tasks).await?;
    let lock_server = LockServer::new(locks, shutdown.clone(), tasks.clone());
    let object_server = repositories::start(&config, &shutdown, &tasks).await?;
    let farm_server = farm::start(&config, Arc::clone(&store) as Arc<dyn Store>, &shutdown, &tasks).await?;
    // The directories of blobs and of volumes are ours to the end.
    let (copied, _blobs) =
        artifacts::start(&config, Arc::clone(&store) as Arc<dyn Store>, &secrets, &authenticator, &shutdown, &tasks)
            .await?;
    let (catalog, _layers) = volumes::start(&config, Arc::clone(&store) as Arc<dyn Store>, &shutdown, &tasks).await?;

    let common = listen::Common::start(&config, &shutdown, &tasks)?;
    let grpc_socket = bind("grpc", &config.server.grpc.into()).await?;
    let http_socket = bind("http", &config.server.http.into()).await?;
    let restic_socket = bind_restic(&config).await?;
    let mut ports = vec![("grpc", grpc_socket.address()), ("http", http_socket.address())];
    ports.extend(restic_socket.as_ref().map(|socket| ("restic", socket.address())));
    let tls = common.tls.as_ref();
    let nbd_server = volumes::serve_nbd(&config, &catalog, tls, &authenticator, audit.clone()).await?;
    ports.extend(nbd_server.iter().flat_map(nbd::Server::addresses).map(|address| ("nbd", address.to_string())));

    let audit_server = AuditServer::new(audit.clone(), shutdown.clone(), tasks.clone());
    let operators = grpc::Operators { auth: AuthServer::new(authenticator.clone(), tokens), audit: audit_server };
    let volume_server = VolumeServer::new(catalog);
    let areas = grpc::areas(lock_server, object_server, farm_server, volume_server, copied, operators);
    let limits = Limits::from_config(&config.limits);
    let timeout = config.server.request_timeout;
    let prepared = areas.clone().prepare();
    let in_process = grpc::around(prepared, timeout, authenticator.clone(), audit.clone(), limits.clone());
    let options = gateway_options(&config, authenticator.user_header());
    let restic_routes = steward_gateway::restic_router(in_process.clone(), options.clone(), shutdown.clone());
    let gateway = steward_gateway::router(in_process, options, shutdown.clone());
    let is_closed = config.asks_for_users() && !config.server.open_metrics;
    let access = if is_closed { MetricsAccess::Readers } else { MetricsAccess::Anyone };
    let operations = http::Operations {
        metrics,
        operators: Operators::new(access, Some(authenticator.clone()), audit.clone()),
        readiness: readiness::of_store(&store, &shutdown),
    };
    let browsers = Browsers::from_config(&config);
    let router = http::router(gateway, operations, browsers.clone(), Proxies::from_config(&config.auth)?);

    let mut servers = Servers::new();
    let services = serving_services(areas, &shutdown, &tasks).await?;
    let services = grpc::around(services.prepare(), timeout, authenticator.clone(), audit.clone(), limits);
    servers.spawn(listen::serve(Port::Grpc, grpc_socket, grpc::router(services), common.clone()));
    servers.spawn(listen::serve(Port::Http, http_socket, router, common.clone()));
    if let Some(socket) = restic_socket {
        let router = http::restic_router(restic_routes, None, browsers);
        servers.spawn(listen::serve(Port::Restic, socket, router, common.clone()));
    }
    audit.server("Server/Start", concat!("version ", env!("CARGO_PKG_VERSION")));
    announce(&ports)?;
    hint(&ports, &common);

    let result = tokio::select! {
        reason = store.failed() => Err(format!("the store failed, so the server stops: {reason}").into()),
        result = until_stopped(servers, &shutdown, config.server.shutdown_deadline) => result,
    };
    shutdown.cancel();
    if let Some(server) = nbd_server {
        server.stop(config.server.shutdown_deadline).await;
    }
    tasks.close();
    if tokio::time::timeout(config.server.shutdown_deadline, tasks.wait()).await.is_err() {
        tracing::warn!("some tasks did not end in time");
    }
    common.finish().await;
    audit.server("Server/Stop", if result.is_ok() { "" } else { "because of a failure" });
    audit.finish(config.server.shutdown_deadline).await;
    // Dropping the store makes what it accepted durable.
    tokio::task::spawn_blocking(move || drop(store)).await?;
    // A request that was cut off may still hold the store, so the directory stays ours until the process ends.
    std::mem::forget(data);
    result
}

/// Serves the gateway alone, in front of a server elsewhere.
pub async fn gateway(config: Config, upstream: &str) -> Result<(), BoxError> {
    open_files::raise_limit();
    let metrics = telemetry::start_metrics()?;
    let relay = Relay::from_config(&config.auth)?;
    let shutdown = stop::on_signal()?;
    let tasks = TaskTracker::new();
    tasks.spawn(telemetry::keep_up(metrics.clone(), shutdown.clone()));
    let common = listen::Common::start(&config, &shutdown, &tasks)?;
    let channel = upstream::channel(upstream, &config.gateway.upstream)?;
    let socket = bind("http", &config.server.http.into()).await?;
    let restic_socket = bind_restic(&config).await?;
    let mut ports = vec![("http", socket.address())];
    ports.extend(restic_socket.as_ref().map(|socket| ("restic", socket.address())));
    let options = gateway_options(&config, relay.user_header());
    let cleaned = channel.clone().map_request(move |call| relay.clean(call));
    let guard = OpenUpstream::guard(&config, upstream, cleaned.clone());
    guard.check().await?;
    let restic_routes = steward_gateway::restic_router(cleaned.clone(), options.clone(), shutdown.clone());
    let gateway = steward_gateway::router(cleaned, options, shutdown.clone());
    // Only the upstream knows the users.
    let access = if config.server.open_metrics { MetricsAccess::Anyone } else { MetricsAccess::Local };
    let operators = Operators::new(access, None, Audit::off());
    let operations = http::Operations { metrics, operators, readiness: readiness::of_upstream(channel) };
    let browsers = Browsers::of_gateway(&config, guard.asking());
    let router = http::router(gateway, operations, browsers.clone(), Proxies::from_config(&config.auth)?);
    let mut servers = Servers::new();
    servers.spawn(listen::serve(Port::Http, socket, router, common.clone()));
    if let Some(socket) = restic_socket {
        let router = http::restic_router(restic_routes, None, browsers);
        servers.spawn(listen::serve(Port::Restic, socket, router, common.clone()));
    }
    announce(&ports)?;
    let result = tokio::select! {
        open = guard.watch() => Err(open.into()),
        result = until_stopped(servers, &shutdown, config.server.shutdown_deadline) => result,
    };
    common.finish().await;
    result
}

pub(super) type Servers = JoinSet<Result<(), BoxError>>;

async fn open_store(config: &Config, data: &DataDir) -> Result<Arc<SledStore>, BoxError> {
    let history = journal::Limits { revisions: config.store.history, bytes: config.store.history_bytes };
    let options = sled::Options { cache_bytes: config.store.cache_bytes, history };
    let path = data.path().to_owned();
    let opened = tokio::task::spawn_blocking(move || sled::open(&path, options));
    Ok(Arc::new(opened.await??))
}

fn open_secrets(config: &Config) -> Result<Secrets, BoxError> {
    let key_file = config.key_file();
    Secrets::open(&key_file).map_err(|error| format!("the key file {}: {error}", key_file.display()).into())
}

/// The audit in the data directory.
async fn start_audit(
    config: &Config,
    data: &DataDir,
    shutdown: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<Audit, BoxError> {
    let (settings, directory) = (config.audit.clone(), data.path().join("audit"));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let named = format!("the audit log in {}", directory.display());
    let starting = tokio::task::spawn_blocking(move || Audit::start(&settings, &directory, clock)).await?;
    let audit = starting.map_err(|error| format!("{named}: {error}"))?;
    tasks.spawn(audit.clone().keep_up(shutdown.clone()));
    Ok(audit)
}

async fn start_locks(
    config: &Config,
    store: &Arc<SledStore>,
    shutdown: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<Locks, BoxError> {
    let store: Arc<dyn Store> = Arc::clone(store) as Arc<dyn Store>;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let locks = Locks::new(Arc::clone(&store), Arc::clone(&clock), config.lock.settings());
    locks.count_all().await?;
    let expiry = ExpiryEngine::new(locks.clone());
    tasks.spawn(engine::run(expiry, Arc::clone(&store), Arc::clone(&clock), shutdown.clone()));
    let purge = PurgeEngine::new(locks.clone());
    tasks.spawn(engine::run(purge, store, clock, shutdown.clone()));
    Ok(locks)
}

pub(super) async fn bind(name: &str, address: &Listen) -> Result<Socket, BoxError> {
    Socket::bind(address).await.map_err(|error| format!("cannot listen for {name} on {address}: {error}").into())
}

async fn bind_restic(config: &Config) -> Result<Option<Socket>, BoxError> {
    let Some(listen) = &config.restic.listen else { return Ok(None) };
    let socket = bind("restic", listen).await?;
    share(&socket, config)?;
    Ok(Some(socket))
}

/// Whom the files of repositories are for, a Unix socket before them is for too.
pub(super) fn share(socket: &Socket, config: &Config) -> Result<(), BoxError> {
    if config.restic.group_accessible {
        socket.open_to_group()?;
    }
    Ok(())
}

/// All services as they are served over the network: with their health, until shutdown, and the reflection.
async fn serving_services(
    areas: Routes,
    shutdown: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<Routes, BoxError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    for service in grpc::SERVICES {
        health.set_service_status(*service, tonic_health::ServingStatus::Serving).await;
    }
    tasks.spawn(withdraw(health, shutdown.clone()));
    Ok(grpc::with_reflection(areas)?.add_service(health_service.max_decoding_message_size(grpc::MAX_OPEN_BYTES)))
}

/// Tells those who watch the health that the server goes, and ends their streams, which would hold it up.
async fn withdraw(mut health: HealthReporter, shutdown: CancellationToken) {
    shutdown.cancelled().await;
    for service in grpc::SERVICES.iter().chain(&[""]) {
        health.set_service_status(*service, tonic_health::ServingStatus::NotServing).await;
    }
    for service in grpc::SERVICES.iter().chain(&[""]) {
        health.clear_service_status(service).await;
    }
}

/// Tells programs that wait for it where the ports are.
fn announce(ports: &[(&str, String)]) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    for (name, address) in ports {
        writeln!(output, "{name} listening on {address}")?;
    }
    output.flush()
}

/// Tells people what to try.
fn hint(ports: &[(&str, String)], common: &listen::Common) {
    let [(_, grpc), (_, http), ..] = ports else { return };
    let scheme = |port| if common.has_tls(port) { "https" } else { "http" };
    let (of_grpc, of_http) = (scheme(Port::Grpc), scheme(Port::Http));
    if std::io::stderr().is_terminal() {
        eprintln!("try: steward lock run --server {of_grpc}://{grpc} hello -- echo hello");
        eprintln!(
            "     curl {of_http}://{http}/lock -d '{{\"type\":\"pull\",\"resource_id\":\"sha256:a\",\"node_id\":\"me\"}}'"
        );
    }
}

/// Returns when a server fails, or, after the signal to stop, when all have finished or the deadline has passed.
pub(super) async fn until_stopped(
    mut servers: Servers,
    shutdown: &CancellationToken,
    deadline: Duration,
) -> Result<(), BoxError> {
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(deadline).await;
    };
    tokio::pin!(overdue);
    loop {
        tokio::select! {
            ended = servers.join_next() => match ended {
                None => return Ok(()),
                Some(result) => result??,
            },
            () = &mut overdue => {
                tracing::warn!("some requests did not finish in time and are cut off");
                servers.shutdown().await;
                return Ok(());
            }
        }
    }
}

//! The lives of `steward serve` and `steward gateway`.

use std::error::Error;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic::transport::server::TcpIncoming;
use tonic_health::server::HealthReporter;
use tower::ServiceExt as _;
use tower::layer::layer_fn;

use super::data_dir::{DataDir, Purpose};
use super::http::MetricsAccess;
use super::listen::{self, Socket};
use super::options::gateway_options;
use super::{advice, artifacts, farm, grpc, http, open_files, readiness, repositories, stop, volumes};
use crate::auth::oidc::Oidc;
use crate::auth::{Authenticator, Bearers, Relay};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Listen};
use crate::lock::{ExpiryEngine, LockServer, Locks, PurgeEngine};
use crate::secrets::Secrets;
use crate::store::Store;
use crate::store::journal::Limits;
use crate::store::sled::{self, SledStore};
use crate::volume::{VolumeServer, nbd};
use crate::{engine, telemetry};

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// How often an idle connection is asked whether the other side is there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may take to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls that one connection may have open.
const MAX_STREAMS_PER_CONNECTION: u32 = 20_000;
/// How long the gateway tries to reach its upstream.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves everything until a signal to stop or a failure of the disk.
pub async fn serve(config: Config) -> Result<(), BoxError> {
    open_files::raise_limit();
    let metrics = telemetry::start_metrics()?;
    let oidc = config.auth.oidc.as_ref().map(|oidc| Oidc::open(oidc, Arc::new(SystemClock::default()))).transpose()?;
    let data = DataDir::take(Purpose::Data, &config.store.data)?;
    let secrets = open_secrets(&config)?;
    let mut tokens: Vec<Arc<dyn Bearers>> = Vec::new();
    if config.auth.is_asked_for() {
        tokens.push(Arc::new(artifacts::registry_tokens(&secrets)));
    }
    tokens.extend(oidc.iter().map(|oidc| Arc::new(oidc.clone()) as Arc<dyn Bearers>));
    let authenticator = Authenticator::from_config(&config.auth)?.with_tokens(tokens);
    let store = open_store(&config, &data).await?;
    let shutdown = stop::on_signal()?;
    let tasks = TaskTracker::new();
    tasks.spawn(telemetry::keep_up(metrics.clone(), shutdown.clone()));
    authenticator.start(shutdown.clone(), &tasks)?;
    if let Some(oidc) = &oidc {
        oidc.start(&shutdown, &tasks)?;
    }
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
    let grpc_listener = TcpListener::bind(config.server.grpc)
        .await
        .map_err(|error| format!("cannot listen for grpc on {}: {error}", config.server.grpc))?;
    let http_socket = bind("http", &config.server.http.into()).await?;
    let restic_socket = bind_restic(&config).await?;
    let mut ports = vec![("grpc", grpc_listener.local_addr()?.to_string()), ("http", http_socket.address())];
    ports.extend(restic_socket.as_ref().map(|socket| ("restic", socket.address())));
    let nbd_server = volumes::serve_nbd(&config, &catalog, common.tls.as_ref()).await?;
    ports.extend(nbd_server.iter().flat_map(nbd::Server::addresses).map(|address| ("nbd", address.to_string())));

    let areas = grpc::areas(lock_server, object_server, farm_server, VolumeServer::new(catalog), copied);
    let in_process = grpc::around(areas.clone().prepare(), config.server.request_timeout, authenticator.clone());
    let options = gateway_options(&config, authenticator.user_header());
    let restic_routes = steward_gateway::restic_router(in_process.clone(), options.clone(), shutdown.clone());
    let gateway = steward_gateway::router(in_process, options, shutdown.clone());
    let is_closed = config.auth.is_asked_for() && !config.server.open_metrics;
    let access = if is_closed { MetricsAccess::Users { are_private: false } } else { MetricsAccess::Anyone };
    let operations = http::Operations {
        metrics: metrics.clone(),
        access,
        authenticator: Some(authenticator.clone()),
        readiness: readiness::of_store(&store, &shutdown),
    };
    let router = http::router(gateway, operations);

    let mut servers = Servers::new();
    let network = ServeGrpc { areas, timeout: config.server.request_timeout, authenticator: authenticator.clone() };
    servers.spawn(serve_grpc(grpc_listener, network, shutdown.clone()));
    servers.spawn(listen::serve("http", http_socket, router, common.clone()));
    if let Some(socket) = restic_socket {
        let router = http::restic_router(restic_routes, metrics, MetricsAccess::Off, None);
        servers.spawn(listen::serve("restic", socket, router, common.clone()));
    }
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
    let channel = Endpoint::from_shared(upstream.to_owned())?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true)
        .connect_lazy();
    let socket = bind("http", &config.server.http.into()).await?;
    let restic_socket = bind_restic(&config).await?;
    let mut ports = vec![("http", socket.address())];
    ports.extend(restic_socket.as_ref().map(|socket| ("restic", socket.address())));
    let options = gateway_options(&config, relay.user_header());
    let cleaned = channel.clone().map_request(move |call| relay.clean(call));
    let restic_routes = steward_gateway::restic_router(cleaned.clone(), options.clone(), shutdown.clone());
    let gateway = steward_gateway::router(cleaned, options, shutdown.clone());
    // Only the upstream knows the users.
    let (access, authenticator) = (MetricsAccess::Anyone, None);
    let readiness = readiness::of_upstream(channel);
    let operations = http::Operations { metrics: metrics.clone(), access, authenticator, readiness };
    let router = http::router(gateway, operations);
    let mut servers = Servers::new();
    servers.spawn(listen::serve("http", socket, router, common.clone()));
    if let Some(socket) = restic_socket {
        let router = http::restic_router(restic_routes, metrics, MetricsAccess::Off, None);
        servers.spawn(listen::serve("restic", socket, router, common.clone()));
    }
    announce(&ports)?;
    let result = until_stopped(servers, &shutdown, config.server.shutdown_deadline).await;
    common.finish().await;
    result
}

pub(super) type Servers = JoinSet<Result<(), BoxError>>;

async fn open_store(config: &Config, data: &DataDir) -> Result<Arc<SledStore>, BoxError> {
    let history = Limits { revisions: config.store.history, bytes: config.store.history_bytes };
    let options = sled::Options { cache_bytes: config.store.cache_bytes, history };
    let path = data.path().to_owned();
    let opened = tokio::task::spawn_blocking(move || sled::open(&path, options));
    Ok(Arc::new(opened.await??))
}

fn open_secrets(config: &Config) -> Result<Secrets, BoxError> {
    let key_file = config.key_file();
    Secrets::open(&key_file).map_err(|error| format!("the key file {}: {error}", key_file.display()).into())
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

/// What is served over the network.
struct ServeGrpc {
    areas: Routes,
    timeout: Duration,
    authenticator: Authenticator,
}

async fn serve_grpc(listener: TcpListener, serve: ServeGrpc, shutdown: CancellationToken) -> Result<(), BoxError> {
    let ServeGrpc { areas, timeout, authenticator } = serve;
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    for service in grpc::SERVICES {
        health.set_service_status(*service, tonic_health::ServingStatus::Serving).await;
    }
    tokio::spawn(withdraw(health, shutdown.clone()));
    let routes = grpc::with_reflection(areas)?.add_service(health_service);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .layer(layer_fn(move |routes| grpc::around(routes, timeout, authenticator.clone())))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned())
        .await?;
    Ok(())
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
    let scheme = if common.tls.is_some() { "https" } else { "http" };
    if std::io::stderr().is_terminal() {
        eprintln!("try: steward lock run --server http://{grpc} hello -- echo hello");
        eprintln!(
            "     curl {scheme}://{http}/lock -d '{{\"type\":\"pull\",\"resource_id\":\"sha256:a\",\"node_id\":\"me\"}}'"
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

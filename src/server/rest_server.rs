//! The life of `steward rest-server`: backup repositories alone, on one port, as restic's rest-server serves them.

use std::fs::File;

use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use super::browsers::Browsers;
use super::listen::{self, Socket};
use super::operators::{MetricsAccess, Operators};
use super::options::gateway_options;
use super::running::{BoxError, Servers, bind, share, until_stopped};
use super::{advice, grpc, http, open_files, repositories, stop};
use crate::audit::Audit;
use crate::auth::Authenticator;
use crate::config::{Config, Listen, Port};
use crate::limits::Limits;
use crate::telemetry;

/// What rest-server can be told that is no setting of Steward.
#[derive(Clone, Debug)]
pub struct RestServerOptions {
    /// Where to listen, unless systemd hands over a socket.
    pub listen: Listen,
    /// Who may read the metrics.
    pub metrics: MetricsAccess,
}

/// Serves repositories until a signal to stop.
///
/// It keeps no records: what there is to know of a repository is in its directory.
pub async fn rest_server(config: Config, options: RestServerOptions) -> Result<(), BoxError> {
    open_files::raise_limit();
    check_users(&config)?;
    let metrics = telemetry::start_metrics()?;
    let shutdown = stop::on_signal()?;
    let tasks = TaskTracker::new();
    tasks.spawn(telemetry::keep_up(metrics.clone(), shutdown.clone()));
    let authenticator = Authenticator::from_config(&config.auth)?.with_certificates(config.tls.asks_for_certificates());
    authenticator.start(shutdown.clone(), &tasks)?;
    advice::advise_on_users(&config, &authenticator).await;
    let common = listen::Common::start(&config, &shutdown, &tasks)?;
    let objects = repositories::start(&config, &shutdown, &tasks).await?;
    let socket = open(&options.listen).await?;
    share(&socket, &config)?;

    let services = Routes::new(grpc::object_service(objects));
    let limits = Limits::from_config(&config.limits);
    let timeout = config.server.request_timeout;
    let in_process = grpc::around(services.prepare(), timeout, authenticator.clone(), Audit::off(), limits);
    let choices = gateway_options(&config, authenticator.user_header());
    let routes = steward_gateway::restic_router(in_process, choices, shutdown.clone());
    let operators = Operators::new(options.metrics, Some(authenticator), Audit::off());
    let metrics = (options.metrics != MetricsAccess::Off).then_some((metrics, operators));
    let router = http::restic_router(routes, metrics, Browsers::from_config(&config));
    let address = socket.address();
    let mut servers = Servers::new();
    servers.spawn(listen::serve(Port::Restic, socket, router, common.clone()));
    // Programs that start a rest-server read this line.
    eprintln!("start server on {address}");

    let result = until_stopped(servers, &shutdown, config.server.shutdown_deadline).await;
    shutdown.cancel();
    tasks.close();
    if tokio::time::timeout(config.server.shutdown_deadline, tasks.wait()).await.is_err() {
        tracing::warn!("some tasks did not end in time");
    }
    common.finish().await;
    result
}

/// A file of users that cannot be read is told at once, in rest-server's words.
fn check_users(config: &Config) -> Result<(), BoxError> {
    let Some(path) = &config.auth.htpasswd else { return Ok(()) };
    match File::open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot load {} (use --no-auth to disable): {error}", path.display()).into()),
    }
}

/// The socket of systemd wins.
async fn open(listen: &Listen) -> Result<Socket, BoxError> {
    match Socket::from_systemd()? {
        Some(socket) => {
            eprintln!("systemd socket activation mode");
            Ok(socket)
        }
        None => bind("restic", listen).await,
    }
}

//! The ports of gRPC and HTTP: sockets, TLS and connections.
//!
//! - `socket` is where connections come from.
//! - `tls` is the certificates, read again when they change; `handshakes` bounds how many shake hands at a time.
//! - `connections` accepts them, and ends each when it is quiet for too long or the server stops.
//! - `peers` counts them, and by address.
//! - `activity` knows whether a connection is quiet.
//! - `stream` is its bytes.
//! - `requests` is what each request passes before the routes.

mod activity;
mod connections;
#[cfg(test)]
mod connections_test;
mod handshakes;
mod peers;
mod requests;
mod socket;
mod stream;
mod tls;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::peers::Peers;
pub(super) use self::socket::Socket;
pub(super) use self::tls::{PortTls, Tls};
use super::access_log::AccessLog;
use super::open_files;
use crate::clock::SystemClock;
use crate::config::{Config, Port};

type BoxError = Box<dyn Error + Send + Sync>;

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection without requests is kept. Longer than restic and Go's clients keep theirs (90 s), so that it
/// is the client who hangs up, and no request meets a connection that is just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);
/// How long a channel of gRPC is kept on which nobody was let in.
const STRANGER_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a client may leave untaken what it is sent.
const UNREAD_TIMEOUT: Duration = Duration::from_mins(5);
/// One address may have this part of all connections, so that nobody alone keeps the others out.
const PART_OF_ONE_ADDRESS: usize = 4;
/// How many handshakes of TLS may be under way on a port: those of one second on a busy day, and far less than there may
/// be connections.
const MAX_HANDSHAKES: usize = 1024;
/// How long a connection that is being closed may take to send what it still has.
const LINGER: Duration = Duration::from_secs(5);

/// What a connection may take up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    connections: usize,
    connections_of_one: usize,
    head_timeout: Duration,
    /// Without it, connections that answer pings are kept once somebody was let in.
    idle_timeout: Option<Duration>,
    stranger_timeout: Duration,
    unread_timeout: Duration,
    linger: Duration,
}

impl Limits {
    /// With at most so many connections.
    pub(super) fn new(connections: usize) -> Self {
        Limits {
            connections,
            connections_of_one: connections.div_ceil(PART_OF_ONE_ADDRESS),
            head_timeout: HEAD_TIMEOUT,
            idle_timeout: Some(IDLE_TIMEOUT),
            stranger_timeout: STRANGER_TIMEOUT,
            unread_timeout: UNREAD_TIMEOUT,
            linger: LINGER,
        }
    }

    /// The same for a port: clients of gRPC keep channels for when they need them, and streams of which nothing may
    /// come, or be taken, for hours.
    fn of(self, port: Port) -> Self {
        Limits { idle_timeout: self.idle_timeout.filter(|_| port != Port::Grpc), ..self }
    }

    /// How many handshakes of TLS may be under way on a port, silent ones and others.
    fn handshakes(&self) -> usize {
        self.connections_of_one.min(MAX_HANDSHAKES)
    }
}

/// What all ports of a process have in common.
#[derive(Clone)]
pub(super) struct Common {
    /// The certificates; without them connections are plain.
    pub(super) tls: Option<Tls>,
    /// Where requests are logged.
    pub(super) access_log: Option<AccessLog>,
    /// What a connection may take up.
    pub(super) limits: Limits,
    /// The connections that there are.
    pub(super) peers: Peers,
    /// When to stop.
    pub(super) shutdown: CancellationToken,
}

impl Common {
    /// Reads the certificate and opens the access log; what looks after them are `tasks`.
    pub(super) fn start(config: &Config, shutdown: &CancellationToken, tasks: &TaskTracker) -> Result<Self, BoxError> {
        let tls = Tls::load(config)?;
        let access_log = AccessLog::start(&config.log, Arc::new(SystemClock::default()))?;
        if let Some(tls) = &tls {
            tasks.spawn(tls.clone().follow(shutdown.clone()));
        }
        if let Some(log) = &access_log {
            tasks.spawn(log.clone().reopen_on_signal(shutdown.clone()));
        }
        let connections = open_files::connections(config.server.max_connections);
        let (limits, peers) = (Limits::new(connections), Peers::new(connections));
        Ok(Common { tls, access_log, limits, peers, shutdown: shutdown.clone() })
    }

    /// Clients of the port speak TLS.
    pub(super) fn has_tls(&self, port: Port) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.of_port(port).is_some())
    }

    /// Returns once the access log is written.
    pub(super) async fn finish(&self) {
        if let Some(log) = &self.access_log {
            log.finish().await;
        }
    }
}

/// Serves the routes on a port until shutdown; then what is running is finished. Dropping the future cuts off everything.
pub(super) async fn serve(port: Port, socket: Socket, router: Router, common: Common) -> Result<(), BoxError> {
    connections::accept(port, socket, router, common).await;
    Ok(())
}

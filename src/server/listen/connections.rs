//! The connections of one port.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use steward_gateway::Peer;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::handshakes::Places;
use super::peers::{Peers, Room};
use super::requests::Requests;
use super::socket::{Io, Socket};
use super::stream::Stream;
use super::tls::{PortTls, Shown};
use super::{Common, Limits};
use crate::config::Port;
use crate::server::access_log::AccessLog;

/// How long to rest when a connection cannot be accepted, such as when there are no file descriptors left.
const ACCEPT_REST: Duration = Duration::from_secs(1);
/// How often it is said that there are as many connections as there may be.
const WARN_INTERVAL: Duration = Duration::from_mins(1);
/// Headers that a request may have.
const MAX_HEADERS: usize = 100;
/// How much a connection reads at once: uploads take fewer calls of the system. The head of a request may have so many
/// bytes.
const MAX_BUFFER_BYTES: usize = 128 * 1024;
/// How many bytes the head of a request of HTTP/2 may have.
const MAX_HEADER_LIST_BYTES: u32 = 64 * 1024;
/// The same of a call, whose metadata are few.
const MAX_METADATA_BYTES: u32 = 16 * 1024;
/// Requests that one connection of HTTP/2 may have open.
const MAX_STREAMS: u32 = 256;
/// Calls that one connection may have open.
const MAX_CALLS: u32 = 20_000;
/// What a client may send before it is read: the throughput of one upload is this much for each round trip.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// The same for all uploads of a connection together.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// The same of a channel of gRPC, which may be the one of a gateway: uploads that nobody reads on, such as those that wait
/// for room, must not hold up the calls of others.
const CHANNEL_WINDOW_BYTES: u32 = 64 * 1024 * 1024;
/// Large bodies come in frames of this size.
const MAX_FRAME_BYTES: u32 = 256 * 1024;
/// How often a connection of HTTP/2 that sends nothing is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_mins(1);
/// How long it may take to answer: behind a full window on a slow line the ping waits as long as the window takes.
const PING_TIMEOUT: Duration = Duration::from_mins(1);
/// The same of a channel of gRPC, which nothing else ends.
const CHANNEL_PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may take to answer.
const CHANNEL_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How the connections of a port are served.
#[derive(Clone)]
struct Serving {
    port: Port,
    tls: Option<PortTls>,
    handshakes: Places,
    router: Router,
    limits: Limits,
    access_log: Option<AccessLog>,
    shutdown: CancellationToken,
}

impl Serving {
    fn new(port: Port, router: Router, common: &Common) -> Self {
        Serving {
            port,
            tls: common.tls.as_ref().and_then(|tls| tls.of_port(port)),
            handshakes: Places::new(common.limits.handshakes()),
            router,
            limits: common.limits.of(port),
            // It has a line for each request of HTTP.
            access_log: common.access_log.clone().filter(|_| port != Port::Grpc),
            shutdown: common.shutdown.clone(),
        }
    }
}

/// Serves connections until shutdown; then those that are busy are finished.
pub(super) async fn accept(port: Port, socket: Socket, router: Router, common: Common) {
    let (name, serving) = (port.name(), Serving::new(port, router, &common));
    let mut connections = JoinSet::new();
    let peers = &common.peers;
    let (mut warned, mut warned_of_one) = (None, None);
    let gauge = metrics::gauge!("steward_http_connections", "port" => name);
    loop {
        tokio::select! {
            () = common.shutdown.cancelled() => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = socket.accept(), if connections.len() < common.limits.connections => match accepted {
                Ok((io, peer)) => {
                    let Some(place) = peers.admit(peer, common.limits.connections_of_one) else {
                        warn_of_one(name, peer, &mut warned_of_one);
                        continue;
                    };
                    let Some(room) = room(peers, name, &mut warned, &common.shutdown).await else { break };
                    let serving = serving.clone();
                    connections.spawn(async move {
                        let _held = (place, room);
                        serving.serve(io, peer).await;
                    });
                    if connections.len() == common.limits.connections {
                        warn_of_limit(name, &mut warned);
                    }
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    common.shutdown.run_until_cancelled(tokio::time::sleep(ACCEPT_REST)).await;
                }
            },
        }
        #[expect(clippy::cast_precision_loss, reason = "there are not that many connections")]
        gauge.set(connections.len() as f64);
    }
    // Nobody new is let wait for a server that goes.
    drop(socket);
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

/// Room for a connection that has come. Meanwhile nobody else is accepted at this port: there is none for them either.
async fn room(peers: &Peers, name: &str, warned: &mut Option<Instant>, shutdown: &CancellationToken) -> Option<Room> {
    if let Some(room) = peers.room() {
        return Some(room);
    }
    warn_of_limit(name, warned);
    shutdown.run_until_cancelled(peers.next_room()).await.flatten()
}

fn warn_of_limit(name: &str, warned: &mut Option<Instant>) {
    if is_due(warned) {
        tracing::warn!(port = name, "further connections wait until one ends (server.max_connections)");
    }
}

fn warn_of_one(name: &str, peer: Peer, warned: &mut Option<Instant>) {
    if is_due(warned) {
        tracing::warn!(
            port = name,
            client = ?peer.0,
            "an address has a quarter of all connections; further ones of it are closed (server.max_connections)"
        );
    }
}

fn is_due(warned: &mut Option<Instant>) -> bool {
    let is_due = warned.is_none_or(|warned| warned.elapsed() > WARN_INTERVAL);
    if is_due {
        *warned = Some(Instant::now());
    }
    is_due
}

/// The client went away before it was accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection failed");
    }
}

impl Serving {
    async fn serve(self, io: Box<dyn Io>, peer: Peer) {
        let Some(tls) = &self.tls else { return self.serve_http(io, peer, None).await };
        let handshakes = self.handshakes.of(peer);
        match self.shutdown.run_until_cancelled(tls.accept(io, &handshakes)).await {
            Some(Ok((io, shown))) => self.serve_http(Box::new(io), peer, shown).await,
            Some(Err(error)) => {
                metrics::counter!("steward_tls_handshake_failures_total").increment(1);
                tracing::debug!(%error, client = ?peer.0, "a handshake failed");
            }
            None => {}
        }
    }

    async fn serve_http(&self, io: Box<dyn Io>, peer: Peer, shown: Option<Arc<Shown>>) {
        let (activity, limits) = (Activity::new(), self.limits);
        let io = TokioIo::new(Stream::new(io, activity.clone(), limits.linger));
        let (router, access_log) = (self.router.clone(), self.access_log.clone());
        let requests = Requests { router, peer, shown: shown.clone(), activity: activity.clone(), access_log };
        let builder = builder(self.port);
        let mut connection = pin!(builder.serve_connection(io, TowerToHyperService::new(requests)));
        let mut result = tokio::select! {
            result = connection.as_mut() => Some(result),
            () = self.shutdown.cancelled() => None,
            () = activity.overdue(limits) => None,
            () = disowned(shown.as_deref(), peer) => None,
        };
        if result.is_none() {
            connection.as_mut().graceful_shutdown();
            result = tokio::select! {
                result = connection => Some(result),
                // What is still there is half a head, or a client that does not read.
                () = activity.without_requests(limits) => None,
                never = refuse_disowned(shown.as_deref(), limits.linger) => match never {},
            };
        }
        if let Some(Err(error)) = result {
            tracing::debug!(%error, client = ?peer.0, "a connection broke off");
        }
    }
}

/// Returns when the certificate of a client is not good any more.
async fn disowned(shown: Option<&Shown>, peer: Peer) {
    let Some(shown) = shown else { return pending().await };
    shown.until_disowned().await;
    tracing::info!(client = ?peer.0, user = ?shown.user(), "a connection ends with the certificate of its client");
}

/// Refuses what a client begins on a connection that is ending after its certificate is not good any more. For a little
/// while it may not know yet.
async fn refuse_disowned(shown: Option<&Shown>, linger: Duration) -> Infallible {
    if let Some(shown) = shown {
        shown.until_disowned().await;
        tokio::time::sleep(linger).await;
        shown.refuse();
    }
    pending().await
}

fn builder(port: Port) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // The timeout for heads is that of `Activity`, which also holds before the version of HTTP is known.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    if port != Port::Grpc {
        return builder;
    }
    builder
        .http2()
        .max_concurrent_streams(MAX_CALLS)
        .max_header_list_size(MAX_METADATA_BYTES)
        .initial_connection_window_size(CHANNEL_WINDOW_BYTES)
        .keep_alive_interval(CHANNEL_PING_INTERVAL)
        .keep_alive_timeout(CHANNEL_PING_TIMEOUT);
    builder.http2_only()
}

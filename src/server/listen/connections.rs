//! The connections of one port.

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use steward_gateway::Peer;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Common;
use super::activity::Activity;
use super::peers::{Peers, Room};
use super::requests::Requests;
use super::socket::{Io, Socket};
use super::stream::Stream;

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
/// Requests that one connection of HTTP/2 may have open.
const MAX_STREAMS: u32 = 256;
/// What a client may send before it is read: the throughput of one upload is this much for each round trip.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// The same for all uploads of a connection together.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Large bodies come in frames of this size.
const MAX_FRAME_BYTES: u32 = 256 * 1024;
/// How often a connection of HTTP/2 that sends nothing is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_mins(1);
/// How long it may take to answer: behind a full window on a slow line the ping waits as long as the window takes.
const PING_TIMEOUT: Duration = Duration::from_mins(1);

/// Serves connections until shutdown; then those that are busy are finished.
pub(super) async fn accept(name: &'static str, socket: Socket, router: Router, common: Common) {
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
                    let serving = serve(io, peer, router.clone(), common.clone());
                    connections.spawn(async move {
                        let _held = (place, room);
                        serving.await;
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

async fn serve(io: Box<dyn Io>, peer: Peer, router: Router, common: Common) {
    let Some(tls) = &common.tls else { return serve_http(io, peer, router, &common).await };
    match common.shutdown.run_until_cancelled(tls.accept(io)).await {
        Some(Ok(io)) => serve_http(Box::new(io), peer, router, &common).await,
        Some(Err(error)) => {
            metrics::counter!("steward_tls_handshake_failures_total").increment(1);
            tracing::debug!(%error, client = ?peer.0, "a handshake failed");
        }
        None => {}
    }
}

async fn serve_http(io: Box<dyn Io>, peer: Peer, router: Router, common: &Common) {
    let activity = Activity::new();
    let io = TokioIo::new(Stream::new(io, activity.clone(), common.limits.linger));
    let requests = Requests { router, peer, activity: activity.clone(), access_log: common.access_log.clone() };
    let builder = builder();
    let mut connection = pin!(builder.serve_connection(io, TowerToHyperService::new(requests)));
    let mut result = tokio::select! {
        result = connection.as_mut() => Some(result),
        () = common.shutdown.cancelled() => None,
        () = activity.overdue(common.limits) => None,
    };
    if result.is_none() {
        connection.as_mut().graceful_shutdown();
        result = tokio::select! {
            result = connection => Some(result),
            // What is still there is half a head, or a client that does not read.
            () = activity.without_requests(common.limits) => None,
        };
    }
    if let Some(Err(error)) = result {
        tracing::debug!(%error, client = ?peer.0, "a connection broke off");
    }
}

fn builder() -> Builder<TokioExecutor> {
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
    builder
}

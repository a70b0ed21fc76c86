//! Listening, counting connections, and stopping.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use steward_gateway::network;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::budget::Budget;
use super::connection::{Common, Connection};
use super::exports::{Exports, PeerAddress};
use super::listener::Listener;
use super::measures::Measures;
use super::pool::{CloseOnDrop, Pool};
use super::settings::Settings;
use super::socket::Socket;
use super::watch::{Control, Watch};
use crate::config::Listen;
use crate::handshakes::{Handshakes, Place};

/// How long to rest when a connection cannot be accepted, such as when there are no file descriptors left.
const ACCEPT_REST: Duration = Duration::from_secs(1);
/// How often it is said that there are as many connections as there may be.
const WARN_INTERVAL: Duration = Duration::from_mins(1);
/// How long connections that were cut off may take to end; only a disk that hangs takes longer.
const CUT_OFF_TIMEOUT: Duration = Duration::from_secs(10);
/// The stack of a connection's thread. Its buffers are elsewhere.
const STACK_BYTES: usize = 512 * 1024;

/// A server that runs. Dropping it ends all connections, but waits for none.
pub struct Server {
    addresses: Vec<Listen>,
    tasks: TaskTracker,
    stop: CancellationToken,
    cut_off: DropGuard,
    pool: CloseOnDrop,
    pool_threads: Vec<JoinHandle<()>>,
}

/// What every listener has.
#[derive(Clone)]
struct Acceptor {
    common: Arc<Common>,
    places: Arc<Handshakes>,
    tasks: TaskTracker,
    handshake_timeout: Duration,
    write_timeout: Duration,
    cut_off: CancellationToken,
}

impl Server {
    /// Listens. To be called within a runtime, which has to be there until the server has stopped.
    pub async fn start(settings: Settings, exports: Arc<dyn Exports>) -> io::Result<Self> {
        if settings.require_tls && settings.tls.is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS is required but there is no certificate"));
        }
        let mut listeners = Vec::new();
        for listen in &settings.listen {
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{listen}: {error}"));
            listeners.push(Listener::bind(listen).await.map_err(named)?);
        }
        let addresses = listeners.iter().map(Listener::address).collect::<io::Result<_>>()?;
        let (pool, pool_threads) = Pool::start(settings.pool_threads)?;
        let (cut_off, tasks) = (CancellationToken::new(), TaskTracker::new());
        let stop = cut_off.child_token();
        let common = Arc::new(Common {
            exports,
            tls: settings.tls,
            require_tls: settings.require_tls,
            runtime: Handle::current(),
            pool: Arc::clone(&pool),
            budget: Arc::new(Budget::new(settings.max_reply_bytes)),
            measures: Arc::new(Measures::new()),
            stop: stop.clone(),
        });
        let acceptor = Acceptor {
            common,
            places: Handshakes::new(settings.max_connections),
            tasks: tasks.clone(),
            handshake_timeout: settings.handshake_timeout,
            write_timeout: settings.write_timeout,
            cut_off: cut_off.clone(),
        };
        for listener in listeners {
            tasks.spawn(acceptor.clone().accept(listener));
        }
        Ok(Server { addresses, tasks, stop, cut_off: cut_off.drop_guard(), pool: CloseOnDrop(pool), pool_threads })
    }

    /// Where it listens, in the order of the settings, with the real ports.
    pub fn addresses(&self) -> &[Listen] {
        &self.addresses
    }

    /// Takes no more connections and no more requests, answers those that run, and closes the connections. What is left
    /// after `deadline` is cut off.
    pub async fn stop(self, deadline: Duration) {
        let Server { addresses: _, tasks, stop, cut_off, pool, pool_threads } = self;
        stop.cancel();
        tasks.close();
        if tokio::time::timeout(deadline, tasks.wait()).await.is_err() {
            tracing::warn!("connections of NBD did not end in time and are cut off");
            drop(cut_off);
            if tokio::time::timeout(CUT_OFF_TIMEOUT, tasks.wait()).await.is_err() {
                tracing::error!("a disk does not answer, connections of NBD are left behind");
                return;
            }
        }
        drop(pool);
        let joined = tokio::task::spawn_blocking(move || pool_threads.into_iter().try_for_each(JoinHandle::join)).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("a thread of NBD failed");
        }
    }
}

impl Acceptor {
    /// Takes connections until the server stops.
    async fn accept(self, listener: Listener) {
        let mut warned = None;
        loop {
            let accepted = tokio::select! {
                () = self.common.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, address)) => match self.places.enter(network_of(address)) {
                    Some(place) => self.begin(socket, address, place),
                    None => self.refuse(address, &mut warned),
                },
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    self.common.stop.run_until_cancelled(tokio::time::sleep(ACCEPT_REST)).await;
                }
            }
        }
    }

    /// Closes a connection that is one too many.
    fn refuse(&self, address: PeerAddress, warned: &mut Option<Instant>) {
        self.common.measures.refused_connections.increment(1);
        if warned.is_none_or(|warned| warned.elapsed() > WARN_INTERVAL) {
            *warned = Some(Instant::now());
            tracing::warn!(client = %address, "further connections of NBD are closed until one ends");
        }
    }

    /// Gives a connection its thread, and what watches it.
    fn begin(&self, socket: Socket, address: PeerAddress, place: Place) {
        if let Err(error) = socket.prepare(self.write_timeout) {
            tracing::debug!(%error, client = %address, "a connection cannot be used");
            return;
        }
        let socket = Arc::new(socket);
        let control = Arc::new(Control::new(Arc::clone(&socket), place));
        let (established, watched) = oneshot::channel();
        let ended = CancellationToken::new();
        let watch = Watch {
            control: Arc::clone(&control),
            handshake_timeout: self.handshake_timeout,
            established: watched,
            ended: ended.clone(),
            stop: self.common.stop.clone(),
            cut_off: self.cut_off.clone(),
        };
        let connection = Connection { socket, address, common: Arc::clone(&self.common), control, established };
        let guard = ended.drop_guard();
        let run = move || {
            let _ended = guard;
            connection.run();
        };
        match thread::Builder::new().name("nbd".to_owned()).stack_size(STACK_BYTES).spawn(run) {
            Ok(thread) => drop(self.tasks.spawn(look_after(watch, thread, Arc::clone(&self.common)))),
            Err(error) => tracing::warn!(%error, client = %address, "cannot start a thread for a connection"),
        }
    }
}

/// Watches a connection until its thread has ended.
async fn look_after(watch: Watch, thread: JoinHandle<()>, common: Arc<Common>) {
    let control = Arc::clone(&watch.control);
    watch.run().await;
    if control.had_to_go() {
        common.measures.refused_connections.increment(1);
    }
    let joined = tokio::task::spawn_blocking(move || thread.join()).await;
    if !matches!(joined, Ok(Ok(()))) {
        tracing::error!("the thread of a connection of NBD failed");
    }
    drop(control);
}

/// What has its share of those who have no session; processes of this machine at Unix sockets are one.
fn network_of(address: PeerAddress) -> Option<IpAddr> {
    match address {
        PeerAddress::Unix => None,
        PeerAddress::Tcp(address) => Some(network(address.ip())),
    }
}

/// The client went away before it was accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

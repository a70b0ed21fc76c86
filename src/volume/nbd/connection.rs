//! A connection from its beginning to its end, on a thread of its own.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::budget::Budget;
use super::execute::Served;
use super::exports::{Exports, PeerAddress};
use super::handshake::{Agreement, Handshake};
use super::in_flight::InFlight;
use super::measures::{Counted, Measures};
use super::pool::Pool;
use super::socket::Socket;
use super::transmission::Transmission;
use super::watch::Control;
use super::writer::Writer;

/// What all connections have in common.
pub(super) struct Common {
    pub(super) exports: Arc<dyn Exports>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) require_tls: bool,
    /// What runs the futures of the exports.
    pub(super) runtime: Handle,
    pub(super) pool: Arc<Pool>,
    pub(super) budget: Arc<Budget>,
    pub(super) measures: Arc<Measures>,
    pub(super) stop: CancellationToken,
}

/// A connection.
pub(super) struct Connection {
    pub(super) socket: Arc<Socket>,
    pub(super) address: PeerAddress,
    pub(super) common: Arc<Common>,
    pub(super) control: Arc<Control>,
    /// Tells what may end the session, once there is one.
    pub(super) established: oneshot::Sender<CancellationToken>,
}

impl Connection {
    /// Serves it to its end.
    pub(super) fn run(self) {
        let _counted = Counted::new(&self.common.measures.connections);
        let (address, socket) = (self.address, Arc::clone(&self.socket));
        if let Err(error) = self.serve() {
            tracing::debug!(client = %address, %error, "a connection broke off");
        }
        // Others may still hold the socket; the client is to know at once.
        socket.shut_down(Shutdown::Both);
    }

    fn serve(self) -> io::Result<()> {
        let Connection { socket, address, common, control, established } = self;
        let Some(agreement) = Handshake::new(&socket, &common, &control, address).run()? else { return Ok(()) };
        let Agreement { link, input, session, is_structured, contexts, peer } = agreement;
        // Nobody is there to be told when the server stops just now; then it is told so by its control.
        let _ = established.send(session.stop.clone());
        let _counted = Counted::new(&common.measures.sessions);
        tracing::info!(client = %peer.address, export = session.shown_name, "a client opened a device");
        let measures = Arc::clone(&common.measures);
        let served = Arc::new(Served {
            writer: Arc::new(Writer::new(socket, measures.sent_bytes.clone())),
            in_flight: Arc::new(InFlight::new(Arc::clone(&common.budget))),
            measures,
            is_structured,
            contexts,
            session,
            is_unflushed: AtomicBool::new(false),
        });
        let ended = Transmission::new(link, input, &served, &common.pool, &control).run();
        tracing::info!(client = %peer.address, export = served.session.shown_name, "a client closed a device");
        ended
    }
}

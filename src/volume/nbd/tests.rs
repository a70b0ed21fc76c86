//! The server as clients see it: every rule of the protocol, clients that break them, and real programs.

mod client;
mod commands;
mod device;
mod ending;
mod handshake;
mod hostile;
mod programs;
mod random;
mod reads;
mod slow;
mod speed;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::client::Client;
use self::device::MemoryDevice;
use super::{Caller, ExportName, Exports, OpenError, Peer, Server, Session, Settings};
use crate::config::Listen;
use crate::volume::device::Device;

/// Far longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(20);
const DEVICE_BYTES: u64 = 8 * 1024 * 1024;
const MIB: usize = 1024 * 1024;

/// The devices of the tests: `/disk` and its neighbours that say no.
struct TestExports {
    device: Arc<dyn Device>,
    /// `/other`, on a disk of its own.
    other: Mutex<Option<Arc<dyn Device>>>,
    sessions: watch::Sender<usize>,
    peers: Mutex<Vec<Peer>>,
    stops: Mutex<Vec<CancellationToken>>,
}

/// What the guard of a session is here.
struct Open(watch::Sender<usize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

#[async_trait]
impl Exports for TestExports {
    async fn open(&self, name: &str, peer: &Peer) -> Result<Session, OpenError> {
        let other = self.other.lock().clone().filter(|_| name == "/other");
        match name {
            "/other" if other.is_some() => {}
            "/disk" | "disk" | "/disk@snap" => {}
            "/denied" => return Err(OpenError::Denied("not yours".to_owned())),
            "/busy" => return Err(OpenError::Busy("somebody else has it".to_owned())),
            "/stopping" => return Err(OpenError::Shutdown("come back later".to_owned())),
            "/broken" => return Err(OpenError::Internal("it is broken".to_owned())),
            _ => return Err(OpenError::Unknown("there is no such volume".to_owned())),
        }
        let stop = CancellationToken::new();
        self.stops.lock().push(stop.clone());
        self.peers.lock().push(peer.clone());
        self.sessions.send_modify(|open| *open += 1);
        Ok(Session {
            disk: u128::from(other.is_some()),
            device: other.unwrap_or_else(|| Arc::clone(&self.device)),
            name: "/disk".to_owned(),
            shown_name: "/disk".to_owned(),
            description: "a disk".to_owned(),
            stop,
            guard: Box::new(Open(self.sessions.clone())),
        })
    }

    fn caller(&self, _: &str, _: &Peer) -> Caller {
        Caller::default()
    }

    async fn list(&self, _: &Peer) -> Vec<ExportName> {
        let export = |name: &str| ExportName { name: name.to_owned(), description: format!("about {name}") };
        vec![export("/disk"), export("/disk@snap")]
    }
}

/// A server at a Unix socket.
struct TestServer {
    runtime: Runtime,
    server: Option<Server>,
    exports: Arc<TestExports>,
    directory: tempfile::TempDir,
}

impl TestServer {
    fn start(device: Arc<dyn Device>) -> Self {
        Self::with(device, |_| {})
    }

    /// With other settings.
    fn with(device: Arc<dyn Device>, change: impl FnOnce(&mut Settings)) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let directory = tempfile::tempdir().expect("a directory");
        let exports = Arc::new(TestExports {
            device,
            other: Mutex::default(),
            sessions: watch::Sender::new(0),
            peers: Mutex::default(),
            stops: Mutex::default(),
        });
        let mut settings =
            Settings { listen: vec![Listen::Unix(directory.path().join("socket"))], ..Settings::default() };
        change(&mut settings);
        let server = runtime.block_on(Server::start(settings, Arc::clone(&exports) as _)).expect("a server");
        TestServer { runtime, server: Some(server), exports, directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    fn connect(&self) -> Client {
        Client::connect(&self.path())
    }

    /// A client that has the device open, with simple replies.
    fn simple(&self) -> Client {
        let mut client = self.connect();
        client.greet();
        client.go("/disk");
        client
    }

    /// A client that has the device open, with structured replies.
    fn structured(&self) -> Client {
        let mut client = self.connect();
        client.greet();
        client.agree_on_structured_replies();
        client.go("/disk");
        client
    }

    /// Waits until so many sessions are open.
    fn wait_for_sessions(&self, count: usize) {
        let mut sessions = self.exports.sessions.subscribe();
        let wait = async { tokio::time::timeout(PATIENCE, sessions.wait_for(|open| *open == count)).await.map(drop) };
        self.runtime.block_on(wait).expect("the sessions open and end in time");
    }

    fn stop(&mut self, deadline: Duration) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop(deadline));
        }
    }
}

/// Bytes that are not alike wherever they might be mixed up.
fn pattern(start: u8, length: usize) -> Vec<u8> {
    (0..=250).cycle().skip(usize::from(start)).take(length).collect()
}

/// A server with an empty device in memory.
fn empty() -> (TestServer, Arc<MemoryDevice>) {
    let device = Arc::new(MemoryDevice::new(DEVICE_BYTES));
    (TestServer::start(Arc::clone(&device) as _), device)
}

//! A server under test, with a directory and ports of its own.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

use super::http::HttpPort;
use super::proc::Proc;
use super::process::{Launch, Process};
use super::temporary;
use super::wait::within;

/// How to start a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    launch: Launch,
    config: String,
    has_restic_port: bool,
    has_nbd_port: bool,
}

impl Setup {
    /// Adds lines to the configuration file.
    pub(crate) fn config(mut self, toml: &str) -> Self {
        self.config.push_str(toml);
        self.config.push('\n');
        self
    }

    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.launch.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.launch.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Serves repositories on a port of their own too.
    pub(crate) fn restic_listen(mut self) -> Self {
        self.has_restic_port = true;
        self
    }

    /// Serves volumes over NBD on a port too, beside the socket.
    pub(crate) fn nbd_listen(mut self) -> Self {
        self.has_nbd_port = true;
        self
    }

    /// Runs the server under another program, which has to become the server itself.
    pub(crate) fn under<A: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = A>) -> Self {
        self.launch.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// Starts a server on an empty directory.
    pub(crate) async fn start(self) -> Server {
        let home = temporary::directory();
        self.start_in(home).await
    }

    /// Starts a server on a directory that may have been prepared.
    pub(crate) async fn start_in(self, home: TempDir) -> Server {
        let ports = Ports::free(&self);
        let process = spawn(&self, home.path(), ports).await;
        Server { setup: self, home, ports, process }
    }

    /// Starts a server that is expected to give up, on the data of a home.
    pub(crate) async fn refused(self, home: &Path) -> Output {
        let ports = Ports::free(&self);
        let run = launch(&self, home, ports).command().output();
        let output = within("the server gives up", run).await.expect("the binary can be started");
        assert!(!output.status.success(), "the server was not expected to serve");
        output
    }
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    grpc: SocketAddr,
    http: SocketAddr,
    restic: Option<SocketAddr>,
    nbd: Option<SocketAddr>,
}

impl Ports {
    fn free(setup: &Setup) -> Self {
        let restic = setup.has_restic_port.then(free_port);
        let nbd = setup.has_nbd_port.then(free_port);
        Ports { grpc: free_port(), http: free_port(), restic, nbd }
    }
}

/// A running server; dropping it kills it and deletes its data.
#[derive(Debug)]
pub(crate) struct Server {
    setup: Setup,
    ports: Ports,
    // Before its home: a test that fails shows the log, which is there.
    process: Process,
    home: TempDir,
}

impl Server {
    /// Starts a server with all defaults.
    pub(crate) async fn start() -> Self {
        Setup::default().start().await
    }

    pub(crate) fn setup() -> Setup {
        Setup::default()
    }

    /// Ends it as a power loss of the process would.
    pub(crate) async fn kill9(&mut self) {
        self.process.kill_hard().await;
    }

    /// Starts it again on the same data and the same ports; kills it first if it lives.
    pub(crate) async fn restart(&mut self) {
        self.kill9().await;
        self.process = spawn(&self.setup, self.home.path(), self.ports).await;
    }

    /// Asks it to end and waits until it has.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.process.ask_to_end();
        self.process.ended().await
    }

    /// A connection of its own. It is made on the first call, and again after a restart.
    pub(crate) fn channel(&self) -> Channel {
        Endpoint::from_shared(self.grpc_url()).expect("a URL").connect_lazy()
    }

    pub(crate) fn grpc_url(&self) -> String {
        format!("http://{}", self.ports.grpc)
    }

    pub(crate) fn grpc_address(&self) -> SocketAddr {
        self.ports.grpc
    }

    pub(crate) fn http(&self) -> HttpPort {
        HttpPort(self.ports.http)
    }

    /// The port of repositories alone.
    pub(crate) fn restic(&self) -> HttpPort {
        HttpPort(self.ports.restic.expect("the setup asks for it"))
    }

    /// The socket on which it serves volumes over NBD.
    pub(crate) fn nbd_socket(&self) -> PathBuf {
        nbd_socket(self.home.path())
    }

    /// The port on which it serves volumes over NBD.
    pub(crate) fn nbd(&self) -> SocketAddr {
        self.ports.nbd.expect("the setup asks for it")
    }

    pub(crate) fn proc(&self) -> Proc {
        Proc(self.pid())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The directory that has the data, the configuration and the log.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        data(self.home.path())
    }

    /// What it wrote to standard error since it was first started.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// How much memory it keeps, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.proc().resident_bytes()
    }
}

fn data(home: &Path) -> PathBuf {
    home.join("data")
}

fn launch(setup: &Setup, home: &Path, ports: Ports) -> Launch {
    let mut launch = setup.launch.clone();
    let mut args: Vec<OsString> = vec!["serve".into(), "--data".into(), data(home).into()];
    args.extend(["--grpc".into(), ports.grpc.to_string().into(), "--http".into(), ports.http.to_string().into()]);
    if let Some(restic) = ports.restic {
        args.extend(["--restic-listen".into(), restic.to_string().into()]);
    }
    let mut nbd = format!("unix:{}", nbd_socket(home).display());
    nbd.extend(ports.nbd.map(|port| format!(",{port}")));
    args.extend(["--nbd".into(), nbd.into()]);
    if !setup.config.is_empty() {
        let file = home.join("steward.toml");
        std::fs::write(&file, &setup.config).expect("the configuration can be written");
        args.extend(["--config".into(), file.into()]);
    }
    args.append(&mut launch.args);
    Launch { args, ..launch }
}

/// Where the server of a home serves volumes over NBD, unless the test says otherwise.
fn nbd_socket(home: &Path) -> PathBuf {
    home.join("nbd.sock")
}

async fn spawn(setup: &Setup, home: &Path, ports: Ports) -> Process {
    let mut process = Process::spawn(&launch(setup, home, ports), &home.join("server.log"));
    let grpc = process.listening("grpc").await.expect("the server serves gRPC");
    let http = process.listening("http").await.expect("the server serves HTTP");
    assert_eq!((grpc, http), (ports.grpc, ports.http), "it listens where it was told to");
    if let Some(expected) = ports.restic {
        assert_eq!(process.listening("restic").await, Some(expected), "it serves repositories where it was told to");
    }
    process
}

/// A port below the range that the system gives to outgoing connections: otherwise a client that reconnects while the
/// server is away could be given the server's own port.
pub(crate) fn free_port() -> SocketAddr {
    const RANGE: std::ops::Range<u32> = 10_000..30_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(97);
    loop {
        let offset = start.wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % (RANGE.end - RANGE.start);
        let port = u16::try_from(RANGE.start + offset).expect("the range is one of ports");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

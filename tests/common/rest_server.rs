//! A server of repositories alone, started with rest-server's own flags.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};

use tempfile::TempDir;

use super::http::HttpPort;
use super::proc::Proc;
use super::process::{Launch, Process};
use super::server::free_port;
use super::temporary;
use super::wait::within;

/// Names rest-server itself, so that these tests are tried on the original.
const ORIGINAL: &str = "STEWARD_TEST_REST_SERVER";

/// How to start it.
#[derive(Clone, Debug, Default)]
pub(crate) struct RestSetup {
    launch: Launch,
    listen: Option<String>,
}

impl RestSetup {
    pub(crate) fn flags<A: Into<OsString>>(mut self, flags: impl IntoIterator<Item = A>) -> Self {
        self.launch.args.extend(flags.into_iter().map(Into::into));
        self
    }

    /// Runs the server under another program, which has to become the server itself.
    pub(crate) fn under<A: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = A>) -> Self {
        self.launch.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// Runs a program that knows by its name that it is a rest-server.
    pub(crate) fn program(mut self, program: PathBuf) -> Self {
        self.launch.program = Some(program);
        self
    }

    /// Listens where it is told to, and not at a port of the machine alone that nobody has.
    pub(crate) fn listen(mut self, listen: &str) -> Self {
        self.listen = Some(listen.to_owned());
        self
    }

    /// Starts it on an empty directory.
    pub(crate) async fn start(self) -> RestServer {
        let home = temporary::directory();
        let path = home.path().join("repositories");
        // The original measures it before it makes it.
        std::fs::create_dir(&path).expect("a directory can be made");
        self.start_on(home, path).await
    }

    /// Starts it on a directory that may have been prepared. `home` has the log, and lives as long as the server.
    pub(crate) async fn start_on(self, home: TempDir, path: PathBuf) -> RestServer {
        let launch = self.launch(&path);
        let is_original = is_original();
        let (process, said) = spawn(&launch, home.path(), 0).await;
        RestServer { launch, is_original, home, path, said, process, starts: 1 }
    }

    /// Starts it on an empty directory and waits until it gives up.
    pub(crate) async fn refused(self) -> Output {
        let home = temporary::directory();
        let run = self.launch(home.path()).command().output();
        within("the server gives up", run).await.expect("the binary can be started")
    }

    fn launch(self, path: &Path) -> Launch {
        let original = std::env::var_os(ORIGINAL).map(PathBuf::from);
        let listen = self.listen.unwrap_or_else(|| free_port().to_string());
        let is_named = original.is_some() || self.launch.program.is_some();
        let mut args: Vec<OsString> = if is_named { Vec::new() } else { vec!["rest-server".into()] };
        args.extend(["--path".into(), path.into(), "--listen".into(), listen.into()]);
        args.extend(self.launch.args);
        Launch { program: original.or(self.launch.program), args, ..self.launch }
    }
}

fn is_original() -> bool {
    std::env::var_os(ORIGINAL).is_some()
}

/// A running server; dropping it kills it.
#[derive(Debug)]
pub(crate) struct RestServer {
    launch: Launch,
    is_original: bool,
    home: TempDir,
    path: PathBuf,
    /// Where it says that it listens.
    said: String,
    process: Process,
    starts: usize,
}

impl RestServer {
    /// Starts one that asks nobody for a name.
    pub(crate) async fn start() -> Self {
        Self::open().start().await
    }

    /// One that asks nobody for a name.
    pub(crate) fn open() -> RestSetup {
        RestSetup::default().flags(["--no-auth"])
    }

    /// Whether it is the original that runs: what only Steward promises is not asked of it.
    pub(crate) fn is_original(&self) -> bool {
        self.is_original
    }

    pub(crate) fn http(&self) -> HttpPort {
        let address: SocketAddr = self.said.parse().expect("it listens at an address");
        let host = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
        HttpPort(SocketAddr::new(host, address.port()))
    }

    /// Where it says that it listens.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    /// What it wrote to standard error since it was last started.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// The next line that it writes to standard output.
    pub(crate) async fn next_line(&mut self) -> String {
        self.process.next_line().await
    }

    /// The directory of the repositories.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn proc(&self) -> Proc {
        Proc(self.process.id())
    }

    /// Ends it as a power loss of the process would.
    pub(crate) async fn kill9(&mut self) {
        self.process.kill_hard().await;
    }

    /// Starts it again on the same directory and the same port; kills it first if it lives.
    pub(crate) async fn restart(&mut self) {
        self.kill9().await;
        let (process, said) = spawn(&self.launch, self.home.path(), self.starts).await;
        assert_eq!(said, self.said, "it listens where it did");
        self.process = process;
        self.starts += 1;
    }

    /// Asks it to end and waits until it has.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.process.ask_to_end();
        self.process.ended().await
    }
}

async fn spawn(launch: &Launch, home: &Path, number: usize) -> (Process, String) {
    let mut process = Process::spawn(launch, &home.join(format!("server-{number}.log")));
    let said = process.logged("start server on ").await.expect("it serves");
    if let Some(place) = launch.args.iter().skip_while(|arg| *arg != "--listen").nth(1).and_then(|place| place.to_str())
        && place.parse().is_ok_and(|address: SocketAddr| address.port() != 0)
    {
        assert_eq!(said, place, "it says where it listens");
    }
    (process, said)
}

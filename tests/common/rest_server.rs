//! A server of repositories alone, started with rest-server's own flags.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tempfile::TempDir;

use super::http::HttpPort;
use super::proc::Proc;
use super::process::{Launch, Process};
use super::server::free_port;

/// Names rest-server itself, so that these tests are tried on the original.
const ORIGINAL: &str = "STEWARD_TEST_REST_SERVER";

/// How to start it.
#[derive(Clone, Debug, Default)]
pub(crate) struct RestSetup {
    launch: Launch,
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

    /// Starts it on an empty directory.
    pub(crate) async fn start(self) -> RestServer {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("repositories");
        // The original measures it before it makes it.
        std::fs::create_dir(&path).expect("a directory can be made");
        self.start_on(home, path).await
    }

    /// Starts it on a directory that may have been prepared. `home` has the log, and lives as long as the server.
    pub(crate) async fn start_on(self, home: TempDir, path: PathBuf) -> RestServer {
        let address = free_port();
        let mut launch = Launch { program: std::env::var_os(ORIGINAL).map(PathBuf::from), ..self.launch };
        let mut args = Vec::new();
        if launch.program.is_none() {
            args.push("rest-server".into());
        }
        args.extend(["--path".into(), path.clone().into(), "--listen".into(), address.to_string().into()]);
        args.append(&mut launch.args);
        launch.args = args;
        let process = spawn(&launch, home.path(), 0, address).await;
        RestServer { launch, home, path, address, process, starts: 1 }
    }
}

/// A running server; dropping it kills it.
#[derive(Debug)]
pub(crate) struct RestServer {
    launch: Launch,
    home: TempDir,
    path: PathBuf,
    address: SocketAddr,
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
        self.launch.program.is_some()
    }

    pub(crate) fn http(&self) -> HttpPort {
        HttpPort(self.address)
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
        self.process = spawn(&self.launch, self.home.path(), self.starts, self.address).await;
        self.starts += 1;
    }

    /// Asks it to end and waits until it has.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.process.ask_to_end();
        self.process.ended().await
    }
}

async fn spawn(launch: &Launch, home: &Path, number: usize, address: SocketAddr) -> Process {
    let mut process = Process::spawn(launch, &home.join(format!("server-{number}.log")));
    let said = process.logged("start server on ").await;
    assert_eq!(said, Some(address.to_string()), "it says where it listens");
    process
}

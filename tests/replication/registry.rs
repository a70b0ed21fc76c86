//! Debian's stock registry.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::common::certificates::Certificates;
use super::common::http::HttpPort;
use super::common::wait::eventually;
use super::common::{program, server, temporary};

/// A registry that runs, with its storage; dropping it kills it.
pub(crate) struct StockRegistry {
    program: PathBuf,
    home: TempDir,
    address: SocketAddr,
    child: Child,
}

impl StockRegistry {
    /// Starts one on an empty storage. `None` where there is no such program.
    pub(crate) async fn start(needed_by: &str) -> Option<Self> {
        Self::with(needed_by, "").await
    }

    /// One that speaks TLS.
    pub(crate) async fn with_tls(needed_by: &str, certificates: &Certificates) -> Option<Self> {
        let (cert, key) = (certificates.cert(), certificates.key());
        Self::with(needed_by, &format!("\n  tls: {{certificate: '{cert}', key: '{key}'}}")).await
    }

    async fn with(needed_by: &str, http: &str) -> Option<Self> {
        let program = program::find("docker-registry", needed_by)?;
        let (home, address) = (temporary::directory(), server::free_port());
        let config = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
             http:\n  addr: '{address}'\n  secret: one that outlives a restart{http}\n",
            home.path().join("storage").display(),
        );
        std::fs::write(home.path().join("config.yml"), config).expect("the configuration can be written");
        let child = spawn(&program, &home);
        let registry = StockRegistry { program, home, address, child };
        registry.is_up().await;
        Some(registry)
    }

    pub(crate) fn port(&self) -> HttpPort {
        HttpPort(self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn kill9(&mut self) {
        self.child.kill().await.expect("a living process can be killed");
    }

    /// Starts it again on the same storage and port.
    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(&self.program, &self.home);
        self.is_up().await;
    }

    async fn is_up(&self) {
        let connects = || async { tokio::net::TcpStream::connect(self.address).await.ok() };
        eventually("the registry listens", connects).await;
    }
}

fn spawn(program: &PathBuf, home: &TempDir) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(home.path().join("log"));
    let log = log.expect("the log can be opened");
    let mut command = Command::new(program);
    command.arg("serve").arg(home.path().join("config.yml")).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
    command.spawn().expect("the registry can be started")
}

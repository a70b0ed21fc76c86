//! A server under load: its process, and what it uses of the machine.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::BoxError;
use crate::wire::Connection;

/// Linux counts the time of a process in hundredths of a second, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Steward,
    RestServer,
    Rclone,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Steward => "steward",
            Kind::RestServer => "rest-server",
            Kind::Rclone => "rclone",
        }
    }

    fn command(self, path: &Path, address: SocketAddr) -> Command {
        let (program, first): (&str, &[&str]) = match self {
            Kind::Steward => (env!("CARGO_BIN_EXE_steward"), &["rest-server", "--no-auth"]),
            Kind::RestServer => ("rest-server", &["--no-auth"]),
            Kind::Rclone => ("rclone", &["serve", "restic"]),
        };
        let mut command = Command::new(program);
        command.args(first);
        match self {
            Kind::Steward | Kind::RestServer => {
                command.arg("--path").arg(path).args(["--listen", &address.to_string()])
            }
            Kind::Rclone => command.args(["--addr", &address.to_string()]).arg(path),
        };
        command
    }
}

/// A running server; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    pub(crate) path: PathBuf,
    process: Child,
}

impl Server {
    /// Starts it on an empty directory and waits until it serves.
    pub(crate) async fn start(kind: Kind, directory: &Path) -> Result<Self, BoxError> {
        let path = directory.join("repositories");
        fs::create_dir_all(&path)?;
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        drop(listener);
        let mut command = kind.command(&path, address);
        // rclone has its settings and its cache in the home of a user.
        command.env("HOME", directory).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(directory.join("server.log"))?);
        let process = command.spawn().map_err(|error| format!("{}: {error}", kind.name()))?;
        let mut server = Server { kind, address, path, process };
        server.wait_until_it_serves().await?;
        Ok(server)
    }

    async fn wait_until_it_serves(&mut self) -> Result<(), BoxError> {
        for _ in 0..300 {
            if Connection::open(self.address).await.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("{} ended with {status}", self.kind.name()).into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(format!("{} does not serve", self.kind.name()).into())
    }

    /// The seconds of a core that it has used since it was started.
    #[expect(clippy::cast_precision_loss, reason = "fewer ticks than 2^52")]
    pub(crate) fn cpu(&self) -> Result<f64, BoxError> {
        let stat = fs::read_to_string(self.proc("stat"))?;
        // The name of the program stands in parentheses and may contain anything.
        let fields = stat.rsplit(") ").next().unwrap_or_default();
        let ticks = |index: usize| fields.split(' ').nth(index).and_then(|field| field.parse::<u64>().ok());
        let (Some(user), Some(system)) = (ticks(11), ticks(12)) else { return Err("no times in its stat".into()) };
        Ok((user + system) as f64 / TICKS_PER_SECOND)
    }

    pub(crate) fn forget_peak(&self) -> Result<(), BoxError> {
        Ok(fs::write(self.proc("clear_refs"), "5")?)
    }

    /// How many MiB it kept at most since the peak was forgotten.
    pub(crate) fn peak(&self) -> Result<f64, BoxError> {
        self.memory("VmHWM:")
    }

    /// How many MiB it keeps.
    pub(crate) fn resident(&self) -> Result<f64, BoxError> {
        self.memory("VmRSS:")
    }

    fn memory(&self, name: &str) -> Result<f64, BoxError> {
        let status = fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in its status")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.process.id()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

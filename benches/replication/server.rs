//! A server under load: its process, and what it uses of the machine.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::BoxError;
use crate::raw;

/// Linux counts the time of a process in hundredths of a second, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;
const PROJECT: &str = "bench";
const REPOSITORY: &str = "images";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Steward,
    Registry,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Steward => "steward",
            Kind::Registry => "docker-registry",
        }
    }

    fn command(self, home: &Path, address: SocketAddr) -> Result<Command, BoxError> {
        match self {
            Kind::Steward => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_steward"));
                command.args(["serve", "--grpc", "127.0.0.1:0", "--nbd", "", "--http", &address.to_string()]);
                command.arg("--data").arg(home.join("data"));
                Ok(command)
            }
            Kind::Registry => {
                let config = format!(
                    "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage:\n  filesystem: \
                     {{rootdirectory: {}}}\n  delete: {{enabled: true}}\nhttp: {{addr: '{address}'}}\n",
                    home.join("storage").display(),
                );
                fs::write(home.join("config.yml"), config)?;
                let mut command = Command::new("docker-registry");
                command.arg("serve").arg(home.join("config.yml"));
                Ok(command)
            }
        }
    }
}

/// A running server; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    pub(crate) address: SocketAddr,
    process: Child,
}

impl Server {
    /// Starts it on an empty directory and waits until it serves.
    pub(crate) async fn start(kind: Kind, home: &Path) -> Result<Self, BoxError> {
        fs::create_dir_all(home)?;
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        drop(listener);
        let log = fs::File::create(home.join("server.log"))?;
        let mut command = kind.command(home, address)?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let process = child.map_err(|error| format!("{}: {error}", kind.name()))?;
        let mut server = Server { kind, address, process };
        server.wait_until_it_serves().await?;
        if kind == Kind::Steward {
            let project = format!(r#"{{"name":"{PROJECT}"}}"#);
            raw::post(address, "/repository/api/project/create", &project).await?;
            let repository = format!(r#"{{"projectId":"{PROJECT}","name":"{REPOSITORY}","type":"OCI"}}"#);
            raw::post(address, "/repository/api/repo/create", &repository).await?;
        }
        Ok(server)
    }

    /// What an image is called there.
    pub(crate) fn image_name(&self, image: &str) -> String {
        match self.kind {
            Kind::Steward => format!("{PROJECT}/{REPOSITORY}/{image}"),
            Kind::Registry => image.to_owned(),
        }
    }

    /// The place of Steward's tasks.
    pub(crate) fn place() -> String {
        format!("{PROJECT}/{REPOSITORY}")
    }

    async fn wait_until_it_serves(&mut self) -> Result<(), BoxError> {
        for _ in 0..300 {
            if tokio::net::TcpStream::connect(self.address).await.is_ok() {
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

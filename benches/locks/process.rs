//! A server under load: its process, what it uses of the machine, and its own numbers.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{BoxError, http};

/// Linux counts the time of a process in hundredths of a second, whatever its own clock does.
const TICKS_PER_SECOND: u64 = 100;

/// A running server; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) version: String,
    process: Child,
    metrics: SocketAddr,
    /// The metric that counts its flushes to the disk.
    flushes: &'static str,
}

/// What a server has used since it started, or between two looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) flushes: f64,
}

impl Usage {
    pub(crate) fn since(&self, earlier: &Usage) -> Usage {
        Usage { cpu: self.cpu.saturating_sub(earlier.cpu), flushes: self.flushes - earlier.flushes }
    }
}

/// The times of a core that the threads of a server have used, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Threads(HashMap<OsString, u64>);

impl Peer {
    /// Starts a server that writes its log to a file and answers `/metrics` at an address.
    pub(crate) fn start(
        program: &str,
        args: &[String],
        log: &std::path::Path,
        metrics: SocketAddr,
        flushes: &'static str,
    ) -> Result<Self, BoxError> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(log)?);
        let process = command.spawn().map_err(|error| format!("{program}: {error}"))?;
        let version = Command::new(program).arg("--version").output()?.stdout;
        let version = String::from_utf8_lossy(&version).lines().next().unwrap_or_default().to_owned();
        Ok(Peer { version, process, metrics, flushes })
    }

    pub(crate) async fn usage(&self) -> Result<Usage, BoxError> {
        let page = http::get(self.metrics, "/metrics").await?;
        let sample = page.lines().find_map(|line| line.strip_prefix(self.flushes)?.trim().parse().ok());
        let flushes = sample.ok_or_else(|| format!("no {} in the metrics of {}", self.flushes, self.version))?;
        Ok(Usage { cpu: self.cpu()?, flushes })
    }

    /// The time of a core that it has used since it was started.
    pub(crate) fn cpu(&self) -> Result<Duration, BoxError> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The name of the program stands in parentheses and may contain anything.
        let fields = stat.rsplit(") ").next().unwrap_or_default();
        let ticks = |index: usize| fields.split(' ').nth(index).and_then(|field| field.parse::<u64>().ok());
        let (Some(user), Some(system)) = (ticks(11), ticks(12)) else { return Err("no times in its stat".into()) };
        Ok(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
    }

    /// What its threads have used by now, finer than [`Peer::cpu`] tells it.
    pub(crate) fn threads(&self) -> Result<Threads, BoxError> {
        let mut used = HashMap::new();
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let thread = thread?;
            // It may have ended by now.
            let Ok(times) = std::fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let running = times.split(' ').next().and_then(|nanos| nanos.parse().ok());
            used.insert(thread.file_name(), running.ok_or("no times in the schedstat of a thread")?);
        }
        Ok(Threads(used))
    }
}

impl Threads {
    /// What they have used since an earlier look. Of a thread that has ended between the two nothing is known.
    pub(crate) fn since(&self, earlier: &Threads) -> Duration {
        let of_one = |(id, nanos): (&OsString, &u64)| nanos.saturating_sub(*earlier.0.get(id).unwrap_or(&0));
        Duration::from_nanos(self.0.iter().map(of_one).sum())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn free_address() -> Result<SocketAddr, BoxError> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(listener.local_addr()?)
}

/// Tries until it works, for a while.
pub(crate) async fn retry<T, F: Future<Output = Result<T, BoxError>>>(
    mut attempt: impl FnMut() -> F,
) -> Result<T, BoxError> {
    const ATTEMPTS: usize = 300;
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    attempt().await
}

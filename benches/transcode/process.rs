//! A server under load, as a process.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use crate::BoxError;

/// How often something is looked for, ten times a second.
const ATTEMPTS: usize = 300;

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts a program whose output goes to a file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self, BoxError> {
        let log = std::fs::File::create(log)?;
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        Ok(Process(child.map_err(|error| format!("{}: {error}", program.display()))?))
    }

    /// How much memory it keeps.
    pub(crate) fn resident_bytes(&self) -> Result<u64, BoxError> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    /// Asks it to end, and waits.
    pub(crate) fn end(&mut self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, signal);
        }
        // Started in the background of a shell, some ignore an interrupt.
        for _ in 0..ATTEMPTS {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // PostgreSQL ends its children on this one; everybody ends.
        self.end(Signal::INT);
    }
}

pub(crate) fn free_address() -> Result<SocketAddr, BoxError> {
    Ok(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?.local_addr()?)
}

/// Waits until something listens.
pub(crate) async fn listening(address: SocketAddr) -> Result<(), BoxError> {
    for _ in 0..ATTEMPTS {
        if TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("nobody listens on {address}").into())
}

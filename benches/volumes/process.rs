//! A server under load, as a process.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::BoxError;

/// Linux counts the time of a process in hundredths of a second, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running server; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts it, and waits until there is a socket.
    pub(crate) fn start(command: &mut Command, log: &Path, socket: &Path) -> Result<Self, BoxError> {
        let log = fs::File::create(log)?;
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let mut process = Process(child.map_err(|error| format!("{}: {error}", program.display()))?);
        process.wait_for(&program, socket)?;
        Ok(process)
    }

    fn wait_for(&mut self, program: &OsStr, socket: &Path) -> Result<(), BoxError> {
        for _ in 0..600 {
            if std::os::unix::net::UnixStream::connect(socket).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.0.try_wait()? {
                return Err(format!("{} ended with {status}", program.display()).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{} does not serve", program.display()).into())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The seconds of a core that a process has used since it was started.
#[expect(clippy::cast_precision_loss, reason = "fewer ticks than 2^52")]
pub(crate) fn cpu(pid: u32) -> Result<f64, BoxError> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program stands in parentheses and may contain anything.
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = |index: usize| fields.split(' ').nth(index).and_then(|field| field.parse::<u64>().ok());
    let (Some(user), Some(system)) = (ticks(11), ticks(12)) else { return Err("no times in its stat".into()) };
    Ok((user + system) as f64 / TICKS_PER_SECOND)
}

/// How many MiB a process keeps.
pub(crate) fn resident(pid: u32) -> Result<f64, BoxError> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

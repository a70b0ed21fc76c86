//! The command and all that it starts.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{sleep, sleep_until, timeout_at};

use super::signals;

// Nothing tells when a process group becomes empty, so it is looked at.
const GROUP_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// A running command.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pid: Pid,
    reach: Reach,
    has_ended: bool,
}

/// Which processes a signal goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The command leads a process group of its own: it and all that it started.
    Group,
    /// The command shares our process group, so that it can read the terminal. Signals go to it alone, for we and the
    /// others of a pipeline or a script are in the same group.
    Child,
}

impl Running {
    /// Starts `command` with our standard input, output and error.
    pub(crate) fn start(command: &[OsString], environment: &[(&str, String)]) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let reach = if io::stdin().is_terminal() { Reach::Child } else { Reach::Group };
        let mut command = Command::new(program);
        command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
        if reach == Reach::Group {
            command.process_group(0);
            signals::hold_off_stops()?;
        }
        let child = command.spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the command has no process id"))?;
        Ok(Running { child, pid, reach, has_ended: false })
    }

    /// Returns when the command ends. What it left running in the background is not waited for.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.has_ended = true;
        Ok(status)
    }

    /// Hands on a signal that was sent to us.
    pub(crate) fn forward(&self, signal: Signal) {
        // The terminal sends these two to its whole foreground group, the command included.
        let has_it_already = self.reach == Reach::Child && matches!(signal, Signal::INT | Signal::QUIT);
        if !has_it_already {
            self.send(signal);
        }
    }

    /// Asks all of it to end, and kills at `kill_at` what is left. Returns when the command is gone.
    pub(crate) async fn stop(&mut self, kill_at: Instant) -> io::Result<()> {
        self.send(Signal::TERM);
        let has_ended = timeout_at(kill_at.into(), self.wait()).await.is_ok();
        if has_ended && self.is_group_gone_by(kill_at).await {
            return Ok(());
        }
        self.send(Signal::KILL);
        self.wait().await.map(drop)
    }

    /// Waits until nobody is left of the group, or until `kill_at`.
    async fn is_group_gone_by(&self, kill_at: Instant) -> bool {
        if self.reach == Reach::Child {
            return true;
        }
        let end = sleep_until(kill_at.into());
        tokio::pin!(end);
        while test_kill_process_group(self.pid).is_ok() {
            tokio::select! {
                () = sleep(GROUP_CHECK_INTERVAL) => {}
                () = &mut end => return false,
            }
        }
        true
    }

    fn send(&self, signal: Signal) {
        // It fails only when there is nobody left to be signalled.
        let _ = match self.reach {
            Reach::Group => kill_process_group(self.pid, signal),
            // The process id of a child that was waited for may belong to somebody else.
            Reach::Child if self.has_ended => Ok(()),
            Reach::Child => kill_process(self.pid, signal),
        };
    }
}

impl Drop for Running {
    /// Nothing may run on without the lock, even if we panic.
    fn drop(&mut self) {
        if !self.has_ended {
            self.send(Signal::KILL);
        }
    }
}

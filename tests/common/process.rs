//! A process of the binary under test.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::future::ready;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::wait::{eventually, within};

/// The binary under test.
pub(crate) const STEWARD: &str = env!("CARGO_BIN_EXE_steward");

/// How many lines of the log a failing test shows.
const SHOWN_LINES: usize = 60;

/// How to run a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Launch {
    /// A program that runs the binary, with its arguments; empty: none.
    pub(crate) wrapper: Vec<OsString>,
    /// Another program to run than the binary under test.
    pub(crate) program: Option<PathBuf>,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(String, String)>,
}

impl Launch {
    pub(crate) fn command(&self) -> Command {
        let program = self.program.clone().map_or_else(|| OsString::from(STEWARD), OsString::from);
        let mut words = self.wrapper.iter().cloned().chain([program]).chain(self.args.iter().cloned());
        let mut command = Command::new(words.next().expect("at least the binary"));
        command.args(words).envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// A running process; dropping it kills it. When a test fails, its log is shown.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Process {
    /// Runs it; standard error is appended to `log`.
    pub(crate) fn spawn(launch: &Launch, log: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("the log can be opened");
        let mut child =
            launch.command().stdout(Stdio::piped()).stderr(file).spawn().expect("the binary can be started");
        let output = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        Process { child, output, log: log.to_owned() }
    }

    /// The address that the process says it listens on for `what`, or `None` when it ended before it said so.
    pub(crate) async fn listening(&mut self, what: &str) -> Option<SocketAddr> {
        let prefix = format!("{what} listening on ");
        loop {
            let line = within(&prefix, self.output.next_line()).await.expect("standard output is text")?;
            if let Some(address) = line.strip_prefix(&prefix) {
                return Some(address.parse().unwrap_or_else(|_| panic!("not an address: {line:?}")));
            }
        }
    }

    /// The rest of the first line of the log that starts so, or `None` when the process ended before it said so.
    pub(crate) async fn logged(&mut self, prefix: &str) -> Option<String> {
        let what = format!("the log says {prefix:?}");
        let look = || {
            let has_ended = self.child.try_wait().expect("a child can be looked at").is_some();
            let log = std::fs::read_to_string(&self.log).expect("the log can be read");
            // Of a line that is still being written there may be only the beginning.
            let whole = if has_ended { log.as_str() } else { log.rsplit_once('\n').map_or("", |(whole, _)| whole) };
            let said = whole.lines().find_map(|line| line.strip_prefix(prefix)).map(str::to_owned);
            ready((said.is_some() || has_ended).then_some(said))
        };
        eventually(&what, look).await
    }

    /// The next line on standard output.
    pub(crate) async fn next_line(&mut self) -> String {
        let line = within("a line", self.output.next_line()).await.expect("standard output is text");
        line.expect("the process goes on")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it has not been waited for")
    }

    /// Kills it, if it lives.
    pub(crate) async fn kill_hard(&mut self) {
        if self.child.id().is_some() {
            self.child.kill().await.expect("a living process can be killed");
        }
    }

    pub(crate) fn ask_to_end(&self) {
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::TERM).expect("a living process can be asked to end");
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        within("the process ends", self.child.wait()).await.expect("a child can be waited for")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log can be read")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("--- the log of the server ends so:\n{}\n---", shown.join("\n"));
        }
    }
}

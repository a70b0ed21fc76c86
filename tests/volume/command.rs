//! `steward volume`, run against a server.

use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::common::process::STEWARD;
use crate::common::server::Server;
use crate::common::wait::within;

/// How a command ended, and what it said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Said { code: output.status.code(), bytes: output.stdout, err }
    }

    /// What it wrote, as text.
    pub(crate) fn out(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("UTF-8")
    }

    /// The objects that it wrote with `--json`, one a line.
    pub(crate) fn objects(&self) -> Vec<serde_json::Value> {
        self.out().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

// Standard output may be a whole volume.
impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(2000)]);
        write!(f, "exit code {:?}\n{shown}\n{}", self.code, self.err)
    }
}

/// A command that has not been started yet.
pub(crate) fn command(server: &Server, args: &[&str]) -> Command {
    let mut command = Command::new(STEWARD);
    command.arg("volume").args(["--server", &server.grpc_url()]).args(args).kill_on_drop(true);
    command.env_remove("STEWARD_USER").env_remove("STEWARD_PASSWORD").env_remove("STEWARD_VOLUME_USER");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `steward volume …`.
pub(crate) async fn volume(server: &Server, args: &[&str]) -> Said {
    let output = within("the command ends", command(server, args).output()).await.expect("the binary can be started");
    Said::of(output)
}

/// Runs it, expecting it to do what it is told.
pub(crate) async fn volume_ok(server: &Server, args: &[&str]) -> Said {
    let said = volume(server, args).await;
    assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
    said
}

/// Runs it with bytes on standard input.
pub(crate) async fn volume_with_input(server: &Server, args: &[&str], input: Vec<u8>) -> Said {
    let mut child = command(server, args).stdin(Stdio::piped()).spawn().expect("the binary can be started");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A command that gives up reads no more.
    let feed = tokio::spawn(async move { drop(stdin.write_all(&input).await) });
    let output = within("the command ends", child.wait_with_output()).await.expect("a child can be waited for");
    feed.await.expect("no panic");
    Said::of(output)
}

//! `steward restic`, run against a server.

use std::process::Output;

use tokio::process::Command;

use crate::common::process::STEWARD;
use crate::common::server::Server;
use crate::common::wait::within;

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `steward restic …` against a server.
pub(crate) async fn restic(server: &Server, args: &[&str]) -> Said {
    restic_at(&server.grpc_url(), args, &[]).await
}

/// The same, against a URL and with an environment.
pub(crate) async fn restic_at(url: &str, args: &[&str], env: &[(&str, &str)]) -> Said {
    let mut command = Command::new(STEWARD);
    command.arg("restic").args(args).args(["--server", url]).kill_on_drop(true);
    command.env_remove("STEWARD_USER").env_remove("STEWARD_PASSWORD").envs(env.iter().copied());
    let output = within("the command ends", command.output()).await.expect("the binary can be started");
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// The objects that a command wrote with `--json`, one a line.
pub(crate) fn objects(said: &Said) -> Vec<serde_json::Value> {
    said.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

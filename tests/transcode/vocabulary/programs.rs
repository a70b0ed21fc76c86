//! The binary as an operator and as a worker.

use std::path::Path;
use std::process::Output;

use tokio::process::Command;

use crate::common::http::HttpPort;
use crate::common::process::{Launch, Process, STEWARD};
use crate::common::server::Server;
use crate::common::wait::within;

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `steward …` against a server.
pub(crate) async fn steward(server: &Server, args: &[&str]) -> Said {
    let mut command = Command::new(STEWARD);
    command.args(args).args(["--server", &server.grpc_url()]).kill_on_drop(true);
    let output = within("the command ends", command.output()).await.expect("the binary can be started");
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// The same, of a command that has to succeed; what it wrote.
pub(crate) async fn told(server: &Server, args: &[&str]) -> String {
    let said = steward(server, args).await;
    assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
    said.out
}

/// A running `steward worker`, which remembers what an earlier one of its name knew. Dropping it kills it.
pub(crate) fn worker(server: &Server, name: &str, args: &[&str]) -> Process {
    let state = server.home().join(format!("worker-{name}"));
    let state = state.to_str().expect("a path in UTF-8");
    let fixed = ["worker", "--server", &server.grpc_url(), "--name", name, "--type", "cpu", "--state", state];
    let args =
        fixed.map(str::to_owned).into_iter().chain(args.iter().map(|arg| (*arg).to_owned())).map(Into::into).collect();
    Process::spawn(&Launch { args, ..Launch::default() }, &server.home().join(format!("{name}.log")))
}

/// A running `steward gateway` before a server, and where it listens.
pub(crate) async fn gateway(server: &Server, name: &str) -> (Process, HttpPort) {
    let args = ["gateway", "--upstream", &server.grpc_url(), "--http", "127.0.0.1:0"];
    let launch = Launch { args: args.map(Into::into).into(), ..Launch::default() };
    let mut process = Process::spawn(&launch, &server.home().join(format!("{name}.log")));
    let address = process.listening("http").await.expect("the gateway serves");
    (process, HttpPort(address))
}

/// `NAME=PATH`, as a worker is told where a library is.
pub(crate) fn at(library: &str, path: &Path) -> String {
    format!("{library}={}", path.display())
}

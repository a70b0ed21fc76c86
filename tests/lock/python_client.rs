//! A client in Python, generated from `proto/` with the stock tools.

use std::path::Path;

use tokio::process::Command;

use crate::common::program::{self, ROOT};
use crate::common::server::Server;
use crate::common::wait::within;

#[tokio::test]
async fn a_generated_client_acquires_and_watches_and_loses_by_expiry() {
    // The stock Python has no grpcio: only the one that scripts/test prepared will do.
    let Some(python) = program::find("python", "python_client") else { return };
    let server = Server::start().await;
    let script = Path::new(ROOT).join("tests/lock/python/client.py");
    let protos = Path::new(ROOT).join("proto");
    let mut command = Command::new(python);
    command.arg(script).arg(protos).arg(server.grpc_address().to_string()).kill_on_drop(true);

    let output = within("the client ends", command.output()).await.expect("Python can be started");

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "python-1 acquires: GRANTED",
            "python-2 tries: CONTENDED",
            "python-2 enqueues: QUEUED at 1",
            "watch: snapshot, held by python-1",
            "watch: EXPIRED python-1",
            "watch: ASSIGNED python-2",
            "python-1 releases: FAILED_PRECONDITION NOT_HOLDER",
            "python-1's token is current: False",
            "python-2 claims: GRANTED with a greater token",
            "python-2 releases: SUCCEEDED",
            "python-1 acquires: SKIPPED, done by python-2",
        ],
    );
}

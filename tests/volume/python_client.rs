//! A client in Python, generated from `proto/` with the stock tools.

use std::path::Path;

use crate::common::program::ROOT;
use crate::common::server::Server;
use crate::tool::Tool;

#[tokio::test]
async fn a_generated_client_makes_clones_and_flattens_volumes() {
    // The stock Python has no grpcio: only the one that scripts/test prepared will do.
    let Some(python) = Tool::find("python", "python_client") else { return };
    let server = Server::start().await;
    let script = Path::new(ROOT).join("tests/volume/python/client.py");
    let protos = Path::new(ROOT).join("proto");
    let address = server.grpc_address().to_string();

    let told = python.ok(&[script.as_os_str(), protos.as_os_str(), address.as_ref()]).await;

    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "created: True 1073741824",
            "written: 1048576",
            "cloned: VOLUME_STATE_UNFLATTENED",
            "read: True True",
            "needed: FAILED_PRECONDITION",
            "flattened: OPERATION_STATE_SUCCEEDED 100",
            "read: True",
        ],
    );
}

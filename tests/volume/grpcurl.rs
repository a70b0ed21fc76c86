//! `grpcurl`, which knows nothing but what the server's reflection tells it.

use serde_json::{Value, json};

use crate::common::server::Server;
use crate::tool::Tool;

const AREA: &str = "steward.volume.v1";

async fn grpcurl(server: &Server, args: &[&str], target: &[&str]) -> Option<Result<String, String>> {
    let program = Tool::find("grpcurl", "grpcurl")?;
    let address = server.grpc_address().to_string();
    let words: Vec<&str> =
        ["-plaintext"].iter().chain(args).chain([&address.as_str()]).chain(target).copied().collect();
    let said = program.run(&words).await;
    Some(if said.code == Some(0) { Ok(said.out().to_owned()) } else { Err(said.err) })
}

async fn call(server: &Server, method: &str, request: &Value) -> Option<Result<Value, String>> {
    let answer = grpcurl(server, &["-d", &request.to_string()], &[&format!("{AREA}.{method}")]).await?;
    Some(answer.map(|text| serde_json::from_str(&text).expect("JSON")))
}

#[tokio::test]
async fn the_services_are_listed_and_described_with_their_comments() {
    let server = Server::start().await;
    let Some(services) = grpcurl(&server, &[], &["list"]).await else { return };
    let services = services.expect("a list");
    for name in ["VolumeService", "SnapshotService", "OperationService", "PolicyService", "ExportService"] {
        assert!(services.lines().any(|line| line == format!("{AREA}.{name}")), "{name}: {services}");
    }
    let service = format!("{AREA}.VolumeService");
    let described = grpcurl(&server, &[], &["describe", &service]).await.expect("it is there").expect("a description");
    assert!(described.contains("rpc CreateVolume"), "{described}");
    assert!(described.contains("// Creates a volume that reads as zeros."), "{described}");
}

#[tokio::test]
async fn a_volume_is_made_snapshotted_cloned_and_flattened_from_a_shell() {
    let server = Server::start().await;
    let create = json!({"path": "/a", "sizeBytes": "1073741824", "user": "alice"});
    let Some(created) = call(&server, "VolumeService/CreateVolume", &create).await else { return };
    assert_eq!(created.expect("an answer")["volume"]["owner"], "alice");
    let call = async |method, request| {
        let answer = call(&server, method, &request).await.expect("grpcurl is there");
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    };
    call("SnapshotService/CreateSnapshot", json!({"volume": {"path": "/a"}, "name": "s"})).await;
    let snapshot = json!({"volumePath": "/a", "name": "s"});
    let cloned = call("SnapshotService/CloneSnapshot", json!({"snapshot": snapshot, "destination": "/b"})).await;
    assert_eq!(cloned["volume"]["state"], "VOLUME_STATE_UNFLATTENED");
    let flattened = call("VolumeService/FlattenVolume", json!({"volume": {"path": "/b"}})).await;
    let wait = json!({"uuid": flattened["operation"]["uuid"], "timeout": "30s"});
    let waited = call("OperationService/WaitOperation", wait).await;
    assert_eq!(waited["operation"]["state"], "OPERATION_STATE_SUCCEEDED");
}

#[tokio::test]
async fn an_error_shows_its_reason_and_its_field() {
    let server = Server::start().await;
    for (method, request, words) in [
        ("VolumeService/GetVolume", json!({"volume": {"path": "/nowhere"}}), ["NotFound", "NOT_FOUND", "/nowhere"]),
        ("VolumeService/CreateVolume", json!({"path": "a"}), ["InvalidArgument", "INVALID_", "path"]),
    ] {
        let Some(answer) = call(&server, method, &request).await else { return };
        let shown = answer.expect_err("a refusal");
        for word in words {
            assert!(shown.contains(word), "{word} in {shown}");
        }
    }
}

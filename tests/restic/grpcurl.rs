//! `grpcurl`, which knows nothing but what the server's reflection tells it.

use serde_json::{Value, json};
use tokio::process::Command;

use crate::common::program;
use crate::common::server::Server;
use crate::common::wait::within;
use crate::vocabulary::{Repo, blob};

const SERVICE: &str = "steward.restic.v1.ObjectService";

/// What grpcurl writes: `args` stand before the address of the server, and `target` after it.
async fn grpcurl(server: &Server, args: &[&str], target: &[&str]) -> Option<Result<String, String>> {
    let program = program::find("grpcurl", "grpcurl")?;
    let address = server.grpc_address().to_string();
    let run = Command::new(program).arg("-plaintext").args(args).arg(address).args(target).kill_on_drop(true).output();
    let output = within("grpcurl ends", run).await.expect("grpcurl can be started");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Some(if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) })
}

async fn call(server: &Server, method: &str, request: &Value) -> Option<Result<Value, String>> {
    let answer = grpcurl(server, &["-d", &request.to_string()], &[&format!("{SERVICE}/{method}")]).await?;
    Some(answer.map(|text| serde_json::from_str(&text).expect("JSON")))
}

#[tokio::test]
async fn the_service_is_listed_and_described_with_its_comments() {
    let server = Server::start().await;
    let Some(services) = grpcurl(&server, &[], &["list"]).await else { return };
    let services = services.expect("a list");
    assert!(services.lines().any(|line| line == SERVICE), "{services}");

    let described = grpcurl(&server, &[], &["describe", SERVICE]).await.expect("it is there").expect("a description");
    assert!(described.contains("rpc Upload ( stream .steward.restic.v1.UploadRequest )"), "{described}");
    assert!(described.contains("// Creates a repository with its directories."), "{described}");
}

#[tokio::test]
async fn a_repository_is_created_and_listed_from_a_shell() {
    let server = Server::start().await;
    let Some(created) = call(&server, "CreateRepository", &json!({"path": "alice/laptop"})).await else { return };
    let created = created.expect("an answer");
    assert_eq!((&created["created"], &created["repository"]["path"]), (&json!(true), &json!("alice/laptop")));
    let object = blob("an object");
    Repo::at(server.http(), "/restic/alice/laptop/").store("data", &object).await;

    let listed = call(&server, "ListRepositories", &json!({})).await.expect("it is there").expect("a list");
    let repositories = listed["repositories"].as_array().expect("repositories");
    assert_eq!(repositories.len(), 1, "{listed}");
    assert_eq!((&repositories[0]["path"], &repositories[0]["objectCount"]), (&json!("alice/laptop"), &json!("1")));
    let request = json!({"repository": "alice/laptop", "type": "OBJECT_TYPE_DATA"});
    let objects = call(&server, "ListObjects", &request).await.expect("it is there").expect("a list");
    assert!(objects.to_string().contains(&object.name), "{objects}");
}

#[tokio::test]
async fn an_error_shows_its_reason() {
    let server = Server::start().await;
    for (method, request, words) in [
        ("GetRepository", json!({"path": "nowhere"}), ["NotFound", "NOT_FOUND", "nowhere"]),
        ("CreateRepository", json!({"path": "../etc"}), ["InvalidArgument", "INVALID_ARGUMENT", "path"]),
        ("DeleteRepository", json!({"path": "a"}), ["Unimplemented", "UNIMPLEMENTED", "steward"]),
    ] {
        let Some(answer) = call(&server, method, &request).await else { return };
        let shown = answer.expect_err("a refusal");
        for word in words {
            assert!(shown.contains(word), "{word} in {shown}");
        }
    }
}

//! `grpcurl`, which knows nothing but what the server's reflection tells it.

use std::process::Output;

use tokio::process::Command;

use crate::common::program;
use crate::common::server::Server;
use crate::common::wait::within;

const SERVICE: &str = "steward.lock.v1.LockService";

/// Runs grpcurl against a server: `args` stand before its address, and `target` after it.
async fn grpcurl(server: &Server, args: &[&str], target: &[&str]) -> Option<Output> {
    let program = program::find("grpcurl", "grpcurl")?;
    let address = server.grpc_address().to_string();
    let run = Command::new(program).arg("-plaintext").args(args).arg(address).args(target).kill_on_drop(true).output();
    Some(within("grpcurl ends", run).await.expect("grpcurl can be started"))
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

async fn call(server: &Server, method: &str, request: &str) -> Option<serde_json::Value> {
    let output = grpcurl(server, &["-d", request], &[&format!("{SERVICE}/{method}")]).await?;
    Some(serde_json::from_str(&text(&output)).expect("JSON"))
}

#[tokio::test]
async fn the_services_are_listed_and_described_with_their_comments() {
    let server = Server::start().await;
    let Some(list) = grpcurl(&server, &[], &["list"]).await else { return };
    let services = text(&list);
    for service in [SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"] {
        assert!(services.lines().any(|line| line == service), "{service} in {services}");
    }

    let described = text(&grpcurl(&server, &[], &["describe", SERVICE]).await.expect("it is there"));
    assert!(described.contains("rpc Acquire ( .steward.lock.v1.AcquireRequest )"), "{described}");
    assert!(described.contains("// Takes a lock, joins its queue, or learns that the work is done."), "{described}");
    let message = grpcurl(&server, &[], &["describe", "steward.lock.v1.Grant"]).await.expect("it is there");
    assert!(text(&message).contains("// Proves the right to renew and release."));
}

#[tokio::test]
async fn a_lock_is_taken_and_given_back_from_a_shell() {
    let server = Server::start().await;
    let key = r#""key": {"type": "pull", "resource_id": "sha256:test123"}"#;
    let Some(granted) = call(&server, "Acquire", &format!(r#"{{{key}, "owner": "NODEA", "ttl": "60s"}}"#)).await else {
        return;
    };
    assert_eq!(granted["status"], "ACQUIRE_STATUS_GRANTED");
    assert_eq!(granted["grant"]["owner"], "NODEA");
    let grant_id = granted["grant"]["grantId"].as_str().expect("a grant id");

    let queued = format!(r#"{{{key}, "owner": "NODEB", "policy": "WAIT_POLICY_ENQUEUE"}}"#);
    let queued = call(&server, "Acquire", &queued).await.expect("an answer");
    assert_eq!((&queued["status"], &queued["queuePosition"]), (&"ACQUIRE_STATUS_QUEUED".into(), &1.into()));

    let release = format!(r#"{{{key}, "grant_id": "{grant_id}", "outcome": "OUTCOME_SUCCEEDED"}}"#);
    let released = call(&server, "Release", &release).await.expect("an answer");
    assert_eq!(released["completion"]["owner"], "NODEA");
    let skipped = call(&server, "Acquire", &format!(r#"{{{key}, "owner": "NODEB"}}"#)).await.expect("an answer");
    assert_eq!(skipped["status"], "ACQUIRE_STATUS_SKIPPED");
}

#[tokio::test]
async fn an_error_shows_its_reason() {
    let server = Server::start().await;
    let request = r#"{"key": {"type": "pull", "resource_id": "sha256:x"}, "owner": "NODEA"}"#;
    let Some(output) = grpcurl(&server, &["-d", request], &[&format!("{SERVICE}/Release")]).await else { return };
    assert!(!output.status.success());
    let shown = String::from_utf8_lossy(&output.stderr);
    for word in ["FailedPrecondition", "NOT_HOLDER", "steward"] {
        assert!(shown.contains(word), "{word} in {shown}");
    }
}

//! Where a server does not go, whoever asks it to.

use serde_json::json;

use super::common::server::{Server, Setup, free_port};
use super::steward::{FILES, PROJECT, Steward};

async fn creation(steward: &Steward, registry: &str) -> (u16, serde_json::Value) {
    let task = json!({"name": "inward", "registry": registry, "pathConstraints": ["/a.txt"]});
    let path = format!("/replication/api/remote/distribution/create/runOnceTask/{PROJECT}/{FILES}");
    steward.call("POST", &path, &task).await
}

async fn with_file(setup: Setup) -> Steward {
    let steward = Steward::with(setup).await;
    steward.put_file("/a.txt", b"a").await;
    steward
}

/// The server's ports are on loopback in tests, so it is told that others can reach it.
async fn exposed(config: &str) -> Steward {
    with_file(Server::setup().config(&format!("[replication]\nprivate_targets = \"refused\"\n{config}"))).await
}

#[tokio::test]
async fn a_server_that_others_reach_goes_to_no_address_inside() {
    let steward = exposed("").await;
    for inside in ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"] {
        let (status, envelope) = creation(&steward, &format!("http://{inside}:{}", free_port().port())).await;
        assert_eq!((status, &envelope["code"]), (400, &json!(250_105)), "{inside}: {envelope}");
        assert_eq!(envelope["message"], "Parameter [url] is invalid", "{inside}");
    }
}

#[tokio::test]
async fn what_the_operator_allows_is_a_target() {
    let west = Steward::start().await;
    let steward = exposed("allowed_targets = [\"127.0.0.0/8\"]").await;
    let (status, envelope) = creation(&steward, &format!("http://{}", west.http().0)).await;
    assert_eq!((status, &envelope["code"]), (200, &json!(0)), "{envelope}");
}

#[tokio::test]
async fn a_server_on_loopback_goes_to_loopback_and_no_further_inside() {
    let (steward, west) = (with_file(Server::setup()).await, Steward::start().await);
    let (status, envelope) = creation(&steward, &format!("http://{}", west.http().0)).await;
    assert_eq!((status, &envelope["code"]), (200, &json!(0)), "{envelope}");
    let (status, envelope) = creation(&steward, "http://169.254.169.254/latest").await;
    assert_eq!((status, &envelope["code"]), (400, &json!(250_105)), "{envelope}");
}

//! The key of stored secrets, rotated and killed in the middle.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use futures::{StreamExt as _, stream};
use serde_json::Value;
use steward_proto::auth::v1::RotateSecretsRequest;
use steward_proto::auth::v1::secret_service_client::SecretServiceClient;
use steward_proto::replication::v1 as api;
use steward_proto::replication::v1::cluster_service_client::ClusterServiceClient;
use tokio::process::Command;

use crate::common::process::STEWARD;
use crate::common::server::Server;
use crate::common::wait::{eventually, within};

/// As many clusters as there may be nearly, each with a password.
const CLUSTERS: usize = 900;
const AT_A_TIME: usize = 64;
/// How often the server is killed, if it is quicker than the kill now and then.
const KILLS: usize = 12;
const PASSWORD: &str = "geheim-password-of-a-cluster";

fn cluster(number: usize, password: Option<&str>) -> api::ClusterSpec {
    api::ClusterSpec {
        name: format!("cluster-{number}"),
        url: "http://127.0.0.1:9".to_owned(),
        username: "admin".to_owned(),
        password: password.map(str::to_owned),
        ping: Some(false),
        ..api::ClusterSpec::default()
    }
}

async fn create_clusters(server: &Server) {
    let clusters = ClusterServiceClient::new(server.channel());
    let creating = (0..CLUSTERS).map(|number| {
        let mut clusters = clusters.clone();
        let request = api::CreateClusterRequest { cluster: Some(cluster(number, Some(PASSWORD))) };
        async move { clusters.create_cluster(request).await }
    });
    stream::iter(creating).buffer_unordered(AT_A_TIME).for_each(async |made| drop(made.expect("made"))).await;
}

/// An update that does not say the password keeps it, which is refused if it cannot be opened.
async fn assert_all_passwords_open(server: &Server) {
    let clusters = ClusterServiceClient::new(server.channel());
    let updating = (0..CLUSTERS).map(|number| {
        let mut clusters = clusters.clone();
        let request = api::UpdateClusterRequest { cluster: Some(cluster(number, None)) };
        async move { clusters.update_cluster(request).await }
    });
    let updated = stream::iter(updating).buffer_unordered(AT_A_TIME);
    updated
        .for_each(async |kept| {
            assert!(kept.expect("the password can be opened").into_inner().cluster.expect("a cluster").has_password);
        })
        .await;
}

fn key_file(server: &Server) -> PathBuf {
    server.data().join("secrets.key")
}

fn keys(server: &Server) -> usize {
    std::fs::read_to_string(key_file(server)).expect("a key file").lines().count()
}

async fn rotate(server: &Server) -> (Option<i32>, Value) {
    let mut command = Command::new(STEWARD);
    command.args(["secrets", "rotate", "--json", "--server", &server.grpc_url()]).kill_on_drop(true);
    let output = within("the command ends", command.output()).await.expect("the binary can be started");
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code(), serde_json::from_str(&told).unwrap_or_default())
}

#[tokio::test]
async fn a_rotation_that_is_killed_loses_nothing_and_the_next_one_finishes() {
    let mut server = Server::start().await;
    create_clusters(&server).await;
    let first = std::fs::read_to_string(key_file(&server)).expect("a key file");

    let mut in_the_middle = 0;
    for _ in 0..KILLS {
        let before = keys(&server);
        let mut secrets = SecretServiceClient::new(server.channel());
        let rotating = tokio::spawn(async move { secrets.rotate_secrets(RotateSecretsRequest {}).await });
        let is_new = async || (keys(&server) > before || rotating.is_finished()).then_some(());
        eventually("a new key is in the file", is_new).await;
        server.kill9().await;
        in_the_middle += usize::from(rotating.await.expect("a task").is_err());
        server.restart().await;
        assert_all_passwords_open(&server).await;
    }
    assert!(in_the_middle > 0, "no kill came in time");

    let (code, told) = rotate(&server).await;
    assert_eq!(code, Some(0), "{told}");
    assert_eq!((&told["sealed"], &told["keys"], &told["unreadable_count"]), (&CLUSTERS.into(), &1.into(), &0.into()));
    assert_eq!(keys(&server), 1);
    let last = std::fs::read_to_string(key_file(&server)).expect("a key file");
    assert!(!first.contains(last.trim()), "the key is a new one");
    let mode = std::fs::metadata(key_file(&server)).expect("a key file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    server.restart().await;
    assert_all_passwords_open(&server).await;
}

#[tokio::test]
async fn passwords_that_change_during_rotations_are_all_there_afterwards() {
    let mut server = Server::start().await;
    create_clusters(&server).await;
    let mut secrets = SecretServiceClient::new(server.channel());
    let rotating = tokio::spawn(async move {
        for _ in 0..10 {
            secrets.rotate_secrets(RotateSecretsRequest {}).await.expect("rotated");
        }
    });
    let mut clusters = ClusterServiceClient::new(server.channel());
    let mut number = 0;
    while !rotating.is_finished() {
        number = (number + 7) % CLUSTERS;
        let request = api::UpdateClusterRequest { cluster: Some(cluster(number, Some("another"))) };
        clusters.update_cluster(request).await.expect("changed");
    }
    rotating.await.expect("all rotations");
    // The next process has the key of the file alone.
    server.restart().await;
    assert_eq!(keys(&server), 1);
    assert_all_passwords_open(&server).await;
}

#[tokio::test]
async fn a_secret_that_no_key_opens_is_named_and_nothing_is_thrown_away() {
    let mut server = Server::start().await;
    let mut clusters = ClusterServiceClient::new(server.channel());
    let request = api::CreateClusterRequest { cluster: Some(cluster(1, Some(PASSWORD))) };
    clusters.create_cluster(request).await.expect("made");
    // Somebody has lost the key.
    server.kill9().await;
    std::fs::remove_file(key_file(&server)).expect("removed");
    server.restart().await;

    let (code, told) = rotate(&server).await;
    assert_eq!((code, &told["unreadable"][0], &told["keys"]), (Some(1), &"cluster cluster-1".into(), &2.into()));
    let request = api::UpdateClusterRequest { cluster: Some(cluster(1, Some("said again"))) };
    ClusterServiceClient::new(server.channel()).update_cluster(request).await.expect("changed");
    let (code, told) = rotate(&server).await;
    assert_eq!((code, &told["sealed"], &told["keys"]), (Some(0), &1.into(), &1.into()));
}

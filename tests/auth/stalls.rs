//! Callers who announce much and send nothing, or ask for much and read nothing: others go on being served.

use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use steward_proto::lock::v1::{AcquireRequest, LockKey};

use crate::common::http::{HttpPort, head};
use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::users::{basic, htpasswd, signed};
use crate::common::wait::within;
use crate::gateway::Gateway;
use crate::http2::Attacker;
use crate::shell::Shell;

/// The beginning of a message of 4 MiB.
const ANNOUNCED: &[u8] = &[0, 0, 0x40, 0, 0];
/// So many of them are more than `limits.memory` is by default.
const CALLS: usize = 400;
const MIB: u64 = 1024 * 1024;
/// How many downloads nobody reads.
const DOWNLOADS: usize = 20;

/// With alice, and something for everybody.
async fn start() -> Server {
    let home = temporary::directory();
    let users = htpasswd(home.path(), &[("alice", "wonder")]);
    let rights = "alice lock * write\nanonymous artifact public read";
    Setup::default().config(&format!("[auth]\nhtpasswd = {users:?}\nrights = '''{rights}'''")).start_in(home).await
}

async fn acquire(server: &Server, resource: &str) -> Result<(), tonic::Status> {
    let key = LockKey { r#type: "pull".to_owned(), resource_id: resource.to_owned() };
    let message = AcquireRequest { key: Some(key), owner: "alice".to_owned(), ..AcquireRequest::default() };
    let request = signed(&basic("alice", "wonder"), message);
    within("an answer", LockServiceClient::new(server.channel()).acquire(request)).await.map(drop)
}

#[tokio::test]
async fn messages_that_are_only_announced_take_no_room() {
    let server = start().await;
    let before = server.resident_bytes();
    let mut attackers = Vec::new();
    for path in [
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.health.v1.Health/Watch",
        "/steward.lock.v1.LockService/Acquire",
        "/steward.artifact.v1.ArtifactService/PutFile",
    ] {
        let mut attacker = Attacker::connect(server.grpc_address()).await;
        assert!(attacker.begin_calls(path, CALLS, ANNOUNCED).await);
        attackers.push(attacker);
        acquire(&server, path).await.unwrap_or_else(|status| panic!("{path}: {status}"));
    }
    assert_eq!(server.http().get("/healthz").await.status, 200);
    assert!(server.resident_bytes() < before + 96 * MIB, "memory is bounded");
}

#[tokio::test]
async fn a_name_of_many_kilobytes_is_refused_and_not_told_again() {
    let server = start().await;
    let refused = acquire(&server, &"a".repeat(200 * 1024)).await.expect_err("no name is so long");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().len() < 1000, "{}", refused.message().len());
}

#[tokio::test]
async fn downloads_that_nobody_reads_do_not_hold_up_the_others_of_a_gateway() {
    let server = Server::start().await;
    let (shell, url) = (Shell::new(), server.grpc_url());
    for what in [&["project", "create", "p1"][..], &["repo", "create", "p1/files", "--type", "generic"]] {
        let made = shell.steward(&[&["artifact"], what, &["--server", &url]].concat()).await;
        assert_eq!(made.code, Some(0), "{made:?}");
    }
    let gateway = Gateway::start("", &["--upstream", &url]).await;
    let http = HttpPort(gateway.http);
    let file = vec![7; usize::try_from(10 * MIB).expect("64 bits")];
    assert!(http.request("PUT", "/generic/p1/files/f", &[], &file).await.status < 300);
    let mut unread = Vec::new();
    for number in 0..DOWNLOADS {
        let mut connection = http.connect().await;
        connection.send_bytes(head("GET", "/generic/p1/files/f", &[]).as_bytes()).await.expect("it is taken");
        assert_eq!(connection.read_head().await.status, 200, "with {number} of them");
        unread.push(connection);
        let lock = format!(r#"{{"type":"pull","resource_id":"{number}","node_id":"n"}}"#);
        assert_eq!(http.post("/lock", &lock).await.status, 200, "with {number} of them");
    }
    assert_eq!(http.request("GET", "/generic/p1/files/f", &[], b"").await.body, file, "who reads has all of it");
}

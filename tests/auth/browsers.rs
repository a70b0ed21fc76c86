//! What browsers do of their own accord: they sign in for the pages of others, and keep what they were answered.

use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::net::TcpStream;

use crate::common::http::HttpPort;
use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::users::{basic, htpasswd};
use crate::common::wait::{eventually, within};
use crate::gateway::Gateway;

const FOREIGN: [(&str, &str); 2] = [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://page.example")];
const DELETE: &str = "/SnapshotCloneService?Version=1.5&Action=DeleteFile&User=alice&File=/f";

async fn start(further: &str) -> Server {
    let home = temporary::directory();
    let users = htpasswd(home.path(), &[("alice", "p")]);
    Setup::default().config(&format!("[auth]\nhtpasswd = {users:?}\n{further}")).restic_listen().start_in(home).await
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing_in_the_name_of_their_readers() {
    let server = start("[transcode]\ncors_origin = 'https://page.example'").await;
    let alice = basic("alice", "p");
    let own = [("Authorization", alice.as_str())];
    let foreign = [&own[..], &FOREIGN[..]].concat();
    let lock = r#"{"type":"pull","resource_id":"sha256:a","node_id":"n"}"#;
    let status = "/lock/status?type=pull&resource_id=a&node_id=n";
    for (method, path) in [("POST", "/lock"), ("GET", status), ("GET", DELETE), ("PUT", "/generic/p/r/f")] {
        let answer = server.http().request(method, path, &foreign, lock.as_bytes()).await;
        assert_eq!(answer.status, 403, "{method} {path}");
        assert!(answer.text().contains("a page of another site"), "{}", answer.text());
        assert_ne!(server.http().request(method, path, &own, lock.as_bytes()).await.status, 403, "{method} {path}");
    }
    assert_eq!(server.restic().request("POST", "/a/?create=true", &foreign, b"").await.status, 403);
    // The API of the farm is there for the page that it is told of.
    let worker = br#"{"worker_name":"w","worker_type":0,"support_vr":0}"#;
    let answer = server.http().request("POST", "/api/v1/workers", &foreign, worker).await;
    assert!(answer.status < 300, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://page.example"));
}

#[tokio::test]
async fn what_is_answered_to_a_user_is_not_kept_for_others() {
    let server = start("").await;
    let alice = basic("alice", "p");
    for path in ["/repository/api/project/list", "/v2/_catalog", "/metrics", DELETE] {
        let answer = server.http().request("GET", path, &[("Authorization", &alice)], b"").await;
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"), "{path}");
    }
    assert_eq!(server.http().get("/healthz").await.header("cache-control"), None);
    let open = Server::start().await;
    assert_eq!(open.http().get("/repository/api/project/list").await.header("cache-control"), None);
}

/// The status of the answer to what is sent to the gRPC port in the name of alice, declared like this.
async fn call(server: &Server, declared: Option<&str>) -> StatusCode {
    let stream = within("a connection", TcpStream::connect(server.grpc_address())).await.expect("a connection");
    let (mut client, connection) = within("hands are shaken", h2::client::handshake(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    let alice = basic("alice", "p");
    let request = Request::post("http://steward/steward.lock.v1.LockService/List").header("authorization", alice);
    let request = declared.into_iter().fold(request, |request, kind| request.header("content-type", kind));
    let (answer, mut body) = client.send_request(request.body(()).expect("a request"), false).expect("it is taken");
    // It may have been answered already.
    let _ = body.send_data(Bytes::from_static(&[0; 5]), true);
    within("an answer", answer).await.expect("an answer").status()
}

#[tokio::test]
async fn what_is_not_declared_as_a_call_is_none() {
    let server = start("").await;
    for declared in [None, Some("text/plain"), Some("application/grpc-web"), Some("application/json")] {
        assert_eq!(call(&server, declared).await, 415, "{declared:?}");
    }
    for declared in ["application/grpc", "application/grpc+proto"] {
        assert_eq!(call(&server, Some(declared)).await, 200, "{declared}");
    }
}

/// The status of the answer to a look at a lock under a name.
async fn called(port: HttpPort, path: &str, host: &str) -> u16 {
    let mut connection = port.connect().await;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    connection.send_bytes(head.as_bytes()).await.expect("it is taken");
    connection.answer("GET").await.status
}

#[tokio::test]
async fn a_server_that_asks_nobody_is_not_called_by_names_of_strangers() {
    let own = "[server]\nhosts = ['storage.example.org']";
    let open = Setup::default().config(own).restic_listen().start().await;
    let gateway = Gateway::start(own, &["--upstream", &open.grpc_url()]).await;
    let status = "/lock/status?type=pull&resource_id=a";
    for (port, path) in [(open.http(), status), (HttpPort(gateway.http), status), (open.restic(), "/a/config")] {
        assert_eq!(called(port, path, "evil.example:8080").await, 421, "{path}");
        for host in ["127.0.0.1:8080", "localhost", "storage.example.org:8080"] {
            assert_ne!(called(port, path, host).await, 421, "{path} {host}");
        }
        assert_eq!(called(port, "/healthz", "evil.example").await, 200, "it tells nothing");
    }
    let asking = start("").await;
    assert_eq!(called(asking.http(), status, "steward.example").await, 401);
    let gateway = Gateway::start("", &["--upstream", &asking.grpc_url()]).await;
    eventually("the gateway knows that its server asks", || async {
        (called(HttpPort(gateway.http), status, "steward.example").await == 401).then_some(())
    })
    .await;
}

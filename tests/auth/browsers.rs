//! What browsers do of their own accord: they sign in for the pages of others, and keep what they were answered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::users::htpasswd;

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
    let alice = format!("Basic {}", STANDARD.encode("alice:p"));
    let own = [("Authorization", alice.as_str())];
    let foreign = [&own[..], &FOREIGN[..]].concat();
    let lock = r#"{"type":"pull","resource_id":"sha256:a","node_id":"n"}"#;
    for (method, path) in [("POST", "/lock"), ("GET", DELETE), ("PUT", "/generic/p/r/f")] {
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
    let alice = format!("Basic {}", STANDARD.encode("alice:p"));
    for path in ["/repository/api/project/list", "/v2/_catalog", "/metrics", DELETE] {
        let answer = server.http().request("GET", path, &[("Authorization", &alice)], b"").await;
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"), "{path}");
    }
    assert_eq!(server.http().get("/healthz").await.header("cache-control"), None);
    let open = Server::start().await;
    assert_eq!(open.http().get("/repository/api/project/list").await.header("cache-control"), None);
}

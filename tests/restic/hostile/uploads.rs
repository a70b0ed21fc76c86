//! Uploads that are not what they say, or never end.

use crate::common::http::Connection;
use crate::common::server::{Server, Setup};
use crate::common::wait::eventually;
use crate::tree::{assert_nothing_left_over, files};
use crate::vocabulary::{Blob, Repo, assert_refused, blob, noise};

/// A server with a repository, and what it looked like before anything happened to it.
struct Quiet {
    server: Server,
    repo: Repo,
    descriptors: usize,
}

impl Quiet {
    async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    async fn with(setup: Setup) -> Self {
        let server = setup.start().await;
        let repo = Repo::at(server.http(), "/restic/a/");
        repo.create().await;
        let before = blob("there before");
        repo.store("data", &before).await;
        let mut quiet = Quiet { server, repo, descriptors: 0 };
        quiet.descriptors = quiet.server.proc().descriptors();
        quiet
    }

    /// A connection on which the head of an upload was sent.
    async fn begin(&self, blob: &Blob, headers: &str) -> Connection {
        let mut connection = self.repo.port.connect().await;
        let head = format!("POST {}data/{} HTTP/1.1\r\nHost: steward\r\n{headers}\r\n", self.repo.path, blob.name);
        connection.send_bytes(head.as_bytes()).await.expect("the server listens");
        connection
    }

    /// Nothing was stored, nothing is left on the disk, no descriptor is held.
    async fn assert_still(&self) {
        let held = || async {
            let now = self.server.proc().descriptors();
            (now <= self.descriptors).then_some(())
        };
        eventually("all descriptors are given back", held).await;
        assert_eq!(self.repo.names("data").await, [blob("there before").name]);
        let tree = self.server.data().join("restic/a");
        assert_nothing_left_over(&tree);
        assert_eq!(files(&tree.join("data")).len(), 1);
    }
}

#[tokio::test]
async fn who_goes_away_in_the_middle_of_an_upload_leaves_nothing() {
    let quiet = Quiet::start().await;
    for round in 0..20 {
        let object = blob(noise(round, 500_000));
        let mut connection = quiet.begin(&object, "Content-Length: 500000\r\n").await;
        let sent = usize::try_from(round).expect("small") * 20_000;
        connection.send_bytes(&object.bytes[..sent]).await.expect("the server reads");
        drop(connection);
    }
    quiet.assert_still().await;
}

#[tokio::test]
async fn a_body_that_ends_early_is_not_a_shorter_object() {
    let quiet = Quiet::start().await;
    // The name is that of the bytes that come: only the length tells that some are missing.
    let object = blob(noise(1, 100_000));
    for headers in ["Content-Length: 100001\r\n", "Content-Length: 1000000000\r\n"] {
        let mut connection = quiet.begin(&object, headers).await;
        connection.send_bytes(&object.bytes).await.expect("the server reads");
        connection.finish_sending().await;
        let answer = connection.read_to_end().await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    quiet.assert_still().await;
}

#[tokio::test]
async fn chunks_without_their_end_are_not_an_object() {
    let quiet = Quiet::start().await;
    let object = blob("all of the bytes");
    for ending in ["", "0", "0\r\n", "\r\n", "nonsense\r\n", "-5\r\n", "ffffffffffffffffff\r\n", "5\r\nab"] {
        let mut connection = quiet.begin(&object, "Transfer-Encoding: chunked\r\n").await;
        let body = format!("10\r\nall of the bytes\r\n{ending}");
        connection.send_bytes(body.as_bytes()).await.expect("the server reads");
        connection.finish_sending().await;
        let answer = connection.read_to_end().await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{ending:?}: {}", String::from_utf8_lossy(&answer));
    }
    quiet.assert_still().await;
}

#[tokio::test]
async fn more_bytes_than_were_announced_are_no_part_of_the_object() {
    let quiet = Quiet::start().await;
    let object = blob(noise(1, 1000));
    let mut connection = quiet.begin(&object, "Content-Length: 999\r\n").await;
    connection.send_bytes(&object.bytes).await.expect("the server reads");
    assert_refused(&connection.answer("POST").await, 400);
    connection.finish_sending().await;
    connection.read_to_end().await;
    drop(connection);
    quiet.assert_still().await;
}

#[tokio::test]
async fn two_lengths_are_none() {
    let quiet = Quiet::start().await;
    let object = blob(noise(1, 1000));
    let lies = [
        "Content-Length: 1000\r\nContent-Length: 999\r\n",
        "Content-Length: 999\r\nContent-Length: 1000\r\n",
        "Content-Length: 1000, 999\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +1000\r\n",
        "Content-Length: 0x3e8\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length:\r\n",
        "Content-Length: 1000\r\nTransfer-Encoding: gzip\r\n",
    ];
    for headers in lies {
        let mut connection = quiet.begin(&object, headers).await;
        // It may have been refused already.
        let _ = connection.send_bytes(&object.bytes).await;
        connection.finish_sending().await;
        let answer = connection.read_to_end().await;
        let is_refused = answer.starts_with(b"HTTP/1.1 4") || answer.starts_with(b"HTTP/1.1 501");
        assert!(is_refused, "{headers:?}: {}", String::from_utf8_lossy(&answer));
    }
    quiet.assert_still().await;
}

#[tokio::test]
async fn chunks_are_an_upload_like_any_other() {
    let quiet = Quiet::start().await;
    let object = blob(noise(1, 300_000));
    let path = format!("{}data/{}", quiet.repo.path, object.name);
    let chunks: Vec<&[u8]> = object.bytes.chunks(7919).collect();
    let answer = quiet.repo.port.connect().await.request_in_chunks("POST", &path, &chunks).await;
    assert_eq!(answer.parts(), (200, ""));
    assert!(quiet.repo.get(&format!("data/{}", object.name)).await.body == object.bytes);
}

#[tokio::test]
async fn chunks_may_not_pass_limits_either() {
    for (limit, status) in [("max_object_bytes = 100000", 413), ("max_bytes = 100000", 507)] {
        let quiet = Quiet::with(Setup::default().config(&format!("[restic]\n{limit}"))).await;
        let object = blob(noise(1, 3_000_000));
        let path = format!("{}data/{}", quiet.repo.path, object.name);
        let chunks: Vec<&[u8]> = object.bytes.chunks(65_536).collect();
        let answer = quiet.repo.port.connect().await.request_in_chunks("POST", &path, &chunks).await;
        assert_refused(&answer, status);
        quiet.assert_still().await;
    }
}

#[tokio::test]
async fn slow_uploads_stop_nobody_else_and_leave_nothing() {
    let quiet = Quiet::start().await;
    let mut slow = Vec::new();
    for number in 0..200 {
        let object = blob(noise(number, 100_000));
        let mut connection = quiet.begin(&object, "Content-Length: 100000\r\n").await;
        connection.send_bytes(&object.bytes[..10]).await.expect("the server reads");
        slow.push(connection);
    }
    for _ in 0..200 {
        let mut connection = quiet.repo.port.connect().await;
        connection.send_bytes(b"GET / HTTP/1.1\r\nHos").await.expect("the server reads");
        slow.push(connection);
    }

    let object = blob("quick");
    quiet.repo.store("keys", &object).await;
    assert_eq!(quiet.repo.names("data").await, [blob("there before").name]);

    drop(slow);
    quiet.assert_still().await;
}

#[tokio::test]
async fn who_goes_away_in_the_middle_of_a_download_costs_nothing() {
    let quiet = Quiet::start().await;
    let object = blob(noise(1, 20_000_000));
    let path = format!("keys/{}", object.name);
    quiet.repo.store("keys", &object).await;
    for _ in 0..20 {
        let mut connection = quiet.repo.port.connect().await;
        let head = format!("GET {}{path} HTTP/1.1\r\nHost: steward\r\n\r\n", quiet.repo.path);
        connection.send_bytes(head.as_bytes()).await.expect("the server reads");
        assert_eq!(connection.read_head().await.status, 200);
        drop(connection);
    }
    quiet.assert_still().await;
}

#[tokio::test]
async fn an_upload_is_not_hurt_by_a_deletion_of_what_it_brings() {
    let quiet = Quiet::start().await;
    let object = blob(noise(1, 1000));
    let mut connection = quiet.begin(&object, "Content-Length: 1000\r\n").await;
    connection.send_bytes(&object.bytes[..500]).await.expect("the server reads");
    assert_eq!(quiet.repo.delete(&format!("data/{}", object.name)).await.status, 200);
    connection.send_bytes(&object.bytes[500..]).await.expect("the server reads");

    assert_eq!(connection.answer("POST").await.status, 200);

    assert!(quiet.repo.get(&format!("data/{}", object.name)).await.body == object.bytes);
}

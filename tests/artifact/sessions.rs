//! Uploads that break off, are slow, are many, or outlive the server.

use crate::common::http::{Answer, HttpPort, head};
use crate::common::wait::eventually;
use crate::layout::digest;
use crate::registry::Registry;

const UPLOADS: &str = "/v2/p1/img/app/blobs/uploads/";
const MEBIBYTE: usize = 1 << 20;

async fn begin(http: HttpPort) -> String {
    let answer = http.request("POST", UPLOADS, &[], b"").await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.header("location").expect("a location").to_owned()
}

async fn send(http: HttpPort, location: &str, content: &[u8], from: usize, to: usize) -> Answer {
    let range = format!("{from}-{}", to - 1);
    http.request("PATCH", location, &[("Content-Range", &range)], &content[from..to]).await
}

/// How many bytes of an upload there are, if it has any.
async fn reached(http: HttpPort, location: &str) -> usize {
    let answer = http.request("GET", location, &[], b"").await;
    assert_eq!(answer.status, 204, "{location}");
    let range = answer.header("range").expect("a range");
    range.strip_prefix("0-").expect("it starts at zero").parse::<usize>().expect("a number") + 1
}

async fn finish(http: HttpPort, location: &str, content: &[u8]) {
    let path = format!("{location}?digest={}", digest(content));
    let answer = http.request("PUT", &path, &[("Content-Length", "0")], b"").await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let read = http.get(answer.header("location").expect("a location")).await;
    assert!(read.status == 200 && read.body == content, "what is there is what was sent");
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position * position % 251).to_le_bytes()[0]).collect()
}

/// Sends the head and a part of a `PATCH`, and leaves the rest out.
async fn break_off(http: HttpPort, location: &str, content: &[u8], sent: usize) -> crate::common::http::Connection {
    let mut connection = http.connect().await;
    let length = content.len().to_string();
    let head = head("PATCH", location, &[("Content-Length", &length)]);
    connection.send_bytes(head.as_bytes()).await.expect("a head is taken");
    connection.send_bytes(&content[..sent]).await.expect("bytes are taken");
    connection
}

#[tokio::test]
async fn an_upload_goes_on_after_the_server_was_killed() {
    let mut registry = Registry::start().await;
    let http = registry.http();
    let content = content(7 * MEBIBYTE);
    let location = begin(http).await;
    let answer = send(http, &location, &content, 0, 3 * MEBIBYTE).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    // Then in the middle of a chunk.
    let connection = break_off(http, &location, &content[3 * MEBIBYTE..], 2 * MEBIBYTE).await;
    registry.server().kill9().await;
    drop(connection);
    registry.server().restart().await;

    let reached = reached(http, &location).await;
    assert!((3 * MEBIBYTE..=5 * MEBIBYTE).contains(&reached), "{reached}");
    let answer = send(http, &location, &content, reached, content.len()).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    finish(http, &location, &content).await;
}

#[tokio::test]
async fn an_upload_that_broke_off_goes_on_where_it_ended() {
    let registry = Registry::start().await;
    let http = registry.http();
    let content = content(2 * MEBIBYTE);
    let location = begin(http).await;
    drop(break_off(http, &location, &content, MEBIBYTE).await);
    eventually("it goes on", || async {
        let reached = http.request("GET", &location, &[], b"").await;
        let range = reached.header("range").expect("a range").to_owned();
        // Without bytes it says the same as with one.
        let from = if range == "0-0" { 0 } else { range[2..].parse::<usize>().expect("a number") + 1 };
        let answer = send(http, &location, &content, from, content.len()).await;
        // Until it is known that nobody sends any more, there is somebody who does.
        let is_refused = [409, 416, 429, 503].contains(&answer.status);
        assert!(answer.status == 202 || is_refused, "{} {}", answer.status, answer.text());
        (answer.status == 202).then_some(())
    })
    .await;
    finish(http, &location, &content).await;
}

#[tokio::test]
async fn a_slow_upload_is_in_nobodys_way() {
    let registry = Registry::start().await;
    let http = registry.http();
    let content = content(10_000);
    let slow = begin(http).await;
    let mut connection = break_off(http, &slow, &content, 1).await;
    // Who writes to the same one is told so at once, if its first bytes have arrived.
    eventually("it is written to", || async {
        let answer = http.request("PATCH", &slow, &[("Content-Range", "5000-5000")], b"x").await;
        assert!(answer.status >= 400, "{}", answer.status);
        (answer.status != 416).then_some(())
    })
    .await;
    let other = begin(http).await;
    assert_eq!(send(http, &other, &content, 0, content.len()).await.status, 202);
    finish(http, &other, &content).await;
    for byte in &content[1..10] {
        connection.send_bytes(&[*byte]).await.expect("a byte is taken");
    }
    connection.send_bytes(&content[10..]).await.expect("bytes are taken");
    let answer = connection.answer("PATCH").await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    finish(http, &slow, &content).await;
}

#[tokio::test]
async fn as_many_uploads_are_open_as_may_be() {
    const ASKED: usize = 10_000;
    const MAY_BE: usize = 4096;
    let mut registry = Registry::start().await;
    let http = registry.http();
    let before = registry.server().resident_bytes();
    let mut connection = http.connect().await;
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..ASKED {
        let answer = connection.request("POST", UPLOADS, &[], b"").await;
        if answer.status == 202 {
            open.push(answer.header("location").expect("a location").to_owned());
            continue;
        }
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert!(answer.header("retry-after").is_some() && answer.text().contains("TOOMANYREQUESTS"));
        refused += 1;
    }
    assert_eq!((open.len(), refused), (MAY_BE, ASKED - MAY_BE));
    let grown = registry.server().resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for uploads without any");
    // Still after a restart; and what one gives up, another gets.
    registry.server().restart().await;
    assert_eq!(http.request("POST", UPLOADS, &[], b"").await.status, 429);
    assert_eq!(http.request("DELETE", &open[0], &[], b"").await.status, 204);
    finish(http, &begin(http).await, b"").await;
}

#[tokio::test]
async fn lies_about_lengths_leave_nothing_wrong() {
    let registry = Registry::start().await;
    let http = registry.http();
    for (range, length) in [("0-99", "5"), ("0-4", "100")] {
        let location = begin(http).await;
        let mut connection = http.connect().await;
        let head = head("PATCH", &location, &[("Content-Range", range), ("Content-Length", length)]);
        connection.send_bytes(head.as_bytes()).await.expect("a head is taken");
        connection.send_bytes(b"12345").await.expect("bytes are taken");
        connection.finish_sending().await;
        assert_eq!(connection.answer("PATCH").await.status, 400, "{range} in {length} bytes");
    }
    // More than there may ever be is refused before a byte of it is taken.
    let location = begin(http).await;
    let mut connection = http.connect().await;
    let head = head("PATCH", &location, &[("Content-Length", &(1u64 << 50).to_string())]);
    connection.send_bytes(head.as_bytes()).await.expect("a head is taken");
    assert_eq!(connection.answer("PATCH").await.status, 413);
    assert_eq!(http.get("/v2/").await.status, 200, "it lives on");
}

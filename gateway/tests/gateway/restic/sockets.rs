//! What only a real connection shows: lengths, aborts, refusals that are read, bodies that are held back.

use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use steward_gateway::Options;
use steward_proto::restic::v1::download_response::Part;
use steward_proto::restic::v1::{DownloadStart, Object};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use super::fake::{Fake, Script, Uploads};
use super::{NAME, refusal};

const HEAD: &str = "HEAD /config HTTP/1.1\r\nHost: steward\r\n\r\n";
/// Long enough for what came before to be on its way.
const DELAY: Duration = Duration::from_millis(20);
const BODY: usize = 64 * 1024 * 1024;

async fn connect(router: Router) -> TcpStream {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    TcpStream::connect(address).await.unwrap()
}

/// The head of an answer, without the date.
async fn head(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        text.push(char::from(stream.read_u8().await.unwrap()));
    }
    text.split_inclusive("\r\n").filter(|line| !line.starts_with("date:")).collect()
}

async fn body(stream: &mut TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

fn post(headers: &str) -> String {
    format!("POST /data/{NAME} HTTP/1.1\r\nHost: steward\r\n{headers}\r\n")
}

fn refusing() -> Fake {
    let status = refusal(Code::ResourceExhausted, "QUOTA_EXCEEDED", "no room");
    Fake::new(Script { uploads: Uploads::Refuse(status), ..Script::default() })
}

const NO_ROOM: &str =
    "HTTP/1.1 507 Insufficient Storage\r\ncontent-type: application/json\r\ncontent-length: 19\r\n\r\n";

#[tokio::test]
async fn head_has_the_length_of_the_object_and_no_server() {
    let mut stream = connect(Fake::new(Script::default()).alone()).await;
    for _ in 0..2 {
        stream.write_all(HEAD.as_bytes()).await.unwrap();
        let expected = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 1000\r\n\r\n";
        assert_eq!(head(&mut stream).await, expected);
    }
}

#[tokio::test]
async fn client_that_writes_before_it_reads_still_reads_the_refusal() {
    let mut stream = connect(refusing().alone()).await;
    for _ in 0..2 {
        stream.write_all(post(&format!("Content-Length: {BODY}\r\n")).as_bytes()).await.unwrap();
        stream.write_all(&vec![0; BODY]).await.unwrap();
        assert_eq!(head(&mut stream).await, NO_ROOM);
        assert_eq!(body(&mut stream, 19).await, r#"{"error":"no room"}"#);
    }
}

#[tokio::test]
async fn refusal_is_read_at_once_by_a_client_that_looks_for_it() {
    let mut stream = connect(refusing().alone()).await;
    stream.write_all(post(&format!("Content-Length: {BODY}\r\n")).as_bytes()).await.unwrap();
    assert_eq!(head(&mut stream).await, NO_ROOM);
}

#[tokio::test]
async fn announced_length_over_the_cap_is_refused_and_the_connection_closed_behind_it() {
    let options = Options { max_upload_bytes: 1024 * 1024, ..Options::default() };
    let mut stream = connect(Fake::new(Script::default()).alone_with(options)).await;
    stream.write_all(post("Content-Length: 2000000\r\n").as_bytes()).await.unwrap();
    // All but what is over the limit of what is thrown away.
    stream.write_all(&vec![0; 1_000_000]).await.unwrap();
    let answer = head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    stream.write_all(&vec![0; 100_000]).await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.expect("the connection is closed");
}

#[tokio::test]
async fn body_that_is_held_back_is_asked_for_only_when_it_is_wanted() {
    let headers = format!("Expect: 100-continue\r\nContent-Length: {BODY}\r\n");
    let mut stream = connect(refusing().alone()).await;
    stream.write_all(post(&headers).as_bytes()).await.unwrap();
    let answer = head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 507 "), "{answer}");
    // A client that sends it all the same must not have it taken for a request.
    assert!(answer.contains("connection: close\r\n"), "{answer}");

    let fake = Fake::new(Script::default());
    let mut stream = connect(fake.alone()).await;
    stream.write_all(post("Expect: 100-continue\r\nContent-Length: 3\r\n").as_bytes()).await.unwrap();
    assert_eq!(head(&mut stream).await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abc").await.unwrap();
    assert_eq!(head(&mut stream).await, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(fake.asked(|asked| asked.uploads[0].finish), Some(3));
}

#[tokio::test]
async fn client_that_closes_in_the_middle_leaves_no_finish() {
    for framing in ["Content-Length: 100000\r\n", "Transfer-Encoding: chunked\r\n"] {
        let fake = Fake::new(Script::default());
        let mut stream = connect(fake.alone()).await;
        stream.write_all(post(framing).as_bytes()).await.unwrap();
        stream.write_all(b"3\r\nabc\r\n").await.unwrap();
        while fake.asked(|asked| asked.uploads.first().is_none_or(|upload| upload.content.is_empty())) {
            sleep(Duration::from_millis(1)).await;
        }
        drop(stream);
        while fake.asked(|asked| asked.ended_uploads) == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(fake.asked(|asked| asked.uploads[0].finish), None, "{framing}");
    }
}

#[tokio::test]
async fn stream_that_is_reset_leaves_no_finish_whatever_the_reset_says() {
    for reason in [h2::Reason::NO_ERROR, h2::Reason::CANCEL] {
        let fake = Fake::new(Script::default());
        let (mut client, connection) = h2::client::handshake(connect(fake.alone()).await).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::post("http://steward/config").body(()).unwrap();
        let (_response, mut body) = client.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"abc"), false).unwrap();
        while fake.asked(|asked| asked.uploads.first().is_none_or(|upload| upload.content.is_empty())) {
            sleep(Duration::from_millis(1)).await;
        }
        body.send_reset(reason);
        while fake.asked(|asked| asked.ended_uploads) == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(fake.asked(|asked| asked.uploads[0].finish), None, "{reason}");
    }
}

#[tokio::test]
async fn stream_that_ends_is_finished() {
    let fake = Fake::new(Script::default());
    let (mut client, connection) = h2::client::handshake(connect(fake.alone()).await).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post("http://steward/config").body(()).unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"abc"), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    assert_eq!(fake.asked(|asked| asked.uploads[0].finish), Some(3));
}

#[tokio::test]
async fn download_that_breaks_off_cuts_the_connection() {
    let start = DownloadStart { object: Some(Object { size: 10, ..Object::default() }), first: 0, length: 10 };
    let sent = Ok(Part::Chunk(Bytes::from_static(b"01234")));
    let nothing = Ok(Part::Chunk(Bytes::new()));
    for end in [nothing, Err(Status::unavailable("gone"))] {
        let parts = vec![Ok(Part::Start(start.clone())), sent.clone(), end];
        let mut stream = connect(Fake::new(Script { parts, delay: DELAY, ..Script::default() }).alone()).await;
        stream.write_all(b"GET /config HTTP/1.1\r\nHost: steward\r\n\r\n").await.unwrap();
        let answer = head(&mut stream).await;
        assert!(answer.contains("content-length: 10\r\n"), "{answer}");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert_eq!(rest, b"01234");
    }
}

#[tokio::test]
async fn list_that_breaks_off_has_no_last_chunk() {
    let batch = (0..2000).map(|number| (format!("{number:064x}"), 5)).collect();
    let batches = vec![Ok(batch), Err(Status::unavailable("gone"))];
    let mut stream = connect(Fake::new(Script { batches, delay: DELAY, ..Script::default() }).alone()).await;
    stream.write_all(b"GET /data/ HTTP/1.1\r\nHost: steward\r\n\r\n").await.unwrap();
    let answer = head(&mut stream).await;
    assert!(answer.contains("transfer-encoding: chunked\r\n"), "{answer}");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"));
}

//! The abort of an event stream, as a client sees it on a real socket.

use std::net::SocketAddr;

use axum::Router;
use steward_gateway::Options;
use steward_proto::lock::v1::watch_response::Update;
use steward_proto::lock::v1::{Completion, Lock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::fake::{Fake, Updates};

const REQUEST: &[u8] = b"GET /lock/subscribe?type=t&resource_id=r HTTP/1.1\r\nHost: steward\r\n\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Subscribes, waits for the headers, has one event sent and waits for that.
async fn subscribe(router: Router, updates: &Updates) -> TcpStream {
    let mut stream = TcpStream::connect(serve(router).await).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    let headers = read_until(&mut stream, "\r\n\r\n").await;
    assert!(headers.starts_with("HTTP/1.1 200 OK\r\n"), "{headers}");
    assert!(headers.contains("connection: keep-alive\r\n"), "{headers}");

    let lock = Lock { completion: Some(Completion::default()), ..Lock::default() };
    updates.send(Update::Snapshot(lock));
    let event = read_until(&mut stream, "\n\n\r\n").await;
    assert!(event.contains("data: {\"type\":\"t\",\"resource_id\":\"r\","), "{event}");
    stream
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        text.push(char::from(stream.read_u8().await.unwrap()));
    }
    text
}

/// Reads on until the connection is cut (a reset is as good as an end) or the body ends cleanly.
async fn is_cut(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    while !rest.ends_with(LAST_CHUNK) {
        let Ok(1..) = stream.read_buf(&mut rest).await else { return true };
    }
    false
}

#[tokio::test]
async fn shutdown_cuts_the_connection_without_a_last_chunk() {
    let shutdown = CancellationToken::new();
    let (fake, updates) = Fake::watched();
    let stream = subscribe(fake.router_with(Options::default(), shutdown.clone()), &updates).await;
    shutdown.cancel();
    assert!(is_cut(stream).await);
}

#[tokio::test]
async fn broken_watch_cuts_the_connection_without_a_last_chunk() {
    let (fake, updates) = Fake::watched();
    let stream = subscribe(fake.router(), &updates).await;
    updates.break_off();
    assert!(is_cut(stream).await);
}

#[tokio::test]
async fn ended_watch_cuts_the_connection_without_a_last_chunk() {
    let (fake, updates) = Fake::watched();
    let stream = subscribe(fake.router(), &updates).await;
    drop(updates);
    assert!(is_cut(stream).await);
}

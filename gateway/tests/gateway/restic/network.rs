//! The same over a network channel, where a call is a stream of its own that can outlive the request.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{iter, once, pending, try_unfold};
use steward_gateway::{Options, restic_router};
use steward_proto::restic::v1::DownloadStart;
use steward_proto::restic::v1::Object;
use steward_proto::restic::v1::download_response::Part;
use steward_proto::restic::v1::object_service_server::ObjectServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::{Endpoint, Server};

use super::fake::{Fake, Script, Uploads};
use super::{NAME, ask, empty, error, refusal, send, written};

async fn over_network(fake: Fake) -> Router {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    let connections = try_unfold(listener, async |listener| {
        let (connection, _) = listener.accept().await?;
        Ok::<_, std::io::Error>(Some((connection, listener)))
    });
    let service = ObjectServiceServer::new(fake);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(connections));
    let channel = Endpoint::from_shared(upstream).unwrap().connect_lazy();
    restic_router(channel, Options::default(), CancellationToken::new())
}

fn path() -> String {
    format!("/data/{NAME}")
}

async fn is_rid_of_the_upload(fake: &Fake) {
    while fake.asked(|asked| asked.ended_uploads) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn long_objects_pass_both_ways() {
    let chunk = Bytes::from(vec![7; 256 * 1024]);
    let length = 40 * 256 * 1024;
    let start = DownloadStart { object: Some(Object { size: length, ..Object::default() }), first: 0, length };
    let mut parts = vec![Ok(Part::Start(start))];
    parts.extend((0..40).map(|_| Ok(Part::Chunk(chunk.clone()))));
    let fake = Fake::new(Script { parts, ..Script::default() });
    let router = over_network(fake.clone()).await;

    let content = vec![7; usize::try_from(length).unwrap()];
    let stored = send(&router, "POST", &path(), &[], content.clone()).await;
    assert_eq!(written(stored).await, empty(200));
    assert!(fake.asked(|asked| asked.uploads[0].content == content));
    assert_eq!(fake.asked(|asked| asked.uploads[0].finish), Some(length));

    let read = ask(&router, "GET", &path(), &[]).await;
    assert!(read.ends_with(std::str::from_utf8(&content).unwrap()));
}

#[tokio::test]
async fn refusal_comes_through() {
    let status = refusal(Code::ResourceExhausted, "DISK_FULL", "no room");
    let fake = Fake::new(Script { uploads: Uploads::Refuse(status), ..Script::default() });
    let router = over_network(fake).await;
    for length in [0, 1, 10_000_000] {
        let refused = send(&router, "POST", &path(), &[], vec![0; length]).await;
        assert_eq!(written(refused).await, error(507, "no room"), "{length}");
    }
}

#[tokio::test]
async fn body_that_breaks_off_is_not_finished() {
    let fake = Fake::new(Script::default());
    let router = over_network(fake.clone()).await;
    let frames = iter(0..100).map(|_| Ok(Bytes::from(vec![0; 100_000])));
    let body = frames.chain(once(async { Err(std::io::Error::other("reset")) }));
    let answer = send(&router, "POST", &path(), &[], Body::from_stream(body)).await;
    assert_eq!(answer.status(), 400);
    is_rid_of_the_upload(&fake).await;
    assert_eq!(fake.asked(|asked| asked.uploads[0].finish), None);
}

#[tokio::test]
async fn client_that_goes_away_takes_the_call_with_it() {
    for uploads in [Uploads::Store, Uploads::Stall] {
        let fake = Fake::new(Script { uploads, ..Script::default() });
        let router = over_network(fake.clone()).await;
        let frames = iter(0..100).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![0; 1000])));
        let (path, body) = (path(), Body::from_stream(frames.chain(pending())));
        let request = send(&router, "POST", &path, &[], body);
        tokio::time::timeout(Duration::from_millis(100), request).await.unwrap_err();
        is_rid_of_the_upload(&fake).await;
        assert_eq!(fake.asked(|asked| asked.uploads[0].finish), None);
    }
}

#[tokio::test]
async fn unreachable_service_is_unavailable() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let channel = Endpoint::from_shared(upstream).unwrap().connect_lazy();
    let router = restic_router(channel, Options::default(), CancellationToken::new());
    for method in ["GET", "POST", "DELETE"] {
        let answer = send(&router, method, &path(), &[], vec![0; 1000]).await;
        assert_eq!(answer.status(), 503, "{method}");
        assert_eq!(answer.headers()["retry-after"], "1");
    }
}

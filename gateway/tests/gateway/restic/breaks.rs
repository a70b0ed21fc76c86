//! `POST` of objects that never comes to its end: nothing may look as if it did.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{BoxStream, iter, once, pending, unfold};
use http::{Request, Version};
use steward_gateway::Options;
use tower::ServiceExt;

use super::fake::{Fake, Received, Script, Uploads};
use super::{NAME, error, error_with, send, written};

type Frames = BoxStream<'static, io::Result<Bytes>>;

fn frames(count: usize) -> Frames {
    iter(0..count).map(|_| Ok(Bytes::from_static(b"0123456789"))).boxed()
}

async fn post(fake: &Fake, headers: &[&str], body: Frames) -> String {
    let path = format!("/data/{NAME}");
    written(send(&fake.alone(), "POST", &path, headers, Body::from_stream(body)).await).await
}

/// Waits until the service is rid of the upload.
async fn received(fake: &Fake) -> Received {
    while fake.asked(|asked| asked.ended_uploads) == 0 {
        tokio::task::yield_now().await;
    }
    fake.asked(|asked| asked.uploads[0].clone())
}

#[tokio::test]
async fn body_that_breaks_off_is_not_finished() {
    for (count, is_direct) in [0, 1, 5, 500].into_iter().flat_map(|count| [(count, false), (count, true)]) {
        let fake = Fake::new(Script { is_direct, ..Script::default() });
        let body = frames(count).chain(once(async { Err(io::Error::other("reset")) })).boxed();
        let expected = error_with(400, "connection: close\n", "body broke off", "");
        assert_eq!(post(&fake, &[], body).await, expected);
        assert_eq!(received(&fake).await.finish, None);
    }
}

#[tokio::test]
async fn body_that_is_not_as_long_as_announced_is_not_finished() {
    for (announced, is_direct) in [49, 51, 1_000_000].into_iter().flat_map(|size| [(size, false), (size, true)]) {
        let fake = Fake::new(Script { is_direct, ..Script::default() });
        let answer = post(&fake, &[&format!("Content-Length: {announced}")], frames(5)).await;
        let expected = error_with(400, "connection: close\n", "body is not as long as announced", "");
        assert_eq!(answer, expected);
        assert_eq!(received(&fake).await.finish, None);
    }
}

#[tokio::test(start_paused = true)]
async fn body_that_brings_nothing_for_too_long_is_given_up() {
    for is_direct in [false, true] {
        let fake = Fake::new(Script { is_direct, ..Script::default() });
        let expected = error_with(408, "connection: close\n", "no more of the body came", "");
        assert_eq!(post(&fake, &[], frames(3).chain(pending()).boxed()).await, expected);
        assert_eq!(received(&fake).await.finish, None);
    }
}

#[tokio::test(start_paused = true)]
async fn body_that_brings_a_little_now_and_then_is_not_given_up() {
    let fake = Fake::new(Script::default());
    let slow = iter(0..100).then(|_| async {
        tokio::time::sleep(Duration::from_secs(59)).await;
        Ok(Bytes::from_static(&[0; 16 * 1024]))
    });
    assert!(post(&fake, &[], slow.boxed()).await.starts_with("200\n"));
    assert_eq!(received(&fake).await.finish, Some(100 * 16 * 1024));
}

#[tokio::test(start_paused = true)]
async fn client_that_goes_away_takes_the_call_with_it() {
    for (uploads, is_direct) in
        [(Uploads::Store, false), (Uploads::Store, true), (Uploads::Stall, false), (Uploads::Stall, true)]
    {
        let fake = Fake::new(Script { uploads, is_direct, ..Script::default() });
        let request = post(&fake, &[], frames(100).chain(pending()).boxed());
        // What the server of the connection does when it is lost.
        tokio::time::timeout(Duration::from_secs(1), request).await.unwrap_err();
        assert_eq!(received(&fake).await.finish, None);
    }
}

#[tokio::test(start_paused = true)]
async fn service_that_reads_nothing_lets_no_more_than_a_mebibyte_in() {
    for is_direct in [false, true] {
        let fake = Fake::new(Script { uploads: Uploads::Stall, is_direct, ..Script::default() });
        let read = Arc::new(Mutex::new(0));
        let count = Arc::clone(&read);
        let body = iter(0..1000).map(move |_| {
            *count.lock().unwrap() += 1;
            Ok(Bytes::from(vec![0; 64 * 1024]))
        });
        tokio::time::timeout(Duration::from_secs(1), post(&fake, &[], body.boxed())).await.unwrap_err();
        assert!(*read.lock().unwrap() <= 16, "{}", read.lock().unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn idle_time_is_an_option() {
    let fake = Fake::new(Script::default());
    let options = Options { body_idle_timeout: Duration::from_millis(10), ..Options::default() };
    let start = tokio::time::Instant::now();
    let body = Body::from_stream(pending::<io::Result<Bytes>>());
    let response = send(&fake.alone_with(options), "POST", "/config", &[], body).await;
    assert_eq!(response.status(), 408);
    assert!(start.elapsed() < Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn upload_that_trickles_is_given_up() {
    let start = tokio::time::Instant::now();
    let trickle = unfold((), async |()| {
        tokio::time::sleep(Duration::from_secs(50)).await;
        Some((Ok::<_, io::Error>(Bytes::from_static(b"a")), ()))
    });
    let fake = Fake::new(Script::default());
    let response = send(&fake.alone(), "POST", "/config", &[], Body::from_stream(trickle)).await;
    assert_eq!(response.status(), 408);
    assert_eq!(start.elapsed().as_secs(), 300);
}

#[tokio::test]
async fn stream_of_a_shared_connection_closes_nothing_else() {
    let body = Body::from_stream(once(async { Err::<Bytes, _>(io::Error::other("reset")) }));
    let request = Request::post("/config").version(Version::HTTP_2).body(body).unwrap();
    let response = Fake::new(Script::default()).alone().oneshot(request).await.unwrap();
    assert_eq!(written(response).await, error(400, "body broke off"));
}

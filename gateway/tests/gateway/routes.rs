//! What is common to all routes: paths, methods, malformed and oversized bodies.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures::future::ready;
use futures::stream::{once, repeat_with};
use http::Method;
use steward_proto::lock::v1::{AcquireResponse, AcquireStatus};

use crate::fake::{Fake, Script};
use crate::http::{get, plain, post, send, written};

const LIMIT: usize = 64 * 1024;
const METHODS: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
    Method::OPTIONS,
    Method::TRACE,
];

fn skipping() -> Fake {
    let status = AcquireStatus::Skipped.into();
    Fake::new(Script { acquire: Ok(AcquireResponse { status, ..AcquireResponse::default() }), ..Script::default() })
}

/// A valid request that is as long as asked for.
fn padded(length: usize) -> String {
    let mut body = r#"{"type":"t","resource_id":"r","node_id":"A"}"#.to_owned();
    body.push_str(&" ".repeat(length - body.len()));
    body
}

#[tokio::test]
async fn unknown_paths_are_the_404_of_go() {
    let router = Fake::new(Script::default()).router();
    for path in [
        "/lock/",
        "/LOCK",
        "/Lock",
        "/unlock/",
        "/lock/status/",
        "/lock/Status",
        "/lock/subscribe/",
        "/lock/x",
        "/locked",
        "//lock",
        "/infer",
        "/infer/",
        "/infer/lock/",
        "/Infer/lock",
        "/infer/infer/lock",
    ] {
        assert_eq!(get(&router, path).await, plain(404, "404 page not found"), "{path}");
        assert_eq!(post(&router, path, "{}").await, plain(404, "404 page not found"), "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_refused_without_a_body() {
    let router = Fake::new(Script::default()).router();
    for (path, allow) in
        [("/lock", "POST"), ("/unlock", "POST"), ("/lock/status", "GET, POST"), ("/lock/subscribe", "GET")]
    {
        let allowed: Vec<&str> = allow.split(", ").collect();
        for method in METHODS.iter().filter(|method| !allowed.contains(&method.as_str())) {
            for path in [path.to_owned(), format!("/infer{path}")] {
                let answer = written(send(&router, method.clone(), &path, "").await).await;
                assert_eq!(answer, format!("405\nallow: {allow}\n\n"), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn malformed_bodies_are_refused_before_anything_else() {
    let router = Fake::new(Script::default()).router();
    for path in ["/lock", "/unlock", "/lock/status", "/infer/lock", "/infer/unlock", "/infer/lock/status"] {
        for body in ["", "{", "[]", "\"pull\"", "12", r#"{"type":1}"#, r#"{"type":"t","resource_id":"r""#] {
            assert_eq!(post(&router, path, body).await, plain(400, "无效的请求格式"), "{path} {body}");
        }
    }
    assert_eq!(post(&router, "/lock", r#"{"ttl_seconds":-1}"#).await, plain(400, "无效的请求格式"));
    assert_eq!(post(&router, "/unlock", r#"{"success":"true"}"#).await, plain(400, "无效的请求格式"));
}

#[tokio::test]
async fn missing_parameters_are_told() {
    let router = Fake::new(Script::default()).router();
    for path in ["/lock", "/unlock", "/infer/lock", "/infer/unlock"] {
        for body in [
            "{}",
            "null",
            r#"{"type":"t","resource_id":"r"}"#,
            r#"{"type":"t","node_id":"A"}"#,
            r#"{"resource_id":"r","node_id":"A","success":true}"#,
            r#"{"type":"","resource_id":"r","node_id":"A"}"#,
            r#"{"type":"t","resource_id":null,"node_id":"A"}"#,
        ] {
            assert_eq!(post(&router, path, body).await, plain(400, "缺少必要参数"), "{path} {body}");
        }
    }
}

#[tokio::test]
async fn body_of_64_kib_is_read_and_a_longer_one_is_refused() {
    let router = skipping().router();
    assert!(post(&router, "/lock", padded(LIMIT)).await.starts_with("200\n"));
    for length in [LIMIT + 1, 3 * LIMIT, 64 * LIMIT] {
        let answer = post(&router, "/lock", padded(length)).await;
        assert_eq!(answer, plain(413, "请求体过大，最多 64 KiB"), "{length}");
    }
}

#[tokio::test]
async fn endless_body_is_refused() {
    let endless = repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(&[b' '; 1024])));
    let answer = post(&skipping().router(), "/lock", Body::from_stream(endless)).await;
    assert_eq!(answer, plain(413, "请求体过大，最多 64 KiB"));
}

#[tokio::test]
async fn body_that_breaks_off_is_malformed() {
    let broken = once(ready(Err::<Bytes, _>(io::Error::other("reset"))));
    let answer = post(&skipping().router(), "/unlock", Body::from_stream(broken)).await;
    assert_eq!(answer, plain(400, "无效的请求格式"));
}

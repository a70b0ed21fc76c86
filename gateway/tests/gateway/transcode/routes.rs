//! What is common to all routes: paths, methods, bodies, and what browsers ask.

use axum::body::Body;
use bytes::Bytes;
use futures::future::ready;
use futures::stream::once;
use http::header::HeaderValue;
use steward_gateway::{Options, TranscodeOptions};
use steward_proto::transcode::v1::*;
use tokio_util::sync::CancellationToken;

use super::fake::Fake;
use super::{UUID, answer, ask, error, read, send};

const WITH_BODIES: [(&str, &str); 6] = [
    ("POST", "/api/v1/workers"),
    ("PUT", "/api/v1/workers/1"),
    ("POST", "/api/v1/workers/heartbeat"),
    ("POST", "/api/v1/workers/1/offline"),
    ("POST", "/api/v1/tasks"),
    ("POST", "/api/v1/logs"),
];

#[tokio::test]
async fn unknown_paths_are_404_as_json() {
    let router = Fake::default().router();
    for path in [
        "/api",
        "/api/",
        "/api/x",
        "/api/v1",
        "/api/v1/",
        "/api/v1/nothing",
        "/api/v1/workers/",
        "/api/v1/workers/abc",
        "/api/v1/workers/-1",
        "/api/v1/workers/1.5",
        "/api/v1/workers/1/",
        "/api/v1/workers/%FF",
        "/api/v1/workers/1/x",
        "/api/v1/Workers",
        "/api/v1/tasks/",
        "/api/v1/tasks/a/b",
        "/api/v1/videos/abc",
        "/api/v1/logs/1",
        "/api/v1/stream/source/",
        "/api/v2/tasks",
        "/api/v3/workers",
        "/api//v1/workers",
    ] {
        assert_eq!(ask(&router, "GET", path, "").await, error(404, "接口不存在"), "{path}");
    }
    for (method, path) in [("DELETE", "/api/v1/workers/abc"), ("POST", "/api/v1/workers/x/offline"), ("POST", "/api/x")]
    {
        assert_eq!(ask(&router, method, path, "{}").await, error(404, "接口不存在"), "{method} {path}");
    }
}

#[tokio::test]
async fn other_methods_are_405_as_json_with_those_that_are_allowed() {
    let router = Fake::default().router();
    for (path, allowed) in [
        ("/api/v1/workers", "GET,HEAD,POST"),
        ("/api/v1/workers/stats", "GET,HEAD"),
        ("/api/v1/workers/heartbeat", "POST"),
        ("/api/v1/workers/1", "GET,HEAD,PUT,DELETE"),
        ("/api/v1/workers/1/offline", "POST,DELETE"),
        ("/api/v1/tasks", "GET,HEAD,POST"),
        ("/api/v1/tasks/stats", "GET,HEAD"),
        ("/api/v1/tasks/x", "GET,HEAD,PATCH"),
        ("/api/v1/videos", "GET,HEAD"),
        ("/api/v1/videos/1", "GET,HEAD"),
        ("/api/v1/logs", "GET,HEAD,POST"),
        ("/api/v1/stream/source/x", "GET,HEAD"),
        ("/api/v1/stream/result/x", "PUT,GET,HEAD"),
        ("/api/v2/events", "GET,HEAD"),
        ("/api/v2/tasks/x/cancel", "POST"),
        ("/api/v2/tasks/x/retry", "POST"),
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"] {
            if !allowed.split(',').any(|allowed| allowed == method) {
                let response = send(&router, method, path, &[], "").await;
                assert_eq!(response.headers()["allow"], allowed, "{method} {path}");
                assert_eq!(response.headers()["access-control-allow-origin"], "*", "{method} {path}");
                assert_eq!(read(response).await, error(405, "请求方法不允许"), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn bodies_that_are_no_object_are_refused_before_anything_else() {
    let router = Fake::default().router();
    let deep = "[".repeat(100_000);
    let deeper = format!(r#"{{"a":{}"#, r#"{"a":"#.repeat(100_000));
    for (method, path) in WITH_BODIES {
        for body in ["", "null", "[]", "7", "\"x\"", "{", "{}x", "{\"a\":nan}", "worker_id=1", &deep, &deeper] {
            let answered = ask(&router, method, path, body.to_owned()).await;
            assert_eq!(answered, error(400, "请求体不是有效的JSON"), "{method} {path}");
        }
        let answered = ask(&router, method, path, vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}']).await;
        assert_eq!(answered, error(400, "请求体不是有效的JSON"), "{method} {path}");
    }
    let broken = Body::from_stream(once(ready(Err::<Bytes, _>(std::io::Error::other("reset")))));
    assert_eq!(ask(&router, "POST", "/api/v1/tasks", broken).await, error(400, "请求体不是有效的JSON"));
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let fake = Fake::default().answering(HeartbeatResponse::default());
    let body = r#"{"worker_id":1,"worker_name":"w"}"#;
    let padded = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
    let path = "/api/v1/workers/heartbeat";
    let expected = answer(200, r#"{"code":200,"message":"心跳更新成功"}"#);
    assert_eq!(ask(&fake.router(), "POST", path, padded(1024 * 1024)).await, expected);
    let too_long = error(413, "请求体过大，最多 1 MiB");
    assert_eq!(ask(&fake.router(), "POST", path, padded(1024 * 1024 + 1)).await, too_long);
}

#[tokio::test]
async fn content_type_is_never_looked_at() {
    let fake = Fake::default().answering(HeartbeatResponse::default());
    for header in ["Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded"] {
        let body = r#"{"worker_id":1,"worker_name":"w"}"#;
        let response = send(&fake.router(), "POST", "/api/v1/workers/heartbeat", &[header], body).await;
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test]
async fn browsers_may_ask_beforehand_everywhere() {
    let router = Fake::default().router();
    for path in ["/api/v1/workers", "/api/v1/tasks/x", "/api/v1/stream/result/x", "/api/v2/events", "/api/x"] {
        let headers = ["Origin: http://ui", "Access-Control-Request-Method: PATCH"];
        let response = send(&router, "OPTIONS", path, &headers, "").await;
        assert_eq!(response.status(), 204, "{path}");
        let headers = response.headers();
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert_eq!(headers["access-control-allow-methods"], "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        assert!(headers["access-control-allow-headers"].to_str().unwrap().contains("content-type"));
    }
}

#[tokio::test]
async fn origin_is_an_option() {
    let with = |cors_origin| {
        let transcode = TranscodeOptions { cors_origin, ..TranscodeOptions::default() };
        Fake::default().router_with(Options { transcode, ..Options::default() }, CancellationToken::new())
    };
    let router = with(Some(HeaderValue::from_static("https://farm.example")));
    let response = send(&router, "GET", "/api/x", &[], "").await;
    assert_eq!(response.headers()["access-control-allow-origin"], "https://farm.example");

    let router = with(None);
    for method in ["GET", "OPTIONS"] {
        let response = send(&router, method, &format!("/api/v1/stream/source/{UUID}x"), &[], "").await;
        assert_eq!(response.status(), if method == "GET" { 404 } else { 405 });
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
}

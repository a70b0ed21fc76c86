//! What becomes of the errors of the services, the same at every endpoint.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use steward_gateway::{Options, router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::fake::Fake;
use super::{UUID, ask, error, read, refusal, send};

/// A request of every call.
fn requests() -> Vec<(&'static str, String, String)> {
    let body = r#"{"worker_name":"w","worker_id":1,"worker_type":0,"support_vr":0,"progress":0,"status":1,
        "action":"offline","log_level":1,"log_message":"x","task_id":"#;
    let body = format!(r#"{body}"{UUID}"}}"#);
    [
        ("POST", "/api/v1/workers"),
        ("GET", "/api/v1/workers"),
        ("GET", "/api/v1/workers/1"),
        ("PUT", "/api/v1/workers/1"),
        ("DELETE", "/api/v1/workers/1"),
        ("POST", "/api/v1/workers/heartbeat"),
        ("POST", "/api/v1/workers/1/offline"),
        ("DELETE", "/api/v1/workers/1/offline"),
        ("GET", "/api/v1/workers/stats"),
        ("POST", "/api/v1/tasks"),
        ("GET", "/api/v1/tasks"),
        ("GET", "/api/v1/tasks?status[]=9"),
        ("GET", &format!("/api/v1/tasks/{UUID}")),
        ("PATCH", &format!("/api/v1/tasks/{UUID}")),
        ("GET", "/api/v1/tasks/stats"),
        ("GET", "/api/v1/videos"),
        ("GET", "/api/v1/videos?is_vr=9"),
        ("GET", "/api/v1/videos/1"),
        ("GET", "/api/v1/logs"),
        ("GET", "/api/v1/logs?log_level[]=9"),
        ("POST", "/api/v1/logs"),
        ("GET", &format!("/api/v1/stream/source/{UUID}")),
        ("GET", &format!("/api/v1/stream/result/{UUID}")),
        ("PUT", &format!("/api/v1/stream/result/{UUID}?sha256={}", "0".repeat(64))),
        ("POST", &format!("/api/v2/tasks/{UUID}/cancel")),
        ("POST", &format!("/api/v2/tasks/{UUID}/retry")),
        ("GET", "/api/v2/events"),
    ]
    .into_iter()
    .map(|(method, path)| (method, path.to_owned(), body.clone()))
    .collect()
}

#[tokio::test]
async fn every_reason_has_its_answer_everywhere() {
    let fake = Fake::default().with_source(b"");
    let router = fake.router();
    for (status, expected) in [
        (refusal(Code::InvalidArgument, "INVALID_ARGUMENT"), error(400, "参数类型错误")),
        (refusal(Code::NotFound, "WORKER_NOT_FOUND"), error(404, "Worker不存在")),
        (refusal(Code::NotFound, "TASK_NOT_FOUND"), error(404, "任务不存在")),
        (refusal(Code::NotFound, "VIDEO_NOT_FOUND"), error(404, "视频不存在")),
        (refusal(Code::NotFound, "LIBRARY_NOT_FOUND"), error(404, "媒体库不存在")),
        (refusal(Code::FailedPrecondition, "WORKER_OFFLINE"), error(409, "Worker已离线")),
        (refusal(Code::FailedPrecondition, "NOT_TASK_OWNER"), error(409, "任务不属于该Worker")),
        (refusal(Code::FailedPrecondition, "TASK_ENDED"), error(409, "任务已结束")),
        (refusal(Code::FailedPrecondition, "TASK_IN_PROGRESS"), error(409, "视频正在转码")),
        (refusal(Code::FailedPrecondition, "SOURCE_UNREACHABLE"), error(409, "源视频无法读取")),
        (refusal(Code::FailedPrecondition, "RESULT_REFUSED"), error(409, "转码结果被拒绝: in own words")),
        (refusal(Code::FailedPrecondition, "WRONG_DIGEST"), error(409, "转码结果被拒绝: in own words")),
        (refusal(Code::OutOfRange, "WRONG_OFFSET"), error(416, "偏移量错误")),
        (refusal(Code::ResourceExhausted, "TOO_MANY_WATCHERS"), error(503, "订阅者过多，请稍后重试")),
        (refusal(Code::Unavailable, "BUSY"), error(503, "服务暂时不可用，请稍后重试")),
        (refusal(Code::Unavailable, "UPLOAD_BUSY"), error(503, "服务暂时不可用，请稍后重试")),
        (refusal(Code::Unavailable, "UPLOAD_STALLED"), error(503, "服务暂时不可用，请稍后重试")),
        (refusal(Code::Unavailable, "SHUTTING_DOWN"), error(503, "服务暂时不可用，请稍后重试")),
        (Status::unauthenticated("secret"), error(401, "未授权")),
        (Status::permission_denied("secret"), error(403, "没有权限")),
        (refusal(Code::ResourceExhausted, "TOO_MANY_ATTEMPTS"), error(429, "尝试次数过多，请稍后重试")),
        (refusal(Code::ResourceExhausted, "TOO_MANY_CALLS"), error(429, "请求过多，请稍后重试")),
        (Status::deadline_exceeded("secret"), error(504, "请求超时")),
        (Status::cancelled("Timeout expired"), error(504, "请求超时")),
        (Status::internal("secret"), error(500, "服务器内部错误")),
        (refusal(Code::Unknown, "SOMETHING_NEW"), error(500, "服务器内部错误")),
    ] {
        fake.refuse(Some(status.clone()));
        for (method, path, body) in requests() {
            assert_eq!(ask(&router, method, &path, body).await, expected, "{method} {path} {status:?}");
        }
    }
}

#[tokio::test]
async fn who_has_to_log_in_is_told_how() {
    let router = Fake::refusing(Status::unauthenticated("no")).router();
    let response = send(&router, "GET", "/api/v1/workers", &[], "").await;
    assert_eq!(response.headers()["www-authenticate"], r#"Basic realm="steward", charset="UTF-8""#);
}

#[tokio::test]
async fn field_that_a_service_refuses_is_named() {
    let mut details = ErrorDetails::with_error_info("INVALID_ARGUMENT", "steward", HashMap::new());
    details.add_bad_request_violation("dest_path", "is longer than 1024 bytes");
    let router = Fake::refusing(Status::with_error_details(Code::InvalidArgument, "no", details)).router();
    let response = send(&router, "GET", "/api/v1/tasks", &[], "").await;
    assert_eq!(response.headers()["x-error-field"], "dest_path");
    assert_eq!(read(response).await, error(400, "参数类型错误"));
}

#[tokio::test(start_paused = true)]
async fn service_that_does_not_answer_times_out() {
    let silent = tower::service_fn(|_| async {
        tokio::time::sleep(Duration::from_hours(1)).await;
        Ok::<_, Status>(http::Response::new(tonic::body::Body::empty()))
    });
    let router = router(silent, Options::default(), CancellationToken::new());
    for (method, path, body) in requests() {
        assert_eq!(ask(&router, method, &path, Body::from(body)).await, error(504, "请求超时"), "{method} {path}");
    }
}

#[tokio::test]
async fn unreachable_service_is_unavailable() {
    // Bound and closed again, so that nobody listens there.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let channel = Endpoint::from_shared(upstream).unwrap().connect_lazy();
    let router = router(channel, Options::default(), CancellationToken::new());
    for (method, path, body) in requests() {
        let answered = ask(&router, method, &path, body).await;
        assert_eq!(answered, error(503, "服务暂时不可用，请稍后重试"), "{method} {path}");
    }
}

//! The API of the transcoding farm against scripted services.

mod events;
mod failures;
mod fake;
mod logs;
mod operators;
mod reports;
mod results;
mod routes;
mod sources;
mod tasks;
mod videos;
mod workers;

use std::collections::HashMap;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request};
use http_body_util::BodyExt;
use steward_proto::transcode::v1::{Task, TaskStatus};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::ServiceExt;

const UUID: &str = "550e4bf4-a999-41fd-af72-4c3424012b75";
/// 2026-11-21T03:09:15.
const TIME: prost_types::Timestamp = prost_types::Timestamp { seconds: 1_795_230_555, nanos: 900_000_000 };

/// Sends a request with headers, written as `Name: value`.
async fn send(router: &Router, method: &str, path: &str, headers: &[&str], body: impl Into<Body>) -> Response {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap()
}

/// The status and the body of an answer that has the headers of all.
async fn ask(router: &Router, method: &str, path: &str, body: impl Into<Body>) -> String {
    let response = send(router, method, path, &[], body).await;
    let headers = response.headers();
    assert_eq!(headers["content-type"], "application/json", "{method} {path}");
    assert_eq!(headers["access-control-allow-origin"], "*", "{method} {path}");
    read(response).await
}

/// The status and the body.
async fn read(response: Response) -> String {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    format!("{status} {}", String::from_utf8(body.to_vec()).unwrap())
}

/// An answer as [`ask`] reads it.
fn answer(status: u16, body: &str) -> String {
    format!("{status} {body}\n")
}

/// An error as [`ask`] reads it.
fn error(code: u16, message: &str) -> String {
    answer(code, &format!(r#"{{"code":{code},"message":"{message}"}}"#))
}

/// An error as the real services give it.
fn refusal(code: Code, reason: &str) -> Status {
    Status::with_error_details(code, "in own words", ErrorDetails::with_error_info(reason, "steward", HashMap::new()))
}

fn running_task() -> Task {
    Task {
        task_id: UUID.to_owned(),
        id: 2,
        video_path: "hdd/lib/DEMO-001.mp4".to_owned(),
        worker_id: 1,
        worker_name: "w1".to_owned(),
        progress: 70.599_998,
        status: TaskStatus::Running.into(),
        elapsed_time: 11,
        start_time: Some(TIME),
        lease_token: "secret".to_owned(),
        ..Task::default()
    }
}

const RUNNING_ROW: &str = concat!(
    r#"{"dest_path":null,"elapsed_time":11,"end_time":null,"error_message":null,"progress":70.6,"#,
    r#""remaining_time":null,"start_time":"2026-11-21T03:09:15","status":1,"#,
    r#""task_id":"550e4bf4-a999-41fd-af72-4c3424012b75","video_path":"hdd/lib/DEMO-001.mp4","#,
    r#""worker_id":1,"worker_name":"w1"}"#
);

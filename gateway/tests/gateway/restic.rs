//! Restic's REST backend against a scripted object service.

mod answers;
mod breaks;
mod downloads;
mod fake;
mod lists;
mod network;
mod paths;
mod script;
mod sockets;
mod uploads;

use std::collections::HashMap;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request};
use http_body_util::BodyExt;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::ServiceExt;

const NAME: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Sends a request with headers, written as `Name: value`.
pub(crate) async fn send(
    router: &Router,
    method: &str,
    path: &str,
    headers: &[&str],
    body: impl Into<Body>,
) -> Response {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap()
}

/// The whole answer to a request without a body.
pub(crate) async fn ask(router: &Router, method: &str, path: &str, headers: &[&str]) -> String {
    written(send(router, method, path, headers, Body::empty()).await).await
}

/// The status, all headers in alphabetical order, an empty line, the body.
pub(crate) async fn written(response: Response) -> String {
    let (parts, body) = response.into_parts();
    let header = |(name, value): (_, &http::HeaderValue)| format!("{name}: {}\n", value.to_str().unwrap());
    let mut headers: Vec<String> = parts.headers.iter().map(header).collect();
    headers.sort();
    let body = body.collect().await.unwrap().to_bytes();
    format!("{}\n{}\n{}", parts.status.as_u16(), headers.concat(), String::from_utf8(body.to_vec()).unwrap())
}

/// An answer without a body.
fn empty(status: u16) -> String {
    format!("{status}\ncontent-length: 0\n\n")
}

/// An error, with further headers that come before and behind the two of every error.
fn error_with(status: u16, before: &str, message: &str, behind: &str) -> String {
    let body = format!(r#"{{"error":"{message}"}}"#);
    let length = body.len();
    format!("{status}\n{before}content-length: {length}\ncontent-type: application/json\n{behind}\n{body}")
}

fn error(status: u16, message: &str) -> String {
    error_with(status, "", message, "")
}

/// An error as the real service gives it.
pub(crate) fn refusal(code: Code, reason: &str, message: &str) -> Status {
    refusal_with(code, reason, message, &[])
}

pub(crate) fn refusal_with(code: Code, reason: &str, message: &str, metadata: &[(&str, &str)]) -> Status {
    let metadata: HashMap<_, _> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Status::with_error_details(code, message, ErrorDetails::with_error_info(reason, "steward", metadata))
}

//! Requests to a router, and answers as text that can be compared whole.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request};
use http_body_util::BodyExt;
use tower::ServiceExt;

pub(crate) async fn send(router: &Router, method: Method, path: &str, body: impl Into<Body>) -> Response {
    let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

pub(crate) async fn get(router: &Router, path: &str) -> String {
    written(send(router, Method::GET, path, "").await).await
}

pub(crate) async fn post(router: &Router, path: &str, body: impl Into<Body>) -> String {
    written(send(router, Method::POST, path, body).await).await
}

/// The status, the headers in alphabetical order, an empty line, the body. Leaves the length out.
pub(crate) async fn written(response: Response) -> String {
    let (parts, body) = response.into_parts();
    let mut headers: Vec<String> = parts
        .headers
        .iter()
        .filter(|(name, _)| *name != "content-length")
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
        .collect();
    headers.sort();
    let body = body.collect().await.unwrap().to_bytes();
    format!("{}\n{}\n{}", parts.status.as_u16(), headers.concat(), String::from_utf8(body.to_vec()).unwrap())
}

/// A JSON answer as the contract has it.
pub(crate) fn json(status: u16, body: &str) -> String {
    format!("{status}\ncontent-type: application/json\n\n{body}\n")
}

/// A plain error as the contract has it.
pub(crate) fn plain(status: u16, message: &str) -> String {
    format!("{status}\ncontent-type: text/plain; charset=utf-8\nx-content-type-options: nosniff\n\n{message}\n")
}

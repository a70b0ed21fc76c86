//! Answers that look the same in every API.
//!
//! Quirk: the originals were Go programs, so their JSON ends in a newline, and their plain errors are those of Go's
//! `http.Error`: text with a newline, and a header that forbids guessing the content type.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::go;

/// How a client has to prove who it is.
pub(crate) const CHALLENGE: &str = r#"Basic realm="steward", charset="UTF-8""#;
/// The answer to a path that no API has.
pub(crate) const NOT_FOUND: PlainError = PlainError::new(StatusCode::NOT_FOUND, "404 page not found");

/// What is told of a failure that is nobody's business.
pub(crate) const INTERNAL: &str = "internal error";

/// What a status says by itself, for failures whose words are not meant for clients.
pub(crate) fn in_general(status: StatusCode) -> Cow<'static, str> {
    Cow::Borrowed(match status {
        StatusCode::INTERNAL_SERVER_ERROR => INTERNAL,
        StatusCode::SERVICE_UNAVAILABLE => "temporarily unavailable",
        StatusCode::GATEWAY_TIMEOUT => "no answer in time",
        status => return Cow::Owned(status.canonical_reason().unwrap_or(INTERNAL).to_lowercase()),
    })
}

/// An error answered as a line of plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainError {
    status: StatusCode,
    message: &'static str,
    header: Option<(&'static str, &'static str)>,
    /// When to try again, in seconds.
    retry_seconds: Option<u64>,
}

impl PlainError {
    pub(crate) const fn new(status: StatusCode, message: &'static str) -> Self {
        Self { status, message, header: None, retry_seconds: None }
    }

    /// What an API answers that has a form of its own for errors.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The header that a client needs to go on.
    pub(crate) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let fixed = self.header.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        fixed.or_else(|| self.retry_seconds.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))))
    }

    /// Adds a header that a client needs to go on.
    pub(crate) const fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Says when to try again.
    pub(crate) const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_seconds = Some(seconds);
        self
    }
}

impl IntoResponse for PlainError {
    fn into_response(self) -> Response {
        let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
        (self.status, headers, self.header().map(|header| [header]), format!("{}\n", self.message)).into_response()
    }
}

/// Answers `value` as a line of compact JSON. Its fields have to be declared in alphabetical order.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut line = go::json::encode(value);
    line.push('\n');
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, headers, Body::from(line)).into_response()
}

/// Adds a header whose value is made of visible ASCII characters.
pub(crate) fn add_header(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("numbers and times are visible ASCII");
    headers.insert(HeaderName::from_static(name), value);
}

/// Refuses every method that `methods` does not name, HEAD included, with 405, no body, and `allow` as the hint.
pub(crate) fn only<S>(allow: &'static str, methods: MethodRouter<S>) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let refuse = move || async move { (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, allow)]) };
    // Without a handler of its own, HEAD would be answered as GET.
    methods.head(refuse).fallback(refuse)
}

//! Answers that are not what the client wanted.
//!
//! Quirk: errors are `{"error":"…"}`; restic looks at nothing but the status, and gives up at once on 401, 403, 404,
//! 416 and 507 while it tries all others again.
//! Quirk: a full disk is 507 as an exceeded quota is.
//! Quirk: an object that exists with other bytes is 403, not 409.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT_RANGES, ALLOW, CONNECTION, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use tonic::Code;
use tonic_types::ErrorInfo;

use super::path;
use crate::answer::{CHALLENGE, INTERNAL, in_general};
use crate::range::Malformed;
use crate::upstream::{Call, Failure};

/// An error as the client reads it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: Cow<'static, str>,
    headers: HeaderMap,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), headers: HeaderMap::new() }
    }

    /// Refuses a method where only those of `allow` make sense.
    pub(super) fn method(allow: &'static str) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
        refusal.with(ALLOW, HeaderValue::from_static(allow))
    }

    /// Says what the failure of a call means; logs it when the client is told nothing of it.
    pub(super) fn of(failure: &Failure) -> Self {
        let info = failure.info();
        let reason = info.as_ref().map(|info| info.reason.as_str());
        let code = failure.status().code();
        let status = if failure.is_timeout() { StatusCode::GATEWAY_TIMEOUT } else { status(code, reason) };
        let own_words = info.as_ref().map(|_| failure.status().message().to_owned()).filter(|words| !words.is_empty());
        let told = Self::new(status, own_words.map_or_else(|| in_general(status), Cow::Owned));
        match status {
            StatusCode::RANGE_NOT_SATISFIABLE => Self::unsatisfiable(info.as_ref()),
            StatusCode::UNAUTHORIZED => told.with(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE)),
            StatusCode::TOO_MANY_REQUESTS => told.with(RETRY_AFTER, failure.retry_after()),
            StatusCode::SERVICE_UNAVAILABLE => Self::reported(failure, status).with(RETRY_AFTER, failure.retry_after()),
            StatusCode::INTERNAL_SERVER_ERROR | StatusCode::GATEWAY_TIMEOUT => Self::reported(failure, status),
            _ => told,
        }
    }

    /// Reports an answer that the contract of the service rules out.
    pub(super) fn broken(call: &Call, answer: &'static str) -> Self {
        call.unexpected(answer);
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL)
    }

    /// Has the connection closed after the answer.
    pub(super) fn closing(self) -> Self {
        self.with(CONNECTION, HeaderValue::from_static("close"))
    }

    fn reported(failure: &Failure, status: StatusCode) -> Self {
        failure.report();
        Self::new(status, in_general(status))
    }

    fn unsatisfiable(info: Option<&ErrorInfo>) -> Self {
        let refusal = Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "");
        let refusal = refusal.with(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let size = info.and_then(|info| info.metadata.get("size"));
        match size.and_then(|size| HeaderValue::try_from(format!("bytes */{size}")).ok()) {
            Some(range) => refusal.with(CONTENT_RANGE, range),
            None => refusal,
        }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

fn status(code: Code, reason: Option<&str>) -> StatusCode {
    match (code, reason) {
        (_, Some("OBJECT_TOO_LARGE")) => StatusCode::PAYLOAD_TOO_LARGE,
        (_, Some("QUOTA_EXCEEDED" | "TOO_MANY_LOCKS" | "DISK_FULL")) => StatusCode::INSUFFICIENT_STORAGE,
        (_, Some("RANGE_NOT_SATISFIABLE")) => StatusCode::RANGE_NOT_SATISFIABLE,
        (_, Some("TOO_MANY_ATTEMPTS")) | (Code::ResourceExhausted, _) => StatusCode::TOO_MANY_REQUESTS,
        (Code::NotFound, _) => StatusCode::NOT_FOUND,
        (Code::AlreadyExists | Code::PermissionDenied, _) => StatusCode::FORBIDDEN,
        (Code::InvalidArgument, _) => StatusCode::BAD_REQUEST,
        (Code::Unauthenticated, _) => StatusCode::UNAUTHORIZED,
        (Code::Unimplemented, _) => StatusCode::NOT_IMPLEMENTED,
        (Code::Unavailable, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Code::DeadlineExceeded, _) => StatusCode::GATEWAY_TIMEOUT,
        (
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::FailedPrecondition
            | Code::Aborted
            // tonic's word for a message that is too long.
            | Code::OutOfRange
            | Code::Internal
            | Code::DataLoss,
            _,
        ) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<path::Error> for Refusal {
    fn from(error: path::Error) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<Malformed> for Refusal {
    fn from(Malformed: Malformed) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Invalid Range header")
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::of(&failure)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
}

impl IntoResponse for Refusal {
    fn into_response(mut self) -> Response {
        if self.message.is_empty() {
            return (self.status, self.headers).into_response();
        }
        let body = serde_json::to_string(&Body { error: &self.message }).expect("a string is always JSON");
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        (self.status, self.headers, body).into_response()
    }
}

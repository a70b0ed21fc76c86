//! Answers that are not what the client wanted: `{"errors":[{"code":"…","message":"…"}]}`, with the codes of the
//! specification as far as it has one.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::header::{
    ALLOW, CONNECTION, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use tonic::Code;
use tonic_types::StatusExt;

use super::path;
use crate::answer::{CHALLENGE, INTERNAL, in_general};
use crate::body::ReadError;
use crate::feed::{self, Fault};
use crate::incoming::Interruption;
use crate::upstream::{Call, Failure};

/// An error as the client reads it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    detail: Option<String>,
    /// Boxed, because most results have none.
    headers: Box<HeaderMap>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), detail: None, headers: Box::default() }
    }

    /// Refuses a method where only those of `allow` make sense.
    pub(super) fn method(allow: &'static str) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the operation is unsupported");
        refusal.with(ALLOW, HeaderValue::from_static(allow))
    }

    /// Refuses a part of so many bytes that has none of them.
    pub(super) fn unsatisfiable(size: u64) -> Self {
        let message = format!("the range is none of {size} bytes");
        let refusal = Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", message);
        let range = HeaderValue::try_from(format!("bytes */{size}")).expect("numbers are visible ASCII");
        refusal.with(CONTENT_RANGE, range)
    }

    /// Whether it asks somebody who has not said it who that is.
    pub(super) fn is_of_unknown(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// There are too many bodies in memory already.
    pub(super) fn no_room() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "UNAVAILABLE", in_general(status)).with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// Reports an answer that the contract of the service rules out.
    pub(super) fn broken(call: &Call, answer: &'static str) -> Self {
        call.unexpected(answer);
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", INTERNAL)
    }

    /// Says what is wrong with a path. What cannot be a tag is the tag of nothing, but for whoever wants to make it one.
    pub(super) fn of_path(error: path::Error, method: &Method) -> Self {
        match error {
            path::Error::BadTag if method != Method::PUT => {
                Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", error.to_string())
            }
            _ => error.into(),
        }
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Has the connection closed after the answer.
    fn closing(self) -> Self {
        self.with(CONNECTION, HeaderValue::from_static("close"))
    }

    /// Says what the failure of a call means; logs it when the client is told nothing of it.
    pub(super) fn of(failure: &Failure) -> Self {
        let info = failure.info();
        let reason = info.as_ref().map(|info| info.reason.as_str());
        let (status, code) =
            if failure.is_timeout() { (StatusCode::GATEWAY_TIMEOUT, "UNAVAILABLE") } else { meaning(failure, reason) };
        let own_words = info.as_ref().map(|_| failure.status().message().to_owned()).filter(|words| !words.is_empty());
        let mut refusal = Self::new(status, code, own_words.map_or_else(|| in_general(status), Cow::Owned));
        let metadata = |key| info.as_ref().and_then(|info| info.metadata.get(key));
        refusal.detail = metadata("digest").cloned();
        match status {
            StatusCode::UNAUTHORIZED => refusal.with(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE)),
            StatusCode::TOO_MANY_REQUESTS => refusal.with(RETRY_AFTER, failure.retry_after()),
            StatusCode::SERVICE_UNAVAILABLE => refusal.reported(failure).with(RETRY_AFTER, failure.retry_after()),
            StatusCode::INTERNAL_SERVER_ERROR | StatusCode::GATEWAY_TIMEOUT => refusal.reported(failure),
            StatusCode::RANGE_NOT_SATISFIABLE => match metadata("size").and_then(|size| size.parse().ok()) {
                Some(size) => Self::unsatisfiable(size),
                None => refusal,
            },
            _ => refusal,
        }
    }

    fn reported(self, failure: &Failure) -> Self {
        failure.report();
        Self { message: in_general(self.status), ..self }
    }
}

/// The status and the code of a refusal.
fn meaning(failure: &Failure, reason: Option<&str>) -> (StatusCode, &'static str) {
    match reason {
        Some("PROJECT_NOT_FOUND" | "REPOSITORY_NOT_FOUND" | "IMAGE_NOT_FOUND" | "WRONG_REPOSITORY_TYPE") => {
            (StatusCode::NOT_FOUND, "NAME_UNKNOWN")
        }
        Some("MANIFEST_NOT_FOUND") => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
        Some("BLOB_NOT_FOUND") => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
        Some("UPLOAD_NOT_FOUND") => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
        Some("DIGEST_MISMATCH") => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
        Some("MANIFEST_INVALID") => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
        Some("MANIFEST_BLOB_UNKNOWN") => (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
        Some("INVALID_RANGE" | "RANGE_NOT_SATISFIABLE") => (StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID"),
        Some("UPLOAD_OFFSET") => (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID"),
        Some("UPLOAD_BROKEN_OFF") => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
        Some("TOO_LARGE") => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
        Some("DISK_FULL") => (StatusCode::INSUFFICIENT_STORAGE, "UNKNOWN"),
        Some("INVALID_ARGUMENT") => (StatusCode::BAD_REQUEST, invalid(failure)),
        _ => by_code(failure.status().code()),
    }
}

/// The code of a request with a field that is wrong.
fn invalid(failure: &Failure) -> &'static str {
    let request = failure.status().get_details_bad_request();
    let violation = request.and_then(|request| request.field_violations.into_iter().next());
    let field = violation.map(|violation| violation.field).unwrap_or_default();
    match field.rsplit('.').next().unwrap_or_default() {
        "project" | "repository" | "image" | "name" | "from" => "NAME_INVALID",
        "digest" | "subject" => "DIGEST_INVALID",
        "upload_id" | "offset" | "chunk" | "start" | "finish" => "BLOB_UPLOAD_INVALID",
        "reference" | "tags" | "media_type" | "content" => "MANIFEST_INVALID",
        _ => "UNSUPPORTED",
    }
}

fn by_code(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
        Code::PermissionDenied => (StatusCode::FORBIDDEN, "DENIED"),
        Code::NotFound => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => (StatusCode::CONFLICT, "DENIED"),
        Code::InvalidArgument => (StatusCode::BAD_REQUEST, "UNSUPPORTED"),
        Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
        Code::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "UNSUPPORTED"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "UNAVAILABLE"),
        Code::Ok | Code::Cancelled | Code::Unknown | Code::OutOfRange | Code::Internal | Code::DataLoss => {
            (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN")
        }
    }
}

impl From<path::Error> for Refusal {
    fn from(error: path::Error) -> Self {
        let (status, code) = match error {
            path::Error::NoSuchPath => (StatusCode::NOT_FOUND, "UNSUPPORTED"),
            path::Error::ShortName => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            path::Error::BadName => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
            path::Error::BadDigest => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            path::Error::BadTag => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
            path::Error::BadUpload => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::of(&failure)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let refusal = |status, message| Self::new(status, "SIZE_INVALID", message);
        match fault {
            Fault::Interrupted(Interruption::Broken) => refusal(StatusCode::BAD_REQUEST, "body broke off").closing(),
            Fault::Interrupted(Interruption::Idle) => {
                refusal(StatusCode::REQUEST_TIMEOUT, "no more of the body came").closing()
            }
            Fault::TooLong => refusal(StatusCode::PAYLOAD_TOO_LARGE, "body is longer than this server takes"),
            Fault::WrongLength => refusal(StatusCode::BAD_REQUEST, "body is not as long as announced").closing(),
        }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooLong => Fault::TooLong.into(),
            ReadError::Broken => Fault::Interrupted(Interruption::Broken).into(),
            ReadError::TooLate => Fault::Interrupted(Interruption::Idle).into(),
            ReadError::NoRoom => Self::no_room(),
        }
    }
}

impl From<feed::Error> for Refusal {
    fn from(error: feed::Error) -> Self {
        match error {
            feed::Error::Body(fault) => fault.into(),
            feed::Error::Call(failure) => failure.into(),
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    errors: [Entry<'a>; 1],
}

#[derive(Serialize)]
struct Entry<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl IntoResponse for Refusal {
    fn into_response(mut self) -> Response {
        let entry = Entry { code: self.code, message: &self.message, detail: self.detail.as_deref() };
        let body = serde_json::to_string(&Body { errors: [entry] }).expect("texts are always JSON");
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        (self.status, *self.headers, body).into_response()
    }
}

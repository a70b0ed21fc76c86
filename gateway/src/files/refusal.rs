//! Answers that are not what the client wanted: a status, and a code with its message in the envelope.

use axum::response::Response;
use http::header::{ALLOW, CONNECTION, CONTENT_RANGE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use tonic::Code;
use tonic_types::StatusExt;

use super::answer::{Envelope, Language, Trace};
use crate::feed::{self, Fault};
use crate::incoming::Interruption;
use crate::upstream::{Call, Failure};

/// How a client has to prove who it is, in the words of this API.
const CHALLENGE: &str = r#"Basic realm="Authentication Required""#;
/// When to try again, in seconds.
const RETRY_SECONDS: &str = "1";

/// What is wrong, by the codes of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    System,
    Parameter,
    Content,
    Method,
    Denied,
    Unauthenticated,
    Digest,
    Project,
    Repository,
    Missing,
    Existing,
    Conflict,
}

impl Problem {
    fn code(self) -> u32 {
        match self {
            Self::System => 250_102,
            Self::Parameter => 250_105,
            Self::Content => 250_106,
            Self::Method => 250_112,
            Self::Denied => 250_113,
            Self::Unauthenticated => 250_114,
            Self::Digest => 251_003,
            Self::Project => 251_004,
            Self::Repository => 251_006,
            Self::Missing => 251_010,
            Self::Existing => 251_012,
            Self::Conflict => 251_013,
        }
    }

    /// The message, with `{0}` where it names something.
    fn message(self, language: Language) -> &'static str {
        let (english, chinese) = match self {
            Self::System => ("System service is busy, please try again later", "系统繁忙，请稍后再试"),
            Self::Parameter => ("Parameter [{0}] is invalid", "参数[{0}]无效"),
            Self::Content => ("Invalid request content", "请求内容无效"),
            Self::Method => ("Method not allowed, reason: {0}", "不支持的操作, 原因: {0}"),
            Self::Denied => ("Access denied: {0}", "访问被拒绝: {0}"),
            Self::Unauthenticated => ("Failed to authenticate: {0}", "认证失败: {0}"),
            Self::Digest => ("Failed to check artifact {0} digest", "校验构件{0}摘要失败"),
            Self::Project => ("Project [{0}] not found", "项目[{0}]不存在"),
            Self::Repository => ("Repository [{0}] not found", "仓库[{0}]不存在"),
            Self::Missing => ("Node [{0}] not found", "节点[{0}]不存在"),
            Self::Existing => ("Node [{0}] existed", "节点[{0}]已存在"),
            Self::Conflict => ("Node [{0}] conflict", "已存在同名文件，且不允许覆盖"),
        };
        match language {
            Language::English => english,
            Language::Chinese => chinese,
        }
    }
}

/// An error as the client reads it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    problem: Problem,
    argument: String,
    /// Boxed, because most results have none.
    headers: Box<HeaderMap>,
}

impl Refusal {
    fn new(status: StatusCode, problem: Problem, argument: impl Into<String>) -> Self {
        Self { status, problem, argument: argument.into(), headers: Box::default() }
    }

    /// Refuses a parameter, or a header that is one.
    pub(super) fn invalid(name: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Problem::Parameter, name)
    }

    /// There is no such file.
    pub(super) fn missing(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, Problem::Missing, path)
    }

    /// Refuses a method where only those of `allow` make sense.
    pub(super) fn method(allow: &'static str) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, Problem::Method, format!("only {allow}"));
        refusal.with(ALLOW, HeaderValue::from_static(allow))
    }

    /// Refuses a part of so many bytes that has none of them.
    pub(super) fn unsatisfiable(size: u64) -> Self {
        let range = HeaderValue::try_from(format!("bytes */{size}")).expect("numbers are visible ASCII");
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, Problem::Parameter, "Range").with(CONTENT_RANGE, range)
    }

    /// Reports an answer that the contract of the service rules out.
    pub(super) fn broken(call: &Call, answer: &'static str) -> Self {
        call.unexpected(answer);
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Problem::System, "")
    }

    pub(super) fn answer(self, language: Language, trace: &Trace) -> Response {
        let message = self.problem.message(language).replace("{0}", &self.argument);
        let mut response = Envelope::refusal(self.status, self.problem.code(), message, trace);
        response.headers_mut().extend(*self.headers);
        response
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn closing(self) -> Self {
        self.with(CONNECTION, HeaderValue::from_static("close"))
    }

    /// What only the reason of a refusal tells; logs what the client is told nothing of.
    fn of(failure: &Failure) -> Self {
        let info = failure.info();
        let reason = info.as_ref().map_or("", |info| info.reason.as_str());
        let argument = info.as_ref().and_then(|info| info.metadata.get("arg")).cloned().unwrap_or_default();
        let bad = StatusCode::BAD_REQUEST;
        let (status, problem, argument) = match reason {
            "PROJECT_NOT_FOUND" => (StatusCode::NOT_FOUND, Problem::Project, argument),
            "REPOSITORY_NOT_FOUND" => (StatusCode::NOT_FOUND, Problem::Repository, argument),
            "FILE_NOT_FOUND" | "BLOB_NOT_FOUND" => (StatusCode::NOT_FOUND, Problem::Missing, argument),
            "FILE_EXISTS" => (bad, Problem::Existing, argument),
            "FILE_CONFLICT" => (bad, Problem::Conflict, argument),
            "DIGEST_MISMATCH" => (bad, Problem::Digest, argument),
            "WRONG_REPOSITORY_TYPE" => (bad, Problem::Parameter, "repoName".to_owned()),
            "INVALID_ARGUMENT" => (bad, Problem::Parameter, wrong_field(failure)),
            "UPLOAD_BROKEN_OFF" => (bad, Problem::Content, argument),
            "TOO_LARGE" => (StatusCode::PAYLOAD_TOO_LARGE, Problem::Content, argument),
            "DISK_FULL" => (StatusCode::INSUFFICIENT_STORAGE, Problem::System, argument),
            _ => return Self::in_general(failure),
        };
        Self::new(status, problem, argument)
    }

    fn in_general(failure: &Failure) -> Self {
        let system = |status| Self::new(status, Problem::System, "");
        match failure.status().code() {
            _ if failure.is_timeout() => {
                failure.report();
                system(StatusCode::GATEWAY_TIMEOUT)
            }
            Code::Unauthenticated => Self::new(StatusCode::UNAUTHORIZED, Problem::Unauthenticated, "Unauthorized")
                .with(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE)),
            Code::PermissionDenied => Self::new(
                StatusCode::FORBIDDEN,
                Problem::Denied,
                failure.info().map_or("", |_| failure.status().message()),
            ),
            Code::ResourceExhausted => {
                system(StatusCode::TOO_MANY_REQUESTS).with(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS))
            }
            Code::Unavailable => {
                failure.report();
                system(StatusCode::SERVICE_UNAVAILABLE).with(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS))
            }
            _ => {
                failure.report();
                system(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// The field that the service finds wrong, by its name in this API.
fn wrong_field(failure: &Failure) -> String {
    let request = failure.status().get_details_bad_request();
    let violation = request.and_then(|request| request.field_violations.into_iter().next());
    let field = violation.map(|violation| violation.field).unwrap_or_default();
    match field.rsplit('.').next().unwrap_or_default() {
        "project" => "projectId".to_owned(),
        "repository" => "repoName".to_owned(),
        "path" => "fullPath".to_owned(),
        other => other.to_owned(),
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::of(&failure)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let refusal = |status| Self::new(status, Problem::Content, "");
        match fault {
            Fault::Interrupted(Interruption::Broken) | Fault::WrongLength => refusal(StatusCode::BAD_REQUEST).closing(),
            Fault::Interrupted(Interruption::Idle) => refusal(StatusCode::REQUEST_TIMEOUT).closing(),
            Fault::TooLong => refusal(StatusCode::PAYLOAD_TOO_LARGE),
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

//! Answers that are not what the client wanted.
//!
//! Quirk: a worker that is offline, and a task that is another's, are conflicts (409).

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use tonic_types::StatusExt;

use super::answer;
use crate::answer::PlainError;
use crate::upstream::{Call, Failure};

/// Names the field that is wrong.
const ERROR_FIELD: HeaderName = HeaderName::from_static("x-error-field");

/// An error as the client reads it.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: Cow<'static, str>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) const fn new(status: StatusCode, message: &'static str) -> Self {
        Self { status, message: Cow::Borrowed(message), header: None }
    }

    /// A field is missing.
    pub(super) fn incomplete(field: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "参数不完整").about(field)
    }

    /// A field has a wrong type, or is out of its range.
    pub(super) fn wrong(field: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "参数类型错误").about(field)
    }

    /// No such worker.
    pub(super) const fn no_worker() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Worker不存在")
    }

    /// No such task.
    pub(super) const fn no_task() -> Self {
        Self::new(StatusCode::NOT_FOUND, "任务不存在")
    }

    /// No such video.
    pub(super) const fn no_video() -> Self {
        Self::new(StatusCode::NOT_FOUND, "视频不存在")
    }

    /// Says what the failure of a call means that was about the worker `name`; logs it when the client is told nothing
    /// of it.
    pub(super) fn of(failure: &Failure, name: &str) -> Self {
        if failure.is_limit() {
            let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "请求过多，请稍后重试");
            return refusal.with(RETRY_AFTER, failure.retry_after());
        }
        let info = failure.info();
        let reason = info.as_ref().map(|info| info.reason.as_str());
        match reason.and_then(|reason| told(reason, name, failure.status().message())) {
            Some((status, message)) => Self { status, message, header: wrong_field(failure) },
            None => failure.report().into(),
        }
    }

    /// Reports an answer that the contract of the service rules out.
    pub(super) fn broken(call: &Call, answer: &'static str) -> Self {
        call.unexpected(answer).into()
    }

    pub(super) fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    /// Names the field that it is about.
    pub(super) fn about(self, field: &'static str) -> Self {
        self.with(ERROR_FIELD, HeaderValue::from_static(field))
    }
}

/// What a client is told, for the reasons that are the client's to deal with.
fn told(reason: &str, name: &str, words: &str) -> Option<(StatusCode, Cow<'static, str>)> {
    let (status, message) = match reason {
        "INVALID_ARGUMENT" => (StatusCode::BAD_REQUEST, "参数类型错误"),
        "WORKER_NOT_FOUND" => (StatusCode::NOT_FOUND, "Worker不存在"),
        "TASK_NOT_FOUND" => (StatusCode::NOT_FOUND, "任务不存在"),
        "VIDEO_NOT_FOUND" => (StatusCode::NOT_FOUND, "视频不存在"),
        "LIBRARY_NOT_FOUND" => (StatusCode::NOT_FOUND, "媒体库不存在"),
        "WORKER_OFFLINE" => (StatusCode::CONFLICT, "Worker已离线"),
        "NOT_TASK_OWNER" => (StatusCode::CONFLICT, "任务不属于该Worker"),
        "TASK_ENDED" => (StatusCode::CONFLICT, "任务已结束"),
        "TASK_IN_PROGRESS" => (StatusCode::CONFLICT, "视频正在转码"),
        "SOURCE_UNREACHABLE" => (StatusCode::CONFLICT, "源视频无法读取"),
        "WRONG_OFFSET" => (StatusCode::RANGE_NOT_SATISFIABLE, "偏移量错误"),
        "TOO_MANY_WATCHERS" => (StatusCode::SERVICE_UNAVAILABLE, "订阅者过多，请稍后重试"),
        "WORKER_ONLINE" => return Some((StatusCode::CONFLICT, format!("Worker {name} 已在线，注册失败").into())),
        "WORKER_EXISTS" => return Some((StatusCode::CONFLICT, format!("Worker {name} 已存在").into())),
        // Why it is no good is what the worker needs to know.
        "RESULT_REFUSED" | "WRONG_DIGEST" => {
            return Some((StatusCode::CONFLICT, format!("转码结果被拒绝: {words}").into()));
        }
        _ => return None,
    };
    Some((status, message.into()))
}

fn wrong_field(failure: &Failure) -> Option<(HeaderName, HeaderValue)> {
    let violations = failure.status().get_details_bad_request()?.field_violations;
    let field = violations.into_iter().next()?.field;
    Some((ERROR_FIELD, HeaderValue::try_from(field).ok()?))
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::of(&failure, "")
    }
}

impl From<PlainError> for Refusal {
    fn from(error: PlainError) -> Self {
        let status = error.status();
        let message = match status {
            StatusCode::UNAUTHORIZED => "未授权",
            StatusCode::FORBIDDEN => "没有权限",
            StatusCode::TOO_MANY_REQUESTS => "尝试次数过多，请稍后重试",
            StatusCode::SERVICE_UNAVAILABLE => "服务暂时不可用，请稍后重试",
            StatusCode::GATEWAY_TIMEOUT => "请求超时",
            _ => "服务器内部错误",
        };
        Self { status, message: message.into(), header: error.header() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = answer::done(self.status, &self.message);
        response.headers_mut().extend(self.header);
        response
    }
}

//! What a request is refused with, and which reason of the services becomes which code.

use http::StatusCode;
use tonic::Code as GrpcCode;
use tonic_types::StatusExt as _;

use super::code::Code;
use super::language::Language;
use crate::answer::PlainError;
use crate::upstream::Failure;

/// A code, and what stands in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: &'static Code,
    args: Vec<String>,
    header: Option<(&'static str, &'static str)>,
}

/// How a client has to prove who it is.
const CHALLENGE: (&str, &str) = ("www-authenticate", "Basic realm=\"Authentication Required\"");

/// What a reason means. `{0}` is the metadata `arg`, unless a request says otherwise.
const REASONS: [(&str, &Code); 31] = [
    ("PARAMETER_MISSING", &Code::PARAMETER_MISSING),
    ("PARAMETER_EMPTY", &Code::PARAMETER_EMPTY),
    ("PARAMETER_INVALID", &Code::PARAMETER_INVALID),
    ("TARGET_FORBIDDEN", &Code::PARAMETER_INVALID),
    ("TASK_NOT_FOUND", &Code::TASK_NOT_FOUND),
    ("EXECUTION_NOT_FOUND", &Code::RESOURCE_NOT_FOUND),
    ("CLUSTER_NOT_FOUND", &Code::CLUSTER_NOT_FOUND),
    ("CLUSTER_EXISTS", &Code::CLUSTER_EXISTS),
    ("CENTER_EXISTS", &Code::CENTER_EXISTS),
    ("NOT_RUN_ONCE", &Code::METHOD_NOT_ALLOWED),
    ("TASK_RUNNING", &Code::TASK_STATUS),
    ("TASK_DISABLED", &Code::TASK_DISABLED),
    ("EXECUTION_ENDED", &Code::TASK_STATUS),
    ("NOT_RESUMABLE", &Code::TASK_STATUS),
    ("CLUSTER_UNREACHABLE", &Code::CLUSTER_CONNECT),
    ("CLUSTER_TLS", &Code::CLUSTER_TLS),
    ("PROJECT_NOT_FOUND", &Code::PROJECT_NOT_FOUND),
    ("PROJECT_EXISTS", &Code::PROJECT_EXISTED),
    ("PROJECT_NOT_EMPTY", &Code::DELETION_DENIED),
    ("REPOSITORY_NOT_FOUND", &Code::REPOSITORY_NOT_FOUND),
    ("REPOSITORY_EXISTS", &Code::REPOSITORY_EXISTED),
    ("REPOSITORY_NOT_EMPTY", &Code::REPOSITORY_NOT_EMPTY),
    ("FILE_NOT_FOUND", &Code::NODE_NOT_FOUND),
    ("IMAGE_NOT_FOUND", &Code::PACKAGE_NOT_FOUND),
    ("BLOB_NOT_FOUND", &Code::NODE_NOT_FOUND),
    ("FILE_EXISTS", &Code::NODE_EXISTED),
    ("FILE_CONFLICT", &Code::NODE_CONFLICT),
    ("DIGEST_MISMATCH", &Code::DIGEST_MISMATCH),
    ("PACKAGE_NOT_FOUND", &Code::PACKAGE_NOT_FOUND),
    ("VERSION_NOT_FOUND", &Code::VERSION_NOT_FOUND),
    ("TOO_MANY_ATTEMPTS", &Code::UNAUTHENTICATED),
];

impl Refusal {
    pub(crate) fn new(code: &'static Code, arg: impl Into<String>) -> Self {
        Refusal { code, args: vec![arg.into()], header: None }
    }

    /// One whose text has no place for anything.
    pub(crate) fn plain(code: &'static Code) -> Self {
        Refusal { code, args: Vec::new(), header: None }
    }

    /// What a service said.
    pub(crate) fn of(failure: &Failure) -> Self {
        let Some(info) = failure.info() else { return Self::of_unknown(failure) };
        let arg = || info.metadata.get("arg").cloned().unwrap_or_default();
        if let Some((_, code)) = REASONS.iter().find(|(reason, _)| *reason == info.reason) {
            return Refusal::new(code, arg());
        }
        match info.reason.as_str() {
            "INVALID_ARGUMENT" => Refusal::new(&Code::PARAMETER_INVALID, first_field(failure)),
            // What the server cannot take, whoever asks.
            "WRONG_REPOSITORY_TYPE"
            | "TOO_LARGE"
            | "TOO_MANY_TASKS"
            | "TOO_MANY_UPLOADS"
            | "TOO_MANY_WATCHERS"
            | "INVALID_RANGE"
            | "RANGE_NOT_SATISFIABLE"
            | "UPLOAD_BROKEN_OFF"
            | "TAG_CONFLICT" => Refusal::new(&Code::METHOD_NOT_ALLOWED, failure.status().message()),
            _ => Self::of_unknown(failure),
        }
    }

    fn of_unknown(failure: &Failure) -> Self {
        match failure.status().code() {
            GrpcCode::Unauthenticated => Self::unauthenticated(),
            GrpcCode::PermissionDenied => Refusal::new(&Code::REQUEST_DENIED, failure.status().message()),
            _ => {
                // It is logged there.
                let reported: PlainError = failure.report();
                match reported.status() {
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => Refusal::plain(&Code::UNAVAILABLE),
                    _ => Refusal::plain(&Code::SYSTEM_ERROR),
                }
            }
        }
    }

    pub(crate) fn unauthenticated() -> Self {
        Refusal { header: Some(CHALLENGE), ..Refusal::new(&Code::UNAUTHENTICATED, "Unauthorized") }
    }

    /// The same, with another code for some of them.
    pub(crate) fn instead(self, code: &'static Code, other: &'static Code) -> Self {
        if self.code == code { Refusal { code: other, ..self } } else { self }
    }

    /// The same, with another code and another name for what is meant.
    pub(crate) fn renamed(self, code: &'static Code, other: &'static Code, arg: &str) -> Self {
        if self.code == code { Refusal::new(other, arg) } else { self }
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, code: &'static Code) -> bool {
        self.code == code
    }

    pub(super) fn status(&self) -> StatusCode {
        self.code.status
    }

    pub(super) fn code(&self) -> u32 {
        self.code.number
    }

    pub(super) fn header(&self) -> Option<(&'static str, &'static str)> {
        self.header
    }

    pub(super) fn message(&self, language: Language) -> String {
        let text = match language {
            Language::English => self.code.english,
            Language::Chinese => self.code.chinese,
        };
        let mut message = String::with_capacity(text.len());
        let mut rest = text;
        // In one go, so that what stands in a value is never taken for a place.
        while let Some(start) = rest.find('{') {
            let place = rest[start..].find('}').map(|end| &rest[start..=start + end]);
            let arg = place.and_then(|place| place[1..place.len() - 1].parse::<usize>().ok());
            let arg = arg.and_then(|number| self.args.get(number));
            let place = place.unwrap_or(&rest[start..]);
            message.push_str(&rest[..start]);
            message.push_str(arg.map_or(place, String::as_str));
            rest = &rest[start + place.len()..];
        }
        message + rest
    }
}

/// The first field that is wrong, without what it is in.
fn first_field(failure: &Failure) -> String {
    let details = failure.status().get_details_bad_request();
    let field = details.and_then(|details| details.field_violations.into_iter().next()).map(|wrong| wrong.field);
    let field = field.unwrap_or_default();
    field.rsplit('.').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_what_is_meant_in_their_places() {
        let refusal = Refusal::new(&Code::VERSION_NOT_FOUND, "docker://nginx{0}");
        assert_eq!(refusal.message(Language::English), "Package version [docker://nginx{0}-{1}] not found");
        assert_eq!(refusal.message(Language::Chinese), "制品包版本[docker://nginx{0}]不存在");
        assert_eq!(Refusal::plain(&Code::CLUSTER_TLS).message(Language::English), "remote cluster ssl error");
    }

    #[test]
    fn no_reason_is_there_twice() {
        let mut reasons: Vec<&str> = REASONS.iter().map(|(reason, _)| *reason).collect();
        reasons.sort_unstable();
        reasons.dedup();
        assert_eq!(reasons.len(), REASONS.len());
    }
}

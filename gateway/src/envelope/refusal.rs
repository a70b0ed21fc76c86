//! What a request is refused with, and which reason of the services becomes which code.

use http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use tonic::Code as GrpcCode;
use tonic_types::StatusExt as _;

use super::code::Code;
use super::language::Language;
use crate::upstream::Failure;

/// A code, and what stands in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: &'static Code,
    status: StatusCode,
    args: Vec<String>,
    /// Boxed, because most have none.
    headers: Box<HeaderMap>,
}

/// How a client has to prove who it is.
const CHALLENGE: &str = r#"Basic realm="Authentication Required""#;

/// What a reason means. `{0}` is the metadata `arg`, or else the message, unless a request says otherwise.
const REASONS: [(&str, &Code); 30] = [
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
];

impl Refusal {
    pub(crate) fn new(code: &'static Code, arg: impl Into<String>) -> Self {
        Refusal { args: vec![arg.into()], ..Self::plain(code) }
    }

    /// One whose text has no place for anything.
    pub(crate) fn plain(code: &'static Code) -> Self {
        Refusal { code, status: code.status, args: Vec::new(), headers: Box::default() }
    }

    /// What a service said.
    pub(crate) fn of(failure: &Failure) -> Self {
        let Some(info) = failure.info() else { return Self::of_unknown(failure) };
        let arg = || info.metadata.get("arg").map_or(failure.status().message(), String::as_str);
        if let Some((_, code)) = REASONS.iter().find(|(reason, _)| *reason == info.reason) {
            return Refusal::new(code, arg());
        }
        match info.reason.as_str() {
            "INVALID_ARGUMENT" => Refusal::new(&Code::PARAMETER_INVALID, first_field(failure)),
            // What the server cannot take, whoever asks.
            "WRONG_REPOSITORY_TYPE"
            | "TOO_LARGE"
            | "TOO_MANY_TASKS"
            | "TOO_MANY_CLUSTERS"
            | "INVALID_RANGE"
            | "RANGE_NOT_SATISFIABLE"
            | "UPLOAD_BROKEN_OFF"
            | "TAG_CONFLICT" => Refusal::new(&Code::METHOD_NOT_ALLOWED, failure.status().message()),
            _ => Self::of_unknown(failure),
        }
    }

    /// What only the code of the call tells. Texts that are not Steward's are not for clients.
    fn of_unknown(failure: &Failure) -> Self {
        let info = failure.info();
        let reason = info.as_ref().map_or("", |info| info.reason.as_str());
        let busy = |status| Refusal::plain(&Code::SYSTEM_ERROR).with_status(status);
        match failure.status().code() {
            GrpcCode::Unauthenticated => Self::unauthenticated(),
            GrpcCode::PermissionDenied => {
                Refusal::new(&Code::REQUEST_DENIED, info.map_or("", |_| failure.status().message()))
            }
            GrpcCode::ResourceExhausted if reason == "DISK_FULL" => busy(StatusCode::INSUFFICIENT_STORAGE),
            GrpcCode::ResourceExhausted => busy(StatusCode::TOO_MANY_REQUESTS).with(RETRY_AFTER, failure.retry_after()),
            code => {
                // It is logged there.
                let refusal = busy(failure.report().status());
                let is_soon_over = code == GrpcCode::Unavailable;
                if is_soon_over { refusal.with(RETRY_AFTER, failure.retry_after()) } else { refusal }
            }
        }
    }

    fn unauthenticated() -> Self {
        let challenge = HeaderValue::from_static(CHALLENGE);
        Refusal::new(&Code::UNAUTHENTICATED, "Unauthorized").with(WWW_AUTHENTICATE, challenge)
    }

    /// The same, with another status.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Refusal { status, ..self }
    }

    /// The same, with a header that a client needs to go on.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same, with another code for some of them.
    pub(crate) fn instead(self, code: &'static Code, other: &'static Code) -> Self {
        if self.code == code { Refusal { code: other, status: other.status, ..self } } else { self }
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
        self.status
    }

    pub(super) fn code(&self) -> u32 {
        self.code.number
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
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

/// The first field that is wrong, without what it is in, by its name in these APIs.
fn first_field(failure: &Failure) -> String {
    let details = failure.status().get_details_bad_request();
    let field = details.and_then(|details| details.field_violations.into_iter().next()).map(|wrong| wrong.field);
    let field = field.unwrap_or_default();
    match field.rsplit('.').next().unwrap_or_default() {
        "project" => "projectId".to_owned(),
        "repository" => "repoName".to_owned(),
        "path" | "folder" => "fullPath".to_owned(),
        other => in_camel_case(other),
    }
}

fn in_camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let head = part.chars().take(1).map(|first| first.to_ascii_uppercase());
        name + &head.chain(part.chars().skip(1)).collect::<String>()
    })
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
    fn fields_have_the_names_that_clients_know() {
        for (field, expected) in
            [("name", "name"), ("page_size", "pageSize"), ("a_b_c", "aBC"), ("metadata[1]", "metadata[1]")]
        {
            assert_eq!(in_camel_case(field), expected);
        }
    }

    #[test]
    fn no_reason_is_there_twice() {
        let mut reasons: Vec<&str> = REASONS.iter().map(|(reason, _)| *reason).collect();
        reasons.sort_unstable();
        reasons.dedup();
        assert_eq!(reasons.len(), REASONS.len());
    }
}

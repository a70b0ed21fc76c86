//! Answers that are not what the client wanted, as `envelope` has them but for what only files have.

use http::StatusCode;
use http::header::{ALLOW, CONNECTION, CONTENT_RANGE, HeaderValue};

use crate::envelope::{self, Code};
use crate::feed::{self, Fault};
use crate::incoming::Interruption;
use crate::upstream::{Call, Failure};

/// An error as the client reads it.
#[derive(Debug)]
pub(super) struct Refusal(envelope::Refusal);

impl Refusal {
    /// Refuses a parameter, or a header that is one.
    pub(super) fn invalid(name: &'static str) -> Self {
        Self(envelope::Refusal::new(&Code::PARAMETER_INVALID, name))
    }

    /// There is no such file.
    pub(super) fn missing(path: &str) -> Self {
        Self(envelope::Refusal::new(&Code::NODE_NOT_FOUND, path))
    }

    /// Refuses a method where only those of `allow` make sense.
    pub(super) fn method(allow: &'static str) -> Self {
        let refusal = envelope::Refusal::new(&Code::VERB_NOT_ALLOWED, format!("only {allow}"));
        Self(refusal.with(ALLOW, HeaderValue::from_static(allow)))
    }

    /// Refuses a part of so many bytes that has none of them.
    pub(super) fn unsatisfiable(size: u64) -> Self {
        let range = HeaderValue::try_from(format!("bytes */{size}")).expect("numbers are visible ASCII");
        let Self(refusal) = Self::invalid("Range");
        Self(refusal.with_status(StatusCode::RANGE_NOT_SATISFIABLE).with(CONTENT_RANGE, range))
    }

    /// The same, where a condition of the request does not hold.
    pub(super) fn unmet(self) -> Self {
        Self(self.0.with_status(StatusCode::PRECONDITION_FAILED))
    }

    /// Reports an answer that the contract of the service rules out.
    pub(super) fn broken(call: &Call, answer: &'static str) -> Self {
        call.unexpected(answer);
        Self(envelope::Refusal::plain(&Code::SYSTEM_ERROR))
    }

    /// Refuses a body.
    fn content(status: StatusCode) -> Self {
        Self(envelope::Refusal::plain(&Code::REQUEST_CONTENT_INVALID).with_status(status))
    }

    /// The connection cannot be used after it.
    fn closing(self) -> Self {
        Self(self.0.with(CONNECTION, HeaderValue::from_static("close")))
    }
}

impl From<Refusal> for envelope::Refusal {
    fn from(refusal: Refusal) -> Self {
        refusal.0
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure.info().as_ref().map_or("", |info| info.reason.as_str()) {
            "WRONG_REPOSITORY_TYPE" => Self::invalid("repoName"),
            "UPLOAD_BROKEN_OFF" => Self::content(StatusCode::BAD_REQUEST),
            "TOO_LARGE" => Self::content(StatusCode::PAYLOAD_TOO_LARGE),
            _ => Self(envelope::Refusal::of(&failure)),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Interrupted(Interruption::Broken) | Fault::WrongLength => {
                Self::content(StatusCode::BAD_REQUEST).closing()
            }
            Fault::Interrupted(Interruption::Idle) => Self::content(StatusCode::REQUEST_TIMEOUT).closing(),
            Fault::TooLong => Self::content(StatusCode::PAYLOAD_TOO_LARGE),
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

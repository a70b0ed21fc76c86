//! One form for every refusal: a category, a reason that programs read, and a message that people read.

use std::collections::HashMap;
use std::time::Duration;

use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::store;

/// The domain of all reasons, as `google.rpc.ErrorInfo` has it.
pub const DOMAIN: &str = "steward";

/// What kind of refusal it is: which gRPC code it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// The request itself is wrong.
    InvalidArgument,
    /// The thing is not there.
    NotFound,
    /// It is there already, and is not what was sent.
    AlreadyExists,
    /// Who asks is not known.
    Unauthenticated,
    /// Who asks may not.
    PermissionDenied,
    /// This server never does it.
    Unimplemented,
    /// The state does not allow it.
    FailedPrecondition,
    /// A limit is reached.
    ResourceExhausted,
    /// The asked part of the past is gone.
    OutOfRange,
    /// Not now; the same request may do later.
    Unavailable,
    /// What was stored cannot be read any more.
    DataLoss,
    /// The server is at fault. The message stays here; the caller gets none of it.
    Internal,
}

impl Category {
    fn code(self) -> tonic::Code {
        match self {
            Category::InvalidArgument => tonic::Code::InvalidArgument,
            Category::NotFound => tonic::Code::NotFound,
            Category::AlreadyExists => tonic::Code::AlreadyExists,
            Category::Unauthenticated => tonic::Code::Unauthenticated,
            Category::PermissionDenied => tonic::Code::PermissionDenied,
            Category::Unimplemented => tonic::Code::Unimplemented,
            Category::FailedPrecondition => tonic::Code::FailedPrecondition,
            Category::ResourceExhausted => tonic::Code::ResourceExhausted,
            Category::OutOfRange => tonic::Code::OutOfRange,
            Category::Unavailable => tonic::Code::Unavailable,
            Category::DataLoss => tonic::Code::DataLoss,
            Category::Internal => tonic::Code::Internal,
        }
    }
}

/// A refusal, ready to be answered.
#[derive(Clone, Debug)]
pub struct Failure {
    category: Category,
    reason: &'static str,
    message: String,
    /// Apart, so that a refusal is small where it is returned.
    details: Box<Details>,
}

#[derive(Clone, Debug, Default)]
struct Details {
    metadata: HashMap<String, String>,
    violations: Vec<FieldViolation>,
    retry_delay: Option<Duration>,
}

impl Failure {
    /// A refusal for `reason`, a word in capitals that never changes its meaning.
    pub fn new(category: Category, reason: &'static str, message: impl Into<String>) -> Self {
        Failure { category, reason, message: message.into(), details: Box::default() }
    }

    /// All that is wrong with the fields of a request.
    pub fn invalid<F: Into<String>>(violations: impl IntoIterator<Item = (F, String)>) -> Self {
        let violations: Vec<FieldViolation> =
            violations.into_iter().map(|(field, problem)| FieldViolation::new(field, problem)).collect();
        let list: Vec<String> = violations.iter().map(|v| format!("{}: {}", v.field, v.description)).collect();
        let mut failure = Failure::new(Category::InvalidArgument, "INVALID_ARGUMENT", list.join("; "));
        failure.details.violations = violations;
        failure
    }

    /// What kind of refusal it is.
    pub fn category(&self) -> Category {
        self.category
    }

    /// What is wrong, for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Adds a fact for programs.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.details.metadata.insert(name.to_owned(), value.into());
        self
    }

    /// Adds to the message what would help.
    #[must_use]
    pub fn because(mut self, why: &str) -> Self {
        self.message = format!("{}: {why}", self.message);
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.details.retry_delay = Some(delay);
        self
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        let message = error.to_string();
        match error {
            store::Error::Compacted { floor, .. } => {
                Failure::new(Category::OutOfRange, "REVISION_COMPACTED", message).with("floor", floor.to_string())
            }
            store::Error::Busy(_) => Failure::new(Category::Unavailable, "BUSY", message),
            store::Error::Closed(_) => Failure::new(Category::Unavailable, "STORE_CLOSED", message),
            store::Error::Refused(_) | store::Error::Damaged { .. } => {
                Failure::new(Category::Internal, "INTERNAL", message)
            }
        }
    }
}

impl From<Failure> for tonic::Status {
    fn from(failure: Failure) -> Self {
        if failure.category == Category::Internal {
            tracing::error!(problem = failure.message, "a request failed for an internal reason");
            let details = ErrorDetails::with_error_info(failure.reason, DOMAIN, HashMap::new());
            return tonic::Status::with_error_details(tonic::Code::Internal, "internal error", details);
        }
        let Details { metadata, violations, retry_delay } = *failure.details;
        let mut details = ErrorDetails::with_error_info(failure.reason, DOMAIN, metadata);
        if !violations.is_empty() {
            details.set_bad_request(violations);
        }
        if retry_delay.is_some() {
            details.set_retry_info(retry_delay);
        }
        tonic::Status::with_error_details(failure.category.code(), failure.message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_programs_its_reason_and_every_wrong_field() {
        let status: tonic::Status =
            Failure::invalid([("owner", "is empty".to_owned()), ("ttl", "too long".to_owned())]).into();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert_eq!(status.message(), "owner: is empty; ttl: too long");
        let details = status.get_error_details();
        let info = details.error_info().expect("an ErrorInfo");
        assert_eq!((info.domain.as_str(), info.reason.as_str()), ("steward", "INVALID_ARGUMENT"));
        assert_eq!(details.bad_request().expect("a BadRequest").field_violations.len(), 2);
    }

    #[test]
    fn the_inside_of_an_internal_failure_stays_inside() {
        let status: tonic::Status = Failure::new(Category::Internal, "INTERNAL", "/var/secret is odd").into();
        assert_eq!(status.message(), "internal error");
    }
}

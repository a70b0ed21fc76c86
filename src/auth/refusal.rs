//! What a caller is told who is not let in.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::attempts::LONGEST_DELAY;
use crate::error::{Category, Failure};

/// When to try again after too many attempts.
const RETRY_DELAY: Duration = LONGEST_DELAY;

pub(super) fn unauthenticated(problem: &'static str) -> Failure {
    Failure::new(Category::Unauthenticated, "UNAUTHENTICATED", problem)
}

pub(super) fn too_many() -> Failure {
    Failure::new(Category::ResourceExhausted, "TOO_MANY_ATTEMPTS", "too many attempts to log in; try again later")
}

/// The failure as the caller reads it, with the time to try again where there is one.
pub(super) fn status(failure: Failure) -> Status {
    let status = Status::from(failure);
    if status.code() != Code::ResourceExhausted {
        return status;
    }
    let mut details = status.get_error_details();
    details.set_retry_info(Some(RETRY_DELAY));
    Status::with_error_details(status.code(), status.message(), details)
}

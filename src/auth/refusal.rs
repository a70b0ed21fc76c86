//! What a caller is told who is not let in.

use std::time::Duration;

use super::attempts::LONGEST_DELAY;
use crate::error::{Category, Failure};

/// When to try again after too many attempts.
const RETRY_DELAY: Duration = LONGEST_DELAY;

pub(super) fn unauthenticated(problem: &'static str) -> Failure {
    Failure::new(Category::Unauthenticated, "UNAUTHENTICATED", problem)
}

pub(super) fn too_many() -> Failure {
    let problem = "too many attempts to log in; try again later";
    Failure::new(Category::ResourceExhausted, "TOO_MANY_ATTEMPTS", problem).retry_after(RETRY_DELAY)
}

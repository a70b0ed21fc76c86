//! What a caller is told who is not let in.

use crate::error::{Category, Failure};

pub(super) fn unauthenticated(problem: &'static str) -> Failure {
    Failure::new(Category::Unauthenticated, "UNAUTHENTICATED", problem)
}

pub(super) fn too_many() -> Failure {
    Failure::new(Category::ResourceExhausted, "TOO_MANY_ATTEMPTS", "too many attempts to log in; try again later")
}

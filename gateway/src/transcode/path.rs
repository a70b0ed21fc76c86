//! The ids in paths.
//!
//! Quirk: `/workers/abc` and `/workers/-1` are no paths at all, while a task that cannot be is a task that is not. So
//! they are 404 with every method that a worker has: `DELETE` of them too, which the original refused as a method (405).

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use super::NO_ROUTE;
use super::refusal::Refusal;

/// The number in a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number(Option<i32>);

impl Number {
    /// Answers it, or `refusal` where nothing can have it.
    pub(super) fn or(self, refusal: Refusal) -> Result<i32, Refusal> {
        self.0.filter(|number| *number > 0).ok_or(refusal)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Number {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| NO_ROUTE)?;
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NO_ROUTE);
        }
        Ok(Self(text.parse().ok()))
    }
}

/// The id of a task in a path, whatever it is.
#[derive(Clone, Debug)]
pub(super) struct TaskId(String);

impl TaskId {
    /// Answers the UUID, or that there is no such task.
    pub(super) fn uuid(&self) -> Result<String, Refusal> {
        uuid(&self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TaskId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        // What is no text is no UUID either.
        let text = Path::from_request_parts(parts, state).await.map(|Path(text)| text);
        Ok(Self(text.unwrap_or_default()))
    }
}

/// Reads a UUID; no task has anything else.
pub(super) fn uuid(text: &str) -> Result<String, Refusal> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let is_right = |(place, byte): (usize, u8)| {
        if HYPHENS.contains(&place) { byte == b'-' } else { byte.is_ascii_hexdigit() }
    };
    if text.len() == 36 && text.bytes().enumerate().all(is_right) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(Refusal::no_task())
    }
}

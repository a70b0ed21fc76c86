//! What has to be so for a file to be stored or deleted. It is looked at in the commit that does it.

use http::header::{IF_MATCH, IF_NONE_MATCH};

use super::Asked;
use super::refusal::Refusal;
use crate::feed;
use crate::upstream::Failure;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// There is none.
    None,
    /// Nothing has the path: `If-None-Match: *`.
    Absent,
    /// The file has these bytes, by their SHA-256: `If-Match: "…"`.
    Has(String),
}

impl Condition {
    /// Reads that of a request. One that is not understood is refused: who makes it counts on it.
    pub(super) fn of(asked: &Asked) -> Result<Self, Refusal> {
        let headers = &asked.parts.headers;
        match (headers.contains_key(IF_MATCH), headers.contains_key(IF_NONE_MATCH)) {
            (false, false) => Ok(Condition::None),
            (true, false) => tag(asked.header(IF_MATCH).unwrap_or_default()),
            (false, true) if asked.header(IF_NONE_MATCH).is_some_and(|tags| tags.trim() == "*") => {
                Ok(Condition::Absent)
            }
            (_, true) => Err(Refusal::invalid("If-None-Match")),
        }
    }

    /// The SHA-256 that it names; empty: none.
    pub(super) fn sha256(&self) -> String {
        match self {
            Condition::Has(sha256) => sha256.clone(),
            Condition::None | Condition::Absent => String::new(),
        }
    }

    /// What a refusal of the bytes, or of the call, means.
    pub(super) fn refused(&self, error: feed::Error) -> Refusal {
        match error {
            feed::Error::Call(failure) => self.failed(failure),
            feed::Error::Body(fault) => fault.into(),
        }
    }

    /// What a refusal of the call means.
    pub(super) fn failed(&self, failure: Failure) -> Refusal {
        let reason = failure.info().map(|info| info.reason.clone());
        let refusal = Refusal::from(failure);
        match (self, reason.as_deref()) {
            (Condition::Absent, Some("FILE_EXISTS"))
            | (Condition::Has(_), Some("FILE_CONFLICT" | "FILE_NOT_FOUND")) => refusal.unmet(),
            _ => refusal,
        }
    }
}

/// Reads a single entity tag, which is the SHA-256 of the bytes.
fn tag(text: &str) -> Result<Condition, Refusal> {
    let quoted = text.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let sha256 = quoted.filter(|tag| tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()));
    sha256.map(|sha256| Condition::Has(sha256.to_ascii_lowercase())).ok_or_else(|| Refusal::invalid("If-Match"))
}

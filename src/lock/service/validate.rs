//! Reads the fields of requests about locks.

use std::time::Duration;

use steward_proto::lock::v1 as api;

use crate::fields::Fields;
use crate::lock::model::{GrantId, LeaseId, LockKey, Mode};

/// The longest part of a key, and the longest owner, in bytes.
const MAX_NAME_BYTES: usize = 1024;
/// The longest request id, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;
/// The most permits of a semaphore.
const MAX_CAPACITY: u32 = 1_000_000;
/// Longer explanations of a failure are cut, in bytes.
const MAX_ERROR_BYTES: usize = 2048;

/// The shortest and the longest ttl.
pub(super) const TTL: (Duration, Duration) = (Duration::from_millis(10), Duration::from_hours(30 * 24));
/// The shortest and the longest life of a grant or lease.
pub(super) const LIFETIME: (Duration, Duration) = (Duration::from_millis(10), Duration::from_hours(365 * 24));
/// The shortest and the longest wait in a call.
pub(super) const WAIT: (Duration, Duration) = (Duration::ZERO, Duration::from_hours(24));
/// How seldom and how often a watch may tell its progress.
pub(super) const PROGRESS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(1));

impl Fields {
    pub(super) fn key(&mut self, key: Option<api::LockKey>) -> LockKey {
        let Some(key) = key else {
            self.reject("key", "is required");
            return LockKey { lock_type: String::new(), resource_id: String::new() };
        };
        self.name("key.type", &key.r#type);
        self.name("key.resource_id", &key.resource_id);
        LockKey { lock_type: key.r#type, resource_id: key.resource_id }
    }

    /// A text that names something: 1 to 1024 bytes.
    pub(super) fn name(&mut self, field: &'static str, name: &str) {
        self.required_text(field, name, MAX_NAME_BYTES);
    }

    pub(super) fn optional_name(&mut self, field: &'static str, name: String) -> Option<String> {
        self.text(field, &name, MAX_NAME_BYTES);
        (!name.is_empty()).then_some(name)
    }

    pub(super) fn request_id(&mut self, id: String) -> String {
        self.text("request_id", &id, MAX_REQUEST_ID_BYTES);
        id
    }

    pub(super) fn lease_id(&mut self, id: &str) -> Option<LeaseId> {
        self.uuid("lease_id", id).map(LeaseId)
    }

    pub(super) fn grant_id(&mut self, id: &str) -> GrantId {
        if id.is_empty() {
            self.reject("grant_id", "is required");
        }
        GrantId(self.uuid("grant_id", id).unwrap_or_default())
    }

    /// How the lock is to be held, and the capacity of a semaphore.
    pub(super) fn mode(&mut self, mode: api::LockMode, capacity: u32, permits: u32) -> (Mode, u32) {
        if mode != api::LockMode::Semaphore {
            if capacity != 0 {
                self.reject("capacity", "is only for semaphores");
            }
            if permits != 0 {
                self.reject("permits", "are only for semaphores");
            }
            return (if mode == api::LockMode::Shared { Mode::Shared } else { Mode::Exclusive }, 0);
        }
        let permits = permits.max(1);
        if !(1..=MAX_CAPACITY).contains(&capacity) {
            self.reject("capacity", format!("has to be between 1 and {MAX_CAPACITY}"));
        } else if permits > capacity {
            self.reject("permits", format!("{permits} are more than the capacity of {capacity}"));
        }
        (Mode::Semaphore { permits }, capacity)
    }
}

/// An explanation, cut where it is too long, between two characters.
pub(super) fn cut_error(error: String) -> String {
    cut(error, MAX_ERROR_BYTES)
}

/// A text of at most so many bytes, cut between two characters.
pub(super) fn cut(mut text: String, max_bytes: usize) -> String {
    if text.len() > max_bytes {
        let end = (0..=max_bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_is_cut_between_characters() {
        assert_eq!(cut_error("é".repeat(1025)).len(), 2048);
        assert_eq!(cut_error(format!("a{}", "é".repeat(1024))).len(), 2047);
        assert_eq!(cut_error("short".to_owned()), "short");
    }

    #[test]
    fn every_wrong_field_is_named() {
        let mut fields = Fields::default();
        fields.key(Some(api::LockKey { r#type: String::new(), resource_id: "x".repeat(1025) }));
        fields.mode(api::LockMode::Semaphore, 2, 3);
        let message = tonic::Status::from(fields.check().expect_err("a refusal")).message().to_owned();
        assert_eq!(
            message,
            "key.type: is required; key.resource_id: has 1025 bytes; the limit is 1024; \
             permits: 3 are more than the capacity of 2"
        );
    }
}

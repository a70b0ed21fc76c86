//! One event of a subscription, as it goes over the wire.
//!
//! Quirk: the keys are not in alphabetical order, other than in all the answers.
//! Quirk: a hand-over is told as a failure whose `node_id` is the *new* holder and whose `error` is empty; waiting
//! clients give up at any other form.

use bytes::Bytes;
use serde::Serialize;
use steward_proto::lock::v1::LockKey;

use super::time::rfc3339_or_zero;
use crate::go;

/// Something that a subscriber is told about a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Event {
    r#type: String,
    resource_id: String,
    node_id: String,
    success: bool,
    error: &'static str,
    completed_at: String,
}

impl Event {
    /// The work was done by `node_id`.
    pub(super) fn success(key: &LockKey, node_id: String, time: Option<&prost_types::Timestamp>) -> Self {
        let LockKey { r#type, resource_id } = key.clone();
        Self { r#type, resource_id, node_id, success: true, error: "", completed_at: rfc3339_or_zero(time) }
    }

    /// The lock was handed to `node_id`, because the holder before it failed.
    pub(super) fn hand_over(key: &LockKey, node_id: String, time: Option<&prost_types::Timestamp>) -> Self {
        Self { success: false, ..Self::success(key, node_id, time) }
    }

    pub(super) fn node_id(&self) -> &str {
        &self.node_id
    }

    /// Writes the event as a frame of `text/event-stream`.
    pub(super) fn frame(&self) -> Bytes {
        format!("data: {}\n\n", go::json::encode(self)).into()
    }
}

//! The requests of the lock API.
//!
//! Quirk: the content type is never looked at.
//! Quirk: a field that only another endpoint knows is as unknown as any other, whatever its value.
//! Quirk: a string of spaces is not empty.
//! Quirk: `ttl_seconds: 0` is as good as none.

use std::time::Duration;

use http::StatusCode;
use serde::de::{Error, MapAccess};
use steward_proto::lock::v1::LockKey;

use crate::answer::PlainError;
use crate::body::{ReadError, Unread};
use crate::go;
use crate::go::json::{Fields, read_into, skip};

const BODY_LIMIT: usize = 64 * 1024;
const MAX_TTL: Duration = Duration::from_hours(30 * 24);

const MALFORMED: PlainError = PlainError::new(StatusCode::BAD_REQUEST, "无效的请求格式");
const INCOMPLETE: PlainError = PlainError::new(StatusCode::BAD_REQUEST, "缺少必要参数");
const TOO_LONG: PlainError = PlainError::new(StatusCode::PAYLOAD_TOO_LARGE, "请求体过大，最多 64 KiB");
const TOO_LATE: PlainError = PlainError::new(StatusCode::REQUEST_TIMEOUT, "请求体接收超时");
const NO_ROOM: PlainError =
    PlainError::new(StatusCode::SERVICE_UNAVAILABLE, "服务暂时不可用，请稍后重试").retry_after(1);

/// Which lock a request is about, and who sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) r#type: String,
    pub(super) resource_id: String,
    pub(super) node_id: String,
}

/// The body of `POST /lock`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LockRequest {
    pub(super) subject: Subject,
    pub(super) ttl: Option<Duration>,
}

/// The body of `POST /unlock`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UnlockRequest {
    pub(super) subject: Subject,
    pub(super) success: Option<bool>,
    pub(super) error: String,
}

/// Reads a request from a body of at most 64 KiB.
pub(super) async fn read<T: Fields>(body: Unread) -> Result<T, PlainError> {
    let bytes = body.read(BODY_LIMIT).await.map_err(|error| match error {
        ReadError::TooLong => TOO_LONG,
        ReadError::Broken => MALFORMED,
        ReadError::TooLate => TOO_LATE,
        ReadError::NoRoom => NO_ROOM,
    })?;
    go::json::decode(&bytes).map_err(|_| MALFORMED)
}

impl Subject {
    pub(super) fn from_query(query: &str) -> Self {
        let value = |name| go::query::first(query, name);
        Self { r#type: value("type"), resource_id: value("resource_id"), node_id: value("node_id") }
    }

    pub(super) fn names_a_lock(&self) -> bool {
        !self.r#type.is_empty() && !self.resource_id.is_empty()
    }

    pub(super) fn names_a_node(&self) -> bool {
        !self.node_id.is_empty()
    }

    /// Fails unless it names a lock.
    pub(super) fn require_lock(&self) -> Result<(), PlainError> {
        if self.names_a_lock() { Ok(()) } else { Err(INCOMPLETE) }
    }

    /// Fails unless it names a lock and a node.
    pub(super) fn require_lock_and_node(&self) -> Result<(), PlainError> {
        self.require_lock()?;
        if self.names_a_node() { Ok(()) } else { Err(INCOMPLETE) }
    }

    /// Takes it apart into the lock's key and the node.
    pub(super) fn into_key_and_node(self) -> (LockKey, String) {
        (LockKey { r#type: self.r#type, resource_id: self.resource_id }, self.node_id)
    }
}

impl Fields for Subject {
    fn read<'de, M: MapAccess<'de>>(&mut self, name: &str, object: &mut M) -> Result<(), M::Error> {
        match name {
            "type" => read_into(&mut self.r#type, object),
            "resource_id" => read_into(&mut self.resource_id, object),
            "node_id" => read_into(&mut self.node_id, object),
            _ => skip(object),
        }
    }
}

impl Fields for LockRequest {
    fn read<'de, M: MapAccess<'de>>(&mut self, name: &str, object: &mut M) -> Result<(), M::Error> {
        match name {
            "ttl_seconds" => {
                if let Some(seconds) = object.next_value::<Option<f64>>()? {
                    self.ttl = ttl(seconds)?;
                }
                Ok(())
            }
            _ => self.subject.read(name, object),
        }
    }
}

impl Fields for UnlockRequest {
    fn read<'de, M: MapAccess<'de>>(&mut self, name: &str, object: &mut M) -> Result<(), M::Error> {
        match name {
            "success" => read_into(&mut self.success, object),
            "error" => read_into(&mut self.error, object),
            _ => self.subject.read(name, object),
        }
    }
}

fn ttl<E: Error>(seconds: f64) -> Result<Option<Duration>, E> {
    let ttl = Duration::try_from_secs_f64(seconds).map_err(E::custom)?;
    if ttl > MAX_TTL {
        return Err(E::custom("ttl_seconds is more than 30 days"));
    }
    Ok((seconds > 0.0).then_some(ttl))
}

#[cfg(test)]
mod tests;

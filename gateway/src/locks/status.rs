//! `/lock/status`: read a lock, by query string or by body.
//!
//! Quirk: an unknown lock is never a 404; nothing is true of it. So it is with a key that no lock can have.
//! Quirk: `acquired` is about the node when one is given, and about anybody when not.
//! Quirk: a node that reads here that it was handed the lock has claimed it by that.

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use steward_proto::lock::v1::{GetRequest, Lock};

use super::Locks;
use super::request::{self, Subject};
use crate::answer::{self, PlainError};
use crate::body::Unread;
use crate::upstream::{Call, Caller, Reason};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Handles `GET /lock/status`.
pub(super) async fn by_query(
    State(locks): State<Locks>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, PlainError> {
    status(locks, caller, Subject::from_query(&query.unwrap_or_default())).await
}

/// Handles `POST /lock/status`.
pub(super) async fn by_body(State(locks): State<Locks>, caller: Caller, body: Unread) -> Result<Response, PlainError> {
    status(locks, caller, request::read(body).await?).await
}

async fn status(mut locks: Locks, caller: Caller, subject: Subject) -> Result<Response, PlainError> {
    subject.require_lock()?;
    let (key, node_id) = subject.into_key_and_node();
    let call = Call::new("Get", caller, TIMEOUT);
    let message = GetRequest { key: Some(key), claim_as: node_id.clone() };
    let lock = match call.run(locks.client.get(call.request(message))).await {
        Ok(response) => response.lock.unwrap_or_default(),
        Err(failure) if failure.reason() == Some(Reason::InvalidArgument) => Lock::default(),
        Err(failure) => return Err(failure.report()),
    };
    Ok(answer::json(StatusCode::OK, &StatusAnswer::new(&lock, &node_id)))
}

/// The body, in the order of its keys.
#[derive(Serialize)]
struct StatusAnswer {
    acquired: bool,
    completed: bool,
    success: bool,
}

impl StatusAnswer {
    fn new(lock: &Lock, node_id: &str) -> Self {
        let is_held = lock.holder_count > 0;
        let is_held_by_node = lock.holders.iter().any(|grant| grant.owner == node_id);
        let is_completed = lock.completion.is_some();
        Self {
            acquired: if node_id.is_empty() { is_held } else { is_held_by_node },
            completed: is_completed,
            success: is_completed,
        }
    }
}

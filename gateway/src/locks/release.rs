//! `POST /unlock`: give a lock back and say how the work ended.
//!
//! Quirk: an absent `success` means failure, unless the server or the path chooses to infer it from `error`.
//! Quirk: every refusal has one text, whatever the reason.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use steward_proto::lock::v1::release_request::Holder;
use steward_proto::lock::v1::{Outcome, ReleaseRequest};

use super::Locks;
use super::request::{self, UnlockRequest};
use crate::answer::{self, PlainError};
use crate::body::Unread;
use crate::options::AbsentSuccess;
use crate::upstream::{Call, Caller, Reason};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Handles `POST /unlock`.
pub(super) async fn unlock(
    State(mut locks): State<Locks>,
    caller: Caller,
    body: Unread,
) -> Result<Response, PlainError> {
    let request: UnlockRequest = request::read(body).await?;
    request.subject.require_lock_and_node()?;
    let call = Call::new("Release", caller, TIMEOUT);
    let message = release_request(request, locks.absent_success);
    match call.run(locks.client.release(call.request(message))).await {
        Ok(_) => Ok(answer::json(StatusCode::OK, &UnlockAnswer::RELEASED)),
        Err(failure) if failure.reason().is_some_and(is_refusal) => {
            Ok(answer::json(StatusCode::FORBIDDEN, &UnlockAnswer::REFUSED))
        }
        Err(failure) if failure.is_denied() => Ok(answer::json(StatusCode::FORBIDDEN, &UnlockAnswer::DENIED)),
        Err(failure) => Err(failure.report()),
    }
}

fn release_request(request: UnlockRequest, absent_success: AbsentSuccess) -> ReleaseRequest {
    let UnlockRequest { subject, success, error } = request;
    let is_success = success.unwrap_or(match absent_success {
        AbsentSuccess::Failure => false,
        AbsentSuccess::Infer => error.is_empty(),
    });
    let outcome = if is_success { Outcome::Succeeded } else { Outcome::Failed };
    let (key, node_id) = subject.into_key_and_node();
    ReleaseRequest {
        key: Some(key),
        holder: Some(Holder::Owner(node_id)),
        outcome: outcome.into(),
        error,
        ..ReleaseRequest::default()
    }
}

/// The body, in the order of its keys.
#[derive(Serialize)]
struct UnlockAnswer {
    message: &'static str,
    released: bool,
}

impl UnlockAnswer {
    const RELEASED: Self = Self { message: "成功释放锁", released: true };
    const REFUSED: Self = Self { message: "释放锁失败：锁不存在或不是锁的持有者", released: false };
    const DENIED: Self = Self { message: "释放锁失败：没有权限", released: false };
}

fn is_refusal(reason: Reason) -> bool {
    match reason {
        Reason::InvalidArgument | Reason::NotHolder | Reason::OutcomeNeedsExclusive => true,
        Reason::Busy
        | Reason::CapacityMismatch
        | Reason::LeaseExpired
        | Reason::ModeMismatch
        | Reason::NotFound
        | Reason::QueueFull
        | Reason::RequestEnded
        | Reason::RevisionCompacted
        | Reason::ShuttingDown
        | Reason::TooManyWatchers => false,
    }
}

//! `POST /lock`: take a lock, join its queue, or learn that the work is done.
//!
//! Quirk: a lock held by another is no error: 200 with `acquired:false`, and the node is in the queue.
//! Quirk: `message` and `error` of a refusal say the same.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use steward_proto::lock::v1::{AcquireRequest, AcquireResponse, AcquireStatus, Grant, LockMode, WaitPolicy};

use super::request::{self, LockRequest};
use super::{Locks, time};
use crate::answer::{self, PlainError, add_header};
use crate::body::Unread;
use crate::upstream::{Call, Caller, Reason};

/// The API promises an answer within a second.
const TIMEOUT: Duration = Duration::from_millis(900);

/// Handles `POST /lock`.
pub(super) async fn lock(State(mut locks): State<Locks>, caller: Caller, body: Unread) -> Result<Response, PlainError> {
    let request: LockRequest = request::read(body).await?;
    request.subject.require_lock_and_node()?;
    let call = Call::new("Acquire", caller, TIMEOUT);
    match call.run(locks.client.acquire(call.request(request.into()))).await {
        Ok(response) => decided(&response).ok_or_else(|| call.unexpected("status is none of an enqueueing acquire")),
        Err(failure) if failure.is_denied() => Ok(refused("获取锁失败：没有权限")),
        Err(failure) => match failure.reason().and_then(refusal) {
            Some(message) => Ok(refused(message)),
            None => Err(failure.report()),
        },
    }
}

impl From<LockRequest> for AcquireRequest {
    fn from(request: LockRequest) -> Self {
        let (key, owner) = request.subject.into_key_and_node();
        Self {
            key: Some(key),
            owner,
            mode: LockMode::Exclusive.into(),
            policy: WaitPolicy::Enqueue.into(),
            ttl: request.ttl.map(time::to_proto),
            ..Self::default()
        }
    }
}

/// The body, in the order of its keys.
#[derive(Serialize)]
struct LockAnswer {
    acquired: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    message: &'static str,
    skip: bool,
}

impl LockAnswer {
    const ACQUIRED: Self = Self { acquired: true, error: None, message: "成功获得锁", skip: false };
    const QUEUED: Self =
        Self { acquired: false, error: None, message: "锁已被占用，已加入等待队列", skip: false };
    const SKIPPED: Self = Self { acquired: false, error: None, message: "操作已完成，跳过操作", skip: true };
}

fn decided(response: &AcquireResponse) -> Option<Response> {
    let mut headers = HeaderMap::new();
    let body = match response.status() {
        AcquireStatus::Granted => {
            describe_grant(&mut headers, response.grant.as_ref()?);
            LockAnswer::ACQUIRED
        }
        AcquireStatus::Queued => {
            add_header(&mut headers, "x-lock-queue-position", &response.queue_position.to_string());
            LockAnswer::QUEUED
        }
        AcquireStatus::Skipped => LockAnswer::SKIPPED,
        AcquireStatus::Unspecified | AcquireStatus::Contended | AcquireStatus::TimedOut => return None,
    };
    let mut answer = answer::json(StatusCode::OK, &body);
    answer.headers_mut().extend(headers);
    Some(answer)
}

fn describe_grant(headers: &mut HeaderMap, grant: &Grant) {
    add_header(headers, "x-lock-fencing-token", &grant.fencing_token.to_string());
    if let Some(expire_time) = &grant.expire_time {
        add_header(headers, "x-lock-expires", &time::rfc3339(expire_time));
    }
}

fn refused(message: &'static str) -> Response {
    let body = LockAnswer { acquired: false, error: Some(message), message, skip: false };
    answer::json(StatusCode::FORBIDDEN, &body)
}

/// What a client is told, for the reasons that are the client's to deal with.
fn refusal(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::CapacityMismatch => Some("获取锁失败：锁的容量与当前使用者不一致"),
        Reason::InvalidArgument => {
            Some("获取锁失败：type、resource_id 和 node_id 最长 1024 字节，ttl_seconds 最短 0.01 秒")
        }
        Reason::LeaseExpired => Some("获取锁失败：租约已过期"),
        Reason::ModeMismatch => Some("获取锁失败：锁正以其他模式使用"),
        Reason::QueueFull => Some("获取锁失败：等待队列已满"),
        Reason::RequestEnded => Some("获取锁失败：该请求获得的锁已结束"),
        Reason::Busy
        | Reason::NotFound
        | Reason::NotHolder
        | Reason::OutcomeNeedsExclusive
        | Reason::RevisionCompacted
        | Reason::ShuttingDown
        | Reason::TooManyWatchers => None,
    }
}

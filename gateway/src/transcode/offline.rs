//! `/workers/{id}/offline`: tell a worker to end once it has finished, or take that back.
//!
//! Quirk: a wrong action is refused before anybody asks whether there is such a worker.
//! Quirk: there need not be anything to take back.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use steward_proto::transcode::v1::{CancelWorkerOfflineRequest, OfflineAction, SetWorkerOfflineRequest};

use super::path::Number;
use super::refusal::Refusal;
use super::{Farm, TIMEOUT, answer, body};
use crate::body::Unread;
use crate::upstream::{Call, Caller};

const WRONG_ACTION: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "无效的下线动作");

/// Handles `POST /workers/{id}/offline`.
pub(super) async fn set(
    State(mut farm): State<Farm>,
    caller: Caller,
    id: Number,
    body: Unread,
) -> Result<Response, Refusal> {
    let object = body::read(body).await?;
    let action = match object.get("action").and_then(Value::as_str) {
        Some("offline") => OfflineAction::Offline,
        Some("shutdown") => OfflineAction::Shutdown,
        _ => return Err(WRONG_ACTION.about("action")),
    };
    let worker_id = id.or(Refusal::no_worker())?;
    let message = SetWorkerOfflineRequest { worker_id, action: action.into(), deadline: None };
    let call = Call::new("SetWorkerOffline", caller, TIMEOUT);
    call.run(farm.workers.set_worker_offline(call.request(message))).await?;
    Ok(answer::done(StatusCode::OK, "下线指令已发送"))
}

/// Handles `DELETE /workers/{id}/offline`.
pub(super) async fn cancel(State(mut farm): State<Farm>, caller: Caller, id: Number) -> Result<Response, Refusal> {
    let worker_id = id.or(Refusal::no_worker())?;
    let call = Call::new("CancelWorkerOffline", caller, TIMEOUT);
    call.run(farm.workers.cancel_worker_offline(call.request(CancelWorkerOfflineRequest { worker_id }))).await?;
    Ok(answer::done(StatusCode::OK, "下线指令已取消"))
}

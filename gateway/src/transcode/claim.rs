//! `POST /tasks`: a worker asks for work.
//!
//! Quirk: a worker is told here, and nowhere else, that it is to go.
//! Quirk: nothing to do is 404, and the worker asks again a second later.
//! Quirk: what counts is what the worker says of itself now, not what it registered with.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use steward_proto::transcode::v1::ClaimTaskRequest;
use steward_proto::transcode::v1::claim_task_response::Result as Claimed;

use super::body::Object;
use super::refusal::Refusal;
use super::row::{offline_action, video_path};
use super::workers::{worker_id, worker_type};
use super::{Farm, TIMEOUT, answer, body};
use crate::body::Unread;
use crate::upstream::{Call, Caller};

const NO_WORK: Refusal = Refusal::new(StatusCode::NOT_FOUND, "没有待转码的视频");

#[derive(Serialize)]
struct Work {
    task_id: String,
    video_path: String,
}

#[derive(Serialize)]
struct Command {
    action: &'static str,
}

/// Handles `POST /tasks`.
pub(super) async fn claim(State(mut farm): State<Farm>, caller: Caller, body: Unread) -> Result<Response, Refusal> {
    let message = request(&body::read(body).await?)?;
    let call = Call::new("ClaimTask", caller, TIMEOUT);
    let claimed = call.run(farm.tasks.claim_task(call.request(message))).await?;
    match claimed.result {
        Some(Claimed::Task(task)) => {
            let video_path = video_path(&task.video_path, farm.style().path_style);
            Ok(answer::with(StatusCode::CREATED, "创建任务成功", Work { task_id: task.task_id, video_path }))
        }
        Some(Claimed::Offline(goes)) => Ok(answer::command(Command { action: offline_action(goes.action()) })),
        Some(Claimed::NoWork(_)) => Err(NO_WORK),
        None => Err(Refusal::broken(&call, "neither a task nor why there is none")),
    }
}

fn request(object: &Object) -> Result<ClaimTaskRequest, Refusal> {
    object.require_truthy("worker_id")?;
    object.require("worker_type")?;
    object.require("support_vr")?;
    Ok(ClaimTaskRequest {
        worker_type: worker_type(object)?.unwrap_or_default(),
        support_vr: object.flag("support_vr")?,
        dest_path: object.text("dest_path")?,
        // Last: that there is no such worker is said once all else is right.
        worker_id: worker_id(object)?,
        wait: None,
    })
}

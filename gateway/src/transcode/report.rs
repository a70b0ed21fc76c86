//! `PATCH /tasks/{id}`: a worker reports on its task.
//!
//! Quirk: a report that came too late to change anything is answered as any other.
//! Quirk: progress and seconds that cannot be are brought to the nearest that can.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use steward_proto::transcode::v1::UpdateTaskRequest;

use super::body::Object;
use super::path::TaskId;
use super::refusal::Refusal;
use super::{Farm, TIMEOUT, answer, body, number};
use crate::upstream::{Call, Caller};

const WRONG_STATUS: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "无效的任务状态");

/// Handles `PATCH /tasks/{id}`.
pub(super) async fn report(
    State(mut farm): State<Farm>,
    caller: Caller,
    id: TaskId,
    body: Body,
) -> Result<Response, Refusal> {
    let message = UpdateTaskRequest { task_id: id.uuid().unwrap_or_default(), ..request(&body::read(body).await?)? };
    id.uuid()?;
    let call = Call::new("UpdateTask", caller, TIMEOUT);
    call.run(farm.tasks.update_task(call.request(message))).await?;
    Ok(answer::done(StatusCode::OK, "更新成功"))
}

fn request(object: &Object) -> Result<UpdateTaskRequest, Refusal> {
    object.require_truthy("worker_id")?;
    object.require("progress")?;
    object.require("status")?;
    let worker_id = object.whole("worker_id")?.map(number::clamp).unwrap_or_default();
    let progress = object.fraction("progress")?.unwrap_or_default().clamp(0.0, 100.0);
    let status = object.whole("status")?.unwrap_or_default();
    let status = number::within(status, 0..=3).ok_or(WRONG_STATUS.about("status"))?;
    Ok(UpdateTaskRequest {
        worker_id,
        progress,
        status: status + 1,
        error_message: object.cut_text("error_message")?,
        elapsed_time: object.seconds("elapsed_time")?,
        remaining_time: object.seconds("remaining_time")?,
        ..UpdateTaskRequest::default()
    })
}

//! `PATCH /tasks/{id}`: a worker reports on its task.
//!
//! Quirk: a report that came too late to change anything is answered as any other.
//! Quirk: the last report is tried again while the service is busy, or refuses those who ask too much.
//! Quirk: progress and seconds that cannot be are brought to the nearest that can.
//! Quirk: what makes no sense in the last report, beside who reports and what came of the task, counts as absent; then
//! a completed task is at 100, and a failed one stays where it was. A real worker that is refused waits for ever.
//! Quirk: an id that no worker has is another worker's (409), unless it is 0 or no integer.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use steward_proto::transcode::v1::{TaskStatus, UpdateTaskRequest};
use tokio::time::sleep;
use tonic::Code;

use super::body::Object;
use super::path::TaskId;
use super::refusal::Refusal;
use super::{Farm, TIMEOUT, answer, body, number};
use crate::body::Unread;
use crate::upstream::{Call, Caller, Failure};

/// How often the last report on a task is tried: a real worker that is refused waits for ever.
const LAST_REPORT_ATTEMPTS: u32 = 5;
/// How long the first repetition is put off; each further one twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(200);

/// No worker comes to have it, so the service says of it what it says of any other's.
const NOBODY: i32 = i32::MAX;

const WRONG_STATUS: Refusal = Refusal::new(StatusCode::BAD_REQUEST, "无效的任务状态");

/// Handles `PATCH /tasks/{id}`.
pub(super) async fn report(
    State(mut farm): State<Farm>,
    caller: Caller,
    id: TaskId,
    body: Unread,
) -> Result<Response, Refusal> {
    let message = UpdateTaskRequest { task_id: id.uuid().unwrap_or_default(), ..request(&body::read(body).await?)? };
    id.uuid()?;
    let attempts = if message.status > TaskStatus::Running.into() { LAST_REPORT_ATTEMPTS } else { 1 };
    let call = Call::new("UpdateTask", caller, TIMEOUT);
    let mut delay = FIRST_DELAY;
    for _ in 1..attempts {
        match call.run(farm.tasks.update_task(call.request(message.clone()))).await {
            Err(failure) if may_pass(&failure) && !farm.shutdown.is_cancelled() => {}
            reported => return Ok(reported.map(|_| updated())?),
        }
        sleep(delay).await;
        delay *= 2;
    }
    call.run(farm.tasks.update_task(call.request(message))).await?;
    Ok(updated())
}

fn updated() -> Response {
    answer::done(StatusCode::OK, "更新成功")
}

/// Tells whether the same report may be taken a little later. It changes nothing when it is taken twice.
fn may_pass(failure: &Failure) -> bool {
    failure.is_timeout() || failure.is_limit() || failure.status().code() == Code::Unavailable
}

fn request(object: &Object) -> Result<UpdateTaskRequest, Refusal> {
    object.require_truthy("worker_id")?;
    let said = match ending(object) {
        Some(status) => last(object, status),
        None => passing(object)?,
    };
    Ok(UpdateTaskRequest { worker_id: worker_id(object)?, ..said })
}

/// The status that ends a task, if the report has one.
fn ending(object: &Object) -> Option<TaskStatus> {
    match object.whole("status") {
        Ok(Some(2)) => Some(TaskStatus::Completed),
        Ok(Some(3)) => Some(TaskStatus::Failed),
        Ok(_) | Err(_) => None,
    }
}

/// Reads a last report, whatever is in it.
fn last(object: &Object, status: TaskStatus) -> UpdateTaskRequest {
    // The service keeps the progress that it has instead of what is no number.
    let default = if status == TaskStatus::Completed { 100.0 } else { f64::NAN };
    UpdateTaskRequest {
        progress: object.fraction("progress").unwrap_or_default().unwrap_or(default).clamp(0.0, 100.0),
        status: status.into(),
        error_message: object.cut_text("error_message").unwrap_or_default(),
        elapsed_time: object.seconds("elapsed_time").unwrap_or_default(),
        remaining_time: object.seconds("remaining_time").unwrap_or_default(),
        ..UpdateTaskRequest::default()
    }
}

/// Reads any other report.
fn passing(object: &Object) -> Result<UpdateTaskRequest, Refusal> {
    object.require("progress")?;
    object.require("status")?;
    let progress = object.fraction("progress")?.unwrap_or_default().clamp(0.0, 100.0);
    let status = object.whole("status")?.unwrap_or_default();
    let status = number::within(status, 0..=1).ok_or(WRONG_STATUS.about("status"))?;
    Ok(UpdateTaskRequest {
        progress,
        status: status + 1,
        error_message: object.cut_text("error_message")?,
        elapsed_time: object.seconds("elapsed_time")?,
        remaining_time: object.seconds("remaining_time")?,
        ..UpdateTaskRequest::default()
    })
}

fn worker_id(object: &Object) -> Result<i32, Refusal> {
    let id = object.whole("worker_id")?.unwrap_or_default();
    Ok(number::within(id, 1..=i32::MAX).unwrap_or(NOBODY))
}

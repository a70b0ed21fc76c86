//! `PATCH /tasks/{id}`: a worker reports on its task.
//!
//! Quirk: a report that came too late to change anything is answered as any other.
//! Quirk: the last report is tried again while the service is busy.
//! Quirk: progress and seconds that cannot be are brought to the nearest that can.

use std::time::Duration;

use axum::body::Body;
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
use crate::upstream::{Call, Caller, Failure};

/// How often the last report on a task is tried: a real worker that is refused waits for ever.
const LAST_REPORT_ATTEMPTS: u32 = 5;
/// How long the first repetition is put off; each further one twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(200);

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
    failure.is_timeout() || failure.status().code() == Code::Unavailable
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

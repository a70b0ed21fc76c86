//! `/tasks`: what was and is being done; and what an operator can do about it, below `/api/v2`.
//!
//! Quirk: 3 asks for cancelled tasks too, which are written as failed ones.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use steward_proto::transcode::v1::{
    CancelTaskRequest, GetTaskRequest, ListTasksRequest, ListTasksResponse, RetryTaskRequest, Task, TaskStatus,
};

use super::page::Paging;
use super::path::TaskId;
use super::query::{Query, states};
use super::refusal::Refusal;
use super::row::TaskRow;
use super::{Farm, TIMEOUT, answer, body};
use crate::body::Unread;
use crate::upstream::{Call, Caller};

const COLUMNS: [&str; 6] = ["start_time", "progress", "status", "worker_name", "elapsed_time", "video_path"];

/// Handles `GET /tasks`.
pub(super) async fn list(State(mut farm): State<Farm>, caller: Caller, query: Query) -> Result<Response, Refusal> {
    let paging = Paging::of(&query);
    let statuses = states(&query.wholes("status[]"), statuses);
    let can_match = statuses.is_some();
    let message = ListTasksRequest {
        page_size: paging.per_page,
        page: paging.page,
        statuses: statuses.unwrap_or_default(),
        sort_by: query.first("sort_by").filter(|column| COLUMNS.contains(column)).unwrap_or("start_time").to_owned(),
        order: query.order().into(),
        ..ListTasksRequest::default()
    };
    let call = Call::new("ListTasks", caller, TIMEOUT);
    let mut listed = call.run(farm.tasks.list_tasks(call.request(message))).await?;
    if !can_match {
        // Asked all the same, because only the service knows who may ask.
        listed = ListTasksResponse::default();
    }
    let style = farm.style();
    let rows: Vec<_> = listed.tasks.iter().map(|task| TaskRow::new(task, style.path_style)).collect();
    let list = answer::List { name: "tasks", rows: &rows, pagination: paging.within(listed.total_size) };
    Ok(answer::list(style.list_shape, answer::SUCCESS, list))
}

fn statuses(number: i64) -> Vec<i32> {
    let statuses: &[TaskStatus] = match number {
        0 => &[TaskStatus::Created],
        1 => &[TaskStatus::Running],
        2 => &[TaskStatus::Completed],
        3 => &[TaskStatus::Failed, TaskStatus::Cancelled],
        _ => &[],
    };
    statuses.iter().map(|status| i32::from(*status)).collect()
}

/// Handles `GET /tasks/{id}`.
pub(super) async fn get(State(mut farm): State<Farm>, caller: Caller, id: TaskId) -> Result<Response, Refusal> {
    let task_id = id.uuid()?;
    let call = Call::new("GetTask", caller, TIMEOUT);
    let found = call.run(farm.tasks.get_task(call.request(GetTaskRequest { task_id }))).await?;
    one(&farm, &call, answer::FOUND, found.task.as_ref())
}

/// Handles `POST /api/v2/tasks/{id}/cancel`.
pub(super) async fn cancel(
    State(mut farm): State<Farm>,
    caller: Caller,
    id: TaskId,
    body: Unread,
) -> Result<Response, Refusal> {
    let object = body::read_optional(body).await?;
    let message = CancelTaskRequest {
        reason: object.cut_text("reason")?.unwrap_or_default(),
        requeue: object.flag("requeue")?.unwrap_or_default(),
        task_id: id.uuid()?,
    };
    let call = Call::new("CancelTask", caller, TIMEOUT);
    let cancelled = call.run(farm.tasks.cancel_task(call.request(message))).await?;
    one(&farm, &call, "任务已取消", cancelled.task.as_ref())
}

fn one(farm: &Farm, call: &Call, message: &str, task: Option<&Task>) -> Result<Response, Refusal> {
    let task = task.ok_or_else(|| Refusal::broken(call, "no task"))?;
    Ok(answer::with(StatusCode::OK, message, TaskRow::new(task, farm.style().path_style)))
}

#[derive(Serialize)]
struct Retried {
    video_id: i32,
}

/// Handles `POST /api/v2/tasks/{id}/retry`.
pub(super) async fn retry(
    State(mut farm): State<Farm>,
    caller: Caller,
    id: TaskId,
    body: Unread,
) -> Result<Response, Refusal> {
    let object = body::read_optional(body).await?;
    let message = RetryTaskRequest { priority: object.within("priority", -1000..=1000)?, task_id: id.uuid()? };
    let call = Call::new("RetryTask", caller, TIMEOUT);
    let video_id = call.run(farm.tasks.retry_task(call.request(message))).await?.video_id;
    Ok(answer::with(StatusCode::OK, "视频已重新排队", Retried { video_id }))
}

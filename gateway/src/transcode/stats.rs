//! `/tasks/stats` and `/workers/stats`: counts.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use steward_proto::transcode::v1::{GetTaskStatsRequest, GetWorkerStatsRequest, TaskDay};

use super::query::Query;
use super::refusal::Refusal;
use super::{Farm, TIMEOUT, answer, number};
use crate::upstream::{Call, Caller};

/// More days are not counted.
const MAX_DAYS: i32 = 366;

#[derive(Serialize)]
struct TaskCounts<'a> {
    days: Vec<Day<'a>>,
    in_progress: i32,
    waiting_videos: i32,
}

#[derive(Serialize)]
struct Day<'a> {
    completed: i32,
    date: &'a str,
    failed: i32,
    saved_bytes: i64,
}

impl<'a> Day<'a> {
    fn new(TaskDay { date, completed, failed, saved_bytes }: &'a TaskDay) -> Self {
        Self { completed: *completed, date, failed: *failed, saved_bytes: *saved_bytes }
    }
}

/// Handles `GET /tasks/stats`.
pub(super) async fn tasks(State(mut farm): State<Farm>, caller: Caller, query: Query) -> Result<Response, Refusal> {
    let days = query.whole("days").map(number::clamp).unwrap_or_default().min(MAX_DAYS);
    let time_zone = query.first("time_zone").unwrap_or_default().to_owned();
    let call = Call::new("GetTaskStats", caller, TIMEOUT);
    let stats = call.run(farm.tasks.get_task_stats(call.request(GetTaskStatsRequest { days, time_zone }))).await?;
    let days = stats.days.iter().map(Day::new).collect();
    let counts = TaskCounts { days, in_progress: stats.in_progress, waiting_videos: stats.waiting_videos };
    Ok(answer::with(StatusCode::OK, answer::SUCCESS, counts))
}

#[derive(Serialize)]
struct WorkerCounts {
    active: i32,
    idle: i32,
    offline: i32,
}

/// Handles `GET /workers/stats`.
pub(super) async fn workers(State(mut farm): State<Farm>, caller: Caller) -> Result<Response, Refusal> {
    let call = Call::new("GetWorkerStats", caller, TIMEOUT);
    let stats = call.run(farm.workers.get_worker_stats(call.request(GetWorkerStatsRequest {}))).await?;
    let counts = WorkerCounts { active: stats.active, idle: stats.idle, offline: stats.offline };
    Ok(answer::with(StatusCode::OK, answer::SUCCESS, counts))
}

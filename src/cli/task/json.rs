//! The JSON of `--json`: field names as in the protocol, times in RFC 3339, enums as lowercase words.
//!
//! These types are the promise to scripts; the generated messages may change without it.

use serde::Serialize;
use steward_proto::transcode::v1::{self as pb, watch_tasks_response as step};

use crate::cli::json::word;
use crate::cli::time;

// Without the lease token, which is the worker's alone.
#[expect(clippy::struct_field_names, reason = "the names are the protocol's")]
#[derive(Debug, Serialize)]
pub(super) struct Task {
    task_id: String,
    id: i32,
    video_path: String,
    dest_path: Option<String>,
    worker_id: i32,
    worker_name: String,
    progress: f64,
    status: String,
    error_message: String,
    elapsed_time: i32,
    remaining_time: Option<i32>,
    video_id: i32,
    attempt: i32,
    priority: i32,
    start_time: Option<String>,
    end_time: Option<String>,
    last_update_time: Option<String>,
    cancel_requested: bool,
    fps: f64,
    speed: f64,
    output_bytes: i64,
    source_bytes: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Watched {
    revision: i64,
    #[serde(flatten)]
    update: Update,
}

/// A step of a watch: one of its fields.
#[expect(clippy::large_enum_variant, reason = "it is written at once")]
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Update {
    Task(Task),
    DeletedId(i32),
    SnapshotEnd {},
}

#[derive(Debug, Serialize)]
pub(super) struct Retried {
    task_id: String,
    video_id: i32,
}

#[derive(Debug, Serialize)]
pub(super) struct Stats {
    days: Vec<Day>,
    in_progress: i32,
    waiting_videos: i32,
}

#[derive(Debug, Serialize)]
struct Day {
    date: String,
    completed: i32,
    failed: i32,
    saved_bytes: i64,
}

impl From<pb::Task> for Task {
    fn from(task: pb::Task) -> Self {
        let status = word(task.status().as_str_name(), "TASK_STATUS_");
        Task {
            task_id: task.task_id,
            id: task.id,
            video_path: task.video_path,
            dest_path: task.dest_path,
            worker_id: task.worker_id,
            worker_name: task.worker_name,
            progress: task.progress,
            status,
            error_message: task.error_message,
            elapsed_time: task.elapsed_time,
            remaining_time: task.remaining_time,
            video_id: task.video_id,
            attempt: task.attempt,
            priority: task.priority,
            start_time: time::json(task.start_time),
            end_time: time::json(task.end_time),
            last_update_time: time::json(task.last_update_time),
            cancel_requested: task.cancel_requested,
            fps: task.fps,
            speed: task.speed,
            output_bytes: task.output_bytes,
            source_bytes: task.source_bytes,
        }
    }
}

impl Watched {
    pub(super) fn new(revision: i64, update: step::Update) -> Self {
        let update = match update {
            step::Update::Task(task) => Update::Task(task.into()),
            step::Update::DeletedId(id) => Update::DeletedId(id),
            step::Update::SnapshotEnd(_) => Update::SnapshotEnd {},
        };
        Watched { revision, update }
    }
}

impl Retried {
    pub(super) fn new(task_id: String, video_id: i32) -> Self {
        Retried { task_id, video_id }
    }
}

impl From<pb::GetTaskStatsResponse> for Stats {
    fn from(stats: pb::GetTaskStatsResponse) -> Self {
        Stats {
            days: stats.days.into_iter().map(Day::from).collect(),
            in_progress: stats.in_progress,
            waiting_videos: stats.waiting_videos,
        }
    }
}

impl From<pb::TaskDay> for Day {
    fn from(day: pb::TaskDay) -> Self {
        Day { date: day.date, completed: day.completed, failed: day.failed, saved_bytes: day.saved_bytes }
    }
}

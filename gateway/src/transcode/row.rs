//! Workers, tasks, videos and log entries as the legacy API writes them, the keys of each in order.
//!
//! Quirk: a worker is 0 (offline) or 1, whatever it is doing.
//! Quirk: the page of the original cannot bear a null codec, size or resolution.
//! Quirk: a task is always written with its error and its times, which are beside the nine documented keys.

use serde::Serialize;
use steward_proto::transcode::v1::{LogEntry, OfflineAction, Resolution, Task, TaskStatus, Video, Worker, WorkerState};

use super::{log_time, number};
use crate::options::PathStyle;

/// A worker alone.
#[derive(Serialize)]
pub(super) struct WorkerRow<'a> {
    status: u8,
    support_vr: u8,
    worker_id: i32,
    worker_name: &'a str,
    worker_type: i32,
}

impl<'a> WorkerRow<'a> {
    pub(super) fn new(worker: &'a Worker) -> Self {
        Self {
            status: u8::from(worker.state() != WorkerState::Offline),
            support_vr: u8::from(worker.support_vr),
            worker_id: worker.worker_id,
            worker_name: &worker.worker_name,
            worker_type: less_one(worker.worker_type),
        }
    }
}

/// A worker in a list.
#[derive(Serialize)]
pub(super) struct ListedWorker<'a> {
    offline_action: Option<&'static str>,
    #[serde(flatten)]
    row: WorkerRow<'a>,
}

impl<'a> ListedWorker<'a> {
    pub(super) fn new(worker: &'a Worker) -> Self {
        let action = worker.offline_action();
        let is_pending = action != OfflineAction::Unspecified;
        Self { offline_action: is_pending.then(|| offline_action(action)), row: WorkerRow::new(worker) }
    }
}

/// What a worker is to do once it has finished. The least is to end.
pub(super) fn offline_action(action: OfflineAction) -> &'static str {
    match action {
        OfflineAction::Unspecified | OfflineAction::Offline => "offline",
        OfflineAction::Shutdown => "shutdown",
    }
}

/// A task.
#[derive(Serialize)]
pub(super) struct TaskRow<'a> {
    dest_path: Option<&'a str>,
    elapsed_time: i32,
    end_time: Option<String>,
    error_message: Option<&'a str>,
    progress: f32,
    remaining_time: Option<i32>,
    start_time: Option<String>,
    status: i32,
    task_id: &'a str,
    video_path: String,
    worker_id: i32,
    worker_name: &'a str,
}

impl<'a> TaskRow<'a> {
    pub(super) fn new(task: &'a Task, style: PathStyle) -> Self {
        Self {
            dest_path: task.dest_path.as_deref(),
            elapsed_time: task.elapsed_time,
            end_time: log_time::write(task.end_time.as_ref()),
            error_message: Some(task.error_message.as_str()).filter(|message| !message.is_empty()),
            progress: number::single(task.progress),
            remaining_time: task.remaining_time,
            start_time: log_time::write(task.start_time.as_ref()),
            status: task_status(task.status()),
            task_id: &task.task_id,
            video_path: video_path(&task.video_path, style),
            worker_id: task.worker_id,
            worker_name: &task.worker_name,
        }
    }
}

fn task_status(status: TaskStatus) -> i32 {
    match status {
        TaskStatus::Unspecified | TaskStatus::Created => 0,
        TaskStatus::Running => 1,
        TaskStatus::Completed => 2,
        TaskStatus::Failed | TaskStatus::Cancelled => 3,
    }
}

/// A video.
#[derive(Serialize)]
pub(super) struct VideoRow<'a> {
    bitrate_k: i32,
    codec: &'a str,
    fps: f32,
    id: i32,
    is_vr: u8,
    resolution: Picture,
    transcode_status: i32,
    transcode_task_id: Option<i32>,
    update_time: Option<String>,
    video_path: String,
    video_size: f32,
}

#[derive(Serialize)]
struct Picture {
    height: i32,
    width: i32,
}

impl<'a> VideoRow<'a> {
    pub(super) fn new(video: &'a Video, style: PathStyle) -> Self {
        let Resolution { width, height } = video.resolution.unwrap_or_default();
        Self {
            bitrate_k: video.bitrate_k,
            codec: &video.codec,
            fps: number::single(video.fps),
            id: video.id,
            is_vr: u8::from(video.is_vr),
            resolution: Picture { height, width },
            transcode_status: less_one(video.transcode_status),
            transcode_task_id: Some(video.transcode_task_id).filter(|id| *id != 0),
            update_time: log_time::write(video.update_time.as_ref()),
            video_path: video_path(&video.video_path, style),
            video_size: number::mebibytes(video.size_bytes),
        }
    }
}

/// Writes the path of a video with the separator that was chosen.
pub(super) fn video_path(path: &str, style: PathStyle) -> String {
    match style {
        PathStyle::Slash => path.to_owned(),
        PathStyle::Backslash => path.replace('/', "\\"),
    }
}

/// A log entry in a list.
#[derive(Serialize)]
pub(super) struct LogRow<'a> {
    id: i32,
    log_level: i32,
    log_message: &'a str,
    log_time: Option<String>,
    task_id: Option<i32>,
}

impl<'a> LogRow<'a> {
    pub(super) fn new(entry: &'a LogEntry) -> Self {
        Self {
            id: entry.id,
            log_level: less_one(entry.log_level),
            log_message: &entry.log_message,
            log_time: log_time::write(entry.log_time.as_ref()),
            task_id: Some(entry.task_number).filter(|number| *number != 0),
        }
    }
}

/// A log entry that was just written: its task as the client named it.
#[derive(Serialize)]
pub(super) struct NewLogRow<'a> {
    id: i32,
    log_level: i32,
    log_message: &'a str,
    log_time: Option<String>,
    task_id: &'a str,
}

impl<'a> NewLogRow<'a> {
    pub(super) fn new(entry: &'a LogEntry, task_id: &'a str) -> Self {
        let LogRow { id, log_level, log_message, log_time, .. } = LogRow::new(entry);
        Self { id, log_level, log_message, log_time, task_id }
    }
}

/// The number of a state on the wire.
fn less_one(state: i32) -> i32 {
    (state - 1).max(0)
}

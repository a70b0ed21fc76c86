//! The events as they go over the wire.
//!
//! Quirk: the keys are in the order of the original's socket.

use bytes::Bytes;
use serde::Serialize;
use steward_proto::transcode::v1::{Task, TaskStatus, Worker};

use super::cursor::Cursor;
use crate::options::PathStyle;
use crate::transcode::row::{ListedWorker, TaskRow};

#[derive(Serialize)]
struct TaskUpdate<'a> {
    r#type: &'static str,
    task: TaskRow<'a>,
}

#[derive(Serialize)]
struct WorkerUpdate<'a> {
    r#type: &'static str,
    worker: ListedWorker<'a>,
}

#[derive(Serialize)]
struct WorkerDeleted {
    r#type: &'static str,
    worker_id: i32,
}

/// Tells of a task. One of the snapshot, which has no cursor, is never new.
pub(super) fn task(cursor: Option<Cursor>, task: &Task, style: PathStyle) -> Bytes {
    let is_new = cursor.is_some() && is_just_claimed(task);
    let r#type = if is_new { "create" } else { "update" };
    event(cursor, "tasks_update", &TaskUpdate { r#type, task: TaskRow::new(task, style) })
}

/// Its worker has not spoken of it yet.
fn is_just_claimed(task: &Task) -> bool {
    let is_silent = task.last_update_time.is_none() || task.last_update_time == task.start_time;
    task.status() == TaskStatus::Created && is_silent && !task.cancel_requested
}

/// Tells of a worker.
pub(super) fn worker(cursor: Option<Cursor>, worker: &Worker) -> Bytes {
    event(cursor, "workers_update", &WorkerUpdate { r#type: "update", worker: ListedWorker::new(worker) })
}

/// Tells that a worker was deleted.
pub(super) fn worker_deleted(cursor: Option<Cursor>, worker_id: i32) -> Bytes {
    event(cursor, "workers_update", &WorkerDeleted { r#type: "delete", worker_id })
}

/// Tells nothing but where to go on.
pub(super) fn mark(cursor: Cursor) -> Bytes {
    format!("id: {cursor}\n\n").into()
}

fn event(cursor: Option<Cursor>, name: &str, data: &impl Serialize) -> Bytes {
    let id = cursor.map(|cursor| format!("id: {cursor}\n")).unwrap_or_default();
    let data = serde_json::to_string(data).expect("structs of plain values always serialize");
    format!("{id}event: {name}\ndata: {data}\n\n").into()
}

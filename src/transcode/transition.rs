//! How a task and its video go on: what a worker reports, what the server finds, what an operator asks for.
//!
//! A task that has ended can be opened again by its worker as long as its video has had no other task since: a worker
//! that was cut off for a minute must not lose hours of encoding. A completed task never changes.

use std::time::Duration;

use super::model::{
    LogLevel, Policy, TaskId, TaskRecord, TaskStatus, VideoRecord, VideoStatus, cut_message, is_in_progress,
};
use crate::clock::Timestamp;

/// How long a video rests when a worker had to hand it back through no fault of the video.
const DECLINED_REST: Duration = Duration::from_secs(30);

/// A task with its video, as one decision sees them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Job {
    pub(crate) id: TaskId,
    pub(crate) task: TaskRecord,
    pub(crate) video: VideoRecord,
}

/// What a worker says of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Report {
    /// Created and running are progress; completed and failed are ends.
    pub(crate) status: TaskStatus,
    pub(crate) progress: f64,
    pub(crate) elapsed_time: Option<i32>,
    pub(crate) remaining_time: Option<i32>,
    pub(crate) error_message: Option<String>,
    pub(crate) fps: f64,
    pub(crate) speed: f64,
    /// 0: not said.
    pub(crate) output_bytes: i64,
    /// The video has another path now.
    pub(crate) output_path: Option<String>,
    /// The failure is the worker's, and takes no attempt.
    pub(crate) is_declined: bool,
}

/// Why the server itself ends a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its worker is gone: others may try at once.
    WorkerLost(String),
    /// Nothing was heard of it.
    Stalled(String),
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// The task or its video changed.
    pub(crate) is_applied: bool,
    /// The worker is to stop.
    pub(crate) is_cancelled: bool,
    /// What is to be kept of it.
    pub(crate) logs: Vec<(LogLevel, String)>,
}

impl Job {
    /// No other task has had the video since.
    fn is_newest(&self) -> bool {
        self.video.last_task_id == self.id.0
    }

    fn status(&self) -> TaskStatus {
        TaskStatus::try_from(self.task.status).unwrap_or_default()
    }
}

/// A worker reports.
pub(crate) fn report(job: &mut Job, report: &Report, max_attempts: i32, policy: &Policy, now: Timestamp) -> Outcome {
    let is_open = is_in_progress(&job.task);
    let was_cancelled = job.status() == TaskStatus::Cancelled;
    let outcome = match report.status {
        TaskStatus::Unspecified | TaskStatus::Created | TaskStatus::Running => {
            if !may_go_on(job) {
                return Outcome { is_cancelled: was_cancelled, ..Outcome::default() };
            }
            progress(job, report, now)
        }
        TaskStatus::Completed if job.status() == TaskStatus::Completed => Outcome::default(),
        TaskStatus::Completed if is_open || (job.is_newest() && !is_completed(&job.video)) => {
            complete(job, report, now)
        }
        TaskStatus::Completed => superseded(job),
        TaskStatus::Failed | TaskStatus::Cancelled if is_open => fail(job, report, max_attempts, policy, now),
        TaskStatus::Failed | TaskStatus::Cancelled => Outcome::default(),
    };
    Outcome { is_cancelled: was_cancelled && !outcome.is_applied, ..outcome }
}

fn is_failed(video: &VideoRecord) -> bool {
    matches!(VideoStatus::try_from(video.status), Ok(VideoStatus::Failed | VideoStatus::Waiting))
}

fn is_completed(video: &VideoRecord) -> bool {
    video.status == VideoStatus::Completed as i32
}

fn superseded(job: &Job) -> Outcome {
    let message = format!("task was completed late: {} has been given to another worker since", job.task.video_path);
    Outcome { logs: vec![(LogLevel::Warning, message)], ..Outcome::default() }
}

/// Takes over what every report has. Says what the task is told of by now.
fn note(job: &mut Job, report: &Report, now: Timestamp) {
    let task = &mut job.task;
    task.progress = if report.progress.is_finite() { report.progress.clamp(0.0, 100.0) } else { task.progress };
    task.elapsed_time = report.elapsed_time.unwrap_or(task.elapsed_time).max(0);
    if let Some(remaining) = report.remaining_time {
        task.remaining_time = Some(remaining.max(0));
    }
    if report.output_bytes > 0 {
        task.output_bytes = report.output_bytes;
    }
    (task.fps, task.speed) = (finite(report.fps), finite(report.speed));
    task.update_nanos = now.nanos();
}

fn finite(number: f64) -> f64 {
    if number.is_finite() && number > 0.0 { number } else { 0.0 }
}

fn progress(job: &mut Job, report: &Report, now: Timestamp) -> Outcome {
    let mut logs = Vec::new();
    if !is_in_progress(&job.task) {
        logs.push((LogLevel::Warning, format!("task goes on after it had failed: {}", job.task.error_message)));
        job.task.end_nanos = 0;
        job.task.error_message = String::new();
    }
    note(job, report, now);
    let is_begun = report.status == TaskStatus::Running || job.status() == TaskStatus::Running;
    job.task.status = if is_begun { TaskStatus::Running } else { TaskStatus::Created } as i32;
    let status = if is_begun { VideoStatus::Transcoding } else { VideoStatus::Claimed } as i32;
    if job.is_newest() && (job.video.status != status || job.video.task_id != job.id.0) {
        job.video.status = status;
        job.video.task_id = job.id.0;
        job.video.not_before_nanos = 0;
        job.video.held = false;
        job.video.update_nanos = now.nanos();
    }
    Outcome { is_applied: true, logs, ..Outcome::default() }
}

fn complete(job: &mut Job, report: &Report, now: Timestamp) -> Outcome {
    note(job, report, now);
    let task = &mut job.task;
    task.status = TaskStatus::Completed as i32;
    task.remaining_time = Some(0);
    task.error_message = String::new();
    task.end_nanos = now.nanos();
    let message = format!("task completed by {}: {}", task.worker_name, task.video_path);
    let (source_bytes, output_bytes) = (task.source_bytes, task.output_bytes);
    if job.is_newest() {
        let saved = if output_bytes > 0 { source_bytes - output_bytes } else { 0 };
        let video = &mut job.video;
        // What a scan found in its place may be the result; anything else is a new video there.
        let is_result = video.found_status != 0 && (output_bytes == 0 || video.size_bytes == output_bytes);
        let was_seen = is_result || (output_bytes != 0 && video.size_bytes == output_bytes);
        if is_result {
            video.found_status = 0;
        }
        if leave(video, VideoStatus::Completed, now) {
            video.error_message = String::new();
            video.saved_bytes = saved;
            video.expects_change = !was_seen;
            video.output_bytes = output_bytes;
        }
    }
    Outcome { is_applied: true, logs: vec![(LogLevel::Info, cut_message(&message))], ..Outcome::default() }
}

fn fail(job: &mut Job, report: &Report, max_attempts: i32, policy: &Policy, now: Timestamp) -> Outcome {
    note(job, report, now);
    let message = cut_message(report.error_message.as_deref().unwrap_or_default());
    let mut logs = Vec::new();
    if !message.is_empty() {
        logs.push((LogLevel::Error, message.clone()));
    }
    end(job, TaskStatus::Failed, message, now);
    // Who has begun had the file and the means: then it is an attempt like any other.
    if report.is_declined && job.task.progress <= 0.0 {
        hand_back(job, now);
    } else {
        let rest = backoff(policy, job.video.attempts);
        logs.extend(retry_later(job, rest, max_attempts, now));
    }
    Outcome { is_applied: true, logs, ..Outcome::default() }
}

/// Whether a worker that connects again can go on with a task.
pub(crate) fn may_go_on(job: &Job) -> bool {
    is_in_progress(&job.task) || (job.status() == TaskStatus::Failed && job.is_newest() && is_failed(&job.video))
}

/// The server ends a task whose worker cannot.
pub(crate) fn end_by_server(
    job: &mut Job,
    cause: &Cause,
    max_attempts: i32,
    policy: &Policy,
    now: Timestamp,
) -> Outcome {
    if !is_in_progress(&job.task) {
        return Outcome::default();
    }
    let (message, log, rest) = match cause {
        Cause::WorkerLost(message) => (message.clone(), message.clone(), Duration::ZERO),
        Cause::Stalled(message) => {
            let uuid = super::model::TaskUuid::of(&job.task.uuid);
            (
                message.clone(),
                message.replacen("任务", &format!("任务 {uuid} "), 1),
                backoff(policy, job.video.attempts),
            )
        }
    };
    end(job, TaskStatus::Failed, message, now);
    let mut logs = vec![(LogLevel::Error, cut_message(&log))];
    logs.extend(retry_later(job, rest, max_attempts, now));
    Outcome { is_applied: true, logs, ..Outcome::default() }
}

/// An operator ends a task, or the deadline of a drain does.
pub(crate) fn cancel(job: &mut Job, reason: &str, requeue: bool, now: Timestamp) -> Outcome {
    if !is_in_progress(&job.task) {
        return Outcome::default();
    }
    let message = if reason.is_empty() { "cancelled".to_owned() } else { cut_message(reason) };
    end(job, TaskStatus::Cancelled, message.clone(), now);
    if job.is_newest() {
        if requeue {
            job.video.attempts = (job.video.attempts - 1).max(0);
            let status = if job.video.attempts > 0 { VideoStatus::Failed } else { VideoStatus::Waiting };
            let _ = leave(&mut job.video, status, now);
        } else {
            job.video.held = leave(&mut job.video, VideoStatus::Failed, now);
        }
        job.video.error_message.clone_from(&message);
    }
    let logs = vec![(LogLevel::Warning, cut_message(&format!("task cancelled: {message}")))];
    Outcome { is_applied: true, is_cancelled: true, logs }
}

/// Lets a video wait with all its attempts, and rest no longer. Says whether that changes anything.
pub(crate) fn requeue(video: &mut VideoRecord, priority: Option<i32>, now: Timestamp) -> bool {
    let before = video.clone();
    video.priority = priority.unwrap_or(video.priority);
    video.attempts = 0;
    video.error_message = String::new();
    leave(video, VideoStatus::Waiting, now);
    let is_freed = before.held || before.not_before_nanos > now.nanos();
    is_freed || before.status != video.status || before.priority != video.priority
}

fn end(job: &mut Job, status: TaskStatus, message: String, now: Timestamp) {
    let task = &mut job.task;
    task.status = status as i32;
    task.remaining_time = None;
    task.error_message = message;
    task.end_nanos = now.nanos();
}

/// Takes a video from its task. One whose file was exchanged meanwhile is what the rules say of the new file: then it
/// answers false.
fn leave(video: &mut VideoRecord, status: VideoStatus, now: Timestamp) -> bool {
    let found = std::mem::take(&mut video.found_status);
    let status = if found == 0 {
        status
    } else {
        video.attempts = 0;
        video.last_task_id = 0;
        VideoStatus::try_from(found).unwrap_or(status)
    };
    video.status = status as i32;
    video.task_id = 0;
    video.not_before_nanos = 0;
    video.held = false;
    video.update_nanos = now.nanos();
    found == 0
}

/// The video is tried again, unless it has had its attempts.
fn retry_later(job: &mut Job, rest: Duration, max_attempts: i32, now: Timestamp) -> Option<(LogLevel, String)> {
    if !job.is_newest() {
        return None;
    }
    let (worker, message) = (job.task.worker_id, job.task.error_message.clone());
    let video = &mut job.video;
    if !leave(video, VideoStatus::Failed, now) {
        video.error_message = String::new();
        let text = format!("{} has another file by now, which is looked at by itself", video.path);
        return Some((LogLevel::Info, cut_message(&text)));
    }
    video.last_worker_id = worker;
    video.error_message = message;
    video.held = video.attempts >= max_attempts;
    if video.held {
        let text = format!("{} failed {} times and is not tried again", video.path, video.attempts);
        return Some((LogLevel::Warning, cut_message(&text)));
    }
    video.not_before_nanos = now.plus(rest).nanos();
    let text = format!("{} is tried again in {} s (attempt {} failed)", video.path, rest.as_secs(), video.attempts);
    Some((LogLevel::Warning, cut_message(&text)))
}

/// A worker could not begin: the attempt does not count, and others go first.
fn hand_back(job: &mut Job, now: Timestamp) {
    if !job.is_newest() {
        return;
    }
    let worker = job.task.worker_id;
    let video = &mut job.video;
    video.attempts = (video.attempts - 1).max(0);
    if !leave(video, if video.attempts > 0 { VideoStatus::Failed } else { VideoStatus::Waiting }, now) {
        return;
    }
    video.last_worker_id = worker;
    video.not_before_nanos = now.plus(DECLINED_REST).nanos();
}

/// How long a video rests after so many attempts: doubled for each, up to the most.
pub(crate) fn backoff(policy: &Policy, attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(30);
    policy.retry_backoff.saturating_mul(1 << doublings).min(policy.retry_backoff_max)
}

#[cfg(test)]
#[path = "transition_test.rs"]
pub(super) mod tests;

//! Between the records and the messages of the protocol.

use steward_proto::transcode::v1 as api;

use super::index::Library;
use super::libraries::{LibraryView, scan_interval};
use super::model::{
    LogId, LogRecord, OfflineAction, ScheduleRecord, TaskId, TaskRecord, TaskStatus, TaskUuid, VideoId, VideoRecord,
    WindowRecord, WorkerRecord, library_of, time,
};
use super::workers::WorkerView;
use crate::clock::Timestamp;
use crate::store::Revision;

/// Whether the reader may see what proves a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    Shown,
    Hidden,
}

/// A revision as the protocol has it.
pub(super) fn revision(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// A number of things as the protocol has it.
pub(super) fn total(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn when(nanos: i64) -> Option<prost_types::Timestamp> {
    time(nanos).map(Into::into)
}

pub(super) fn uuid_text(bytes: &[u8]) -> String {
    if bytes.is_empty() { String::new() } else { TaskUuid::of(bytes).to_string() }
}

pub(super) fn task(id: TaskId, task: &TaskRecord, secrets: Secrets) -> api::Task {
    api::Task {
        task_id: uuid_text(&task.uuid),
        id: id.0,
        video_path: task.video_path.clone(),
        dest_path: task.dest_path.clone(),
        worker_id: task.worker_id,
        worker_name: task.worker_name.clone(),
        progress: task.progress,
        status: task.status,
        error_message: task.error_message.clone(),
        elapsed_time: task.elapsed_time,
        remaining_time: task.remaining_time,
        video_id: task.video_id,
        attempt: task.attempt,
        priority: task.priority,
        lease_token: if secrets == Secrets::Shown { uuid_text(&task.lease_token) } else { String::new() },
        start_time: when(task.start_nanos),
        end_time: when(task.end_nanos),
        last_update_time: when(task.update_nanos),
        cancel_requested: task.status == TaskStatus::Cancelled as i32,
        fps: task.fps,
        speed: task.speed,
        output_bytes: task.output_bytes,
        source_bytes: task.source_bytes,
    }
}

pub(super) fn video(id: VideoId, video: &VideoRecord) -> api::Video {
    api::Video {
        id: id.0,
        video_path: video.path.clone(),
        codec: video.codec.clone(),
        bitrate_k: video.bitrate_k,
        size_bytes: video.size_bytes,
        fps: video.fps,
        resolution: Some(api::Resolution { width: video.width, height: video.height }),
        is_vr: video.is_vr,
        transcode_status: video.status,
        transcode_task_id: video.task_id,
        update_time: when(video.update_nanos),
        duration: video.duration,
        library: library_of(&video.path).to_owned(),
        attempts: video.attempts,
        not_before_time: when(video.not_before_nanos),
        exist: video.exist,
        container: video.container.clone(),
        audio_codec: video.audio_codec.clone(),
        fingerprint: video.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect(),
        modify_time: when(video.modify_nanos),
        priority: video.priority,
        error_message: video.error_message.clone(),
        saved_bytes: video.saved_bytes,
        held: video.held,
    }
}

pub(super) fn log(id: LogId, log: &LogRecord) -> api::LogEntry {
    api::LogEntry {
        id: id.0,
        task_number: log.task_id,
        task_id: uuid_text(&log.task_uuid),
        log_time: when(log.log_nanos),
        log_level: log.level,
        log_message: log.message.clone(),
        worker_id: log.worker_id,
    }
}

pub(super) fn worker(view: &WorkerView) -> api::Worker {
    let record = &view.record;
    api::Worker {
        worker_id: view.id.0,
        worker_name: record.name.clone(),
        worker_type: record.worker_type,
        support_vr: record.support_vr,
        state: state(view).into(),
        offline_action: record.offline_action,
        last_heartbeat_time: Some(view.heartbeat.into()),
        task_ids: view.tasks.iter().map(ToString::to_string).collect(),
        labels: record.labels.clone(),
        constraints: Some(api::Constraints {
            max_height: record.max_height,
            codecs: record.codecs.clone(),
            libraries: record.libraries.clone(),
        }),
        max_concurrent: record.max_concurrent,
        version: record.version.clone(),
        schedule: record.schedule.as_ref().map(schedule),
        paused: record.paused,
        drain_deadline_time: when(record.drain_deadline_nanos),
        offline_time: when(record.offline_nanos),
    }
}

/// What a worker is doing.
pub(super) fn state(view: &WorkerView) -> api::WorkerState {
    let WorkerRecord { offline_action, paused, .. } = &view.record;
    if view.is_offline {
        api::WorkerState::Offline
    } else if *offline_action != OfflineAction::Unspecified as i32 {
        api::WorkerState::Draining
    } else if *paused {
        api::WorkerState::Paused
    } else if view.tasks.is_empty() {
        api::WorkerState::Idle
    } else {
        api::WorkerState::Busy
    }
}

fn schedule(schedule: &ScheduleRecord) -> api::Schedule {
    let window = |window: &WindowRecord| api::Window {
        days: window.days,
        start_minute: window.start_minute,
        end_minute: window.end_minute,
    };
    api::Schedule { windows: schedule.windows.iter().map(window).collect(), time_zone: schedule.time_zone.clone() }
}

pub(super) fn schedule_record(schedule: &api::Schedule) -> ScheduleRecord {
    let window = |window: &api::Window| WindowRecord {
        days: window.days,
        start_minute: window.start_minute,
        end_minute: window.end_minute,
    };
    ScheduleRecord { windows: schedule.windows.iter().map(window).collect(), time_zone: schedule.time_zone.clone() }
}

pub(super) fn library(view: &LibraryView) -> api::Library {
    let Library { record, rules, .. } = &view.library;
    api::Library {
        name: view.name.clone(),
        path: record.path.clone(),
        rules: Some(rules.clone()),
        scan_interval: scan_interval(record).and_then(|interval| interval.try_into().ok()),
        paused: record.paused,
        scan_time: when(record.scan_nanos),
        scan_error: record.scan_error.clone(),
        video_count: view.videos,
    }
}

/// A time of the protocol; `None` when it is out of range.
pub(super) fn timestamp(time: prost_types::Timestamp) -> Option<Timestamp> {
    let nanos = time.seconds.checked_mul(1_000_000_000)?.checked_add(i64::from(time.nanos))?;
    Some(Timestamp::from_nanos(nanos))
}

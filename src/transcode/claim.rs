//! A claim: what becomes of a video and what its task is.

use bytes::Bytes;

use super::model::{
    LeaseToken, LogLevel, OfflineAction, TaskId, TaskRecord, TaskStatus, TaskUuid, VideoRecord, VideoStatus, WorkerId,
    WorkerRecord, WorkerType, cut_message,
};
use super::schedule;
use crate::clock::Timestamp;

/// A wish for work.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) worker: WorkerId,
    /// What it can do at this time; `None`: what it registered with.
    pub(crate) worker_type: Option<WorkerType>,
    pub(crate) wants_vr: Option<bool>,
    pub(crate) dest_path: Option<String>,
}

/// What a worker's state says to its wish for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may have a task.
    Welcome,
    /// Its heartbeats have stopped.
    Offline,
    /// It was told to go.
    Told(OfflineAction),
    /// It is paused, or it is not its time. Another look is worth it then.
    Resting(Option<Timestamp>),
}

/// Whether a worker may have a task now.
pub(crate) fn standing(worker: &WorkerRecord, is_silent: bool, now: Timestamp) -> Standing {
    // Also when it is offline by now: the answer that told it may have been lost.
    let action = OfflineAction::try_from(worker.offline_action).unwrap_or_default();
    if action != OfflineAction::Unspecified {
        return Standing::Told(action);
    }
    if !worker.is_online || is_silent {
        return Standing::Offline;
    }
    if worker.paused {
        return Standing::Resting(None);
    }
    match schedule::next_opening(worker.schedule.as_ref(), now) {
        None => Standing::Welcome,
        Some(opening) => Standing::Resting(Some(opening)),
    }
}

/// Whether a video may be given out now, as its record says.
pub(crate) fn is_claimable(video: &VideoRecord, takes_retries: bool, now: Timestamp) -> bool {
    let status = VideoStatus::try_from(video.status).unwrap_or_default();
    let is_its_turn = match status {
        VideoStatus::Waiting => true,
        VideoStatus::Failed => takes_retries,
        VideoStatus::Unspecified
        | VideoStatus::NotNeeded
        | VideoStatus::Claimed
        | VideoStatus::Transcoding
        | VideoStatus::Completed => false,
    };
    is_its_turn && video.exist && !video.held && video.not_before_nanos <= now.nanos()
}

/// The random parts of a task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn {
    pub(crate) uuid: TaskUuid,
    pub(crate) token: LeaseToken,
}

/// Gives a video to a worker.
pub(crate) fn start(
    id: TaskId,
    drawn: Drawn,
    claim: &Claim,
    (video_id, video): (super::model::VideoId, &mut VideoRecord),
    worker: &WorkerRecord,
    now: Timestamp,
) -> (TaskRecord, (LogLevel, String)) {
    video.status = VideoStatus::Claimed as i32;
    video.task_id = id.0;
    video.last_task_id = id.0;
    video.attempts = video.attempts.saturating_add(1);
    video.not_before_nanos = 0;
    video.update_nanos = now.nanos();
    let task = TaskRecord {
        uuid: Bytes::copy_from_slice(&drawn.uuid.0),
        video_id: video_id.0,
        video_path: video.path.clone(),
        dest_path: claim.dest_path.clone(),
        worker_id: claim.worker.0,
        worker_name: worker.name.clone(),
        status: TaskStatus::Created as i32,
        attempt: video.attempts,
        priority: video.priority,
        lease_token: Bytes::copy_from_slice(&drawn.token.0),
        start_nanos: now.nanos(),
        update_nanos: now.nanos(),
        source_bytes: video.size_bytes,
        ..TaskRecord::default()
    };
    let message = format!("{} claimed {} (attempt {})", worker.name, video.path, video.attempts);
    (task, (LogLevel::Info, cut_message(&message)))
}

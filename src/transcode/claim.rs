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

#[cfg(test)]
mod tests {
    use super::super::model::{ScheduleRecord, VideoId, WindowRecord};
    use super::*;

    /// 2023-11-14T22:13:20Z, a Tuesday.
    const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

    fn online() -> WorkerRecord {
        WorkerRecord { name: "w".to_owned(), is_online: true, ..WorkerRecord::default() }
    }

    /// Open from one minute of each day to another, UTC.
    fn open(start_minute: i32, end_minute: i32) -> WorkerRecord {
        let windows = vec![WindowRecord { days: 0, start_minute, end_minute }];
        WorkerRecord { schedule: Some(ScheduleRecord { windows, time_zone: "UTC".to_owned() }), ..online() }
    }

    fn video(status: VideoStatus) -> VideoRecord {
        VideoRecord {
            path: "films/a.mp4".to_owned(),
            size_bytes: 1_000,
            status: status as i32,
            exist: true,
            ..VideoRecord::default()
        }
    }

    #[test]
    fn a_worker_that_beats_is_welcome() {
        assert_eq!(standing(&online(), false, NOW), Standing::Welcome);
    }

    #[test]
    fn a_worker_that_is_offline_or_silent_is_offline_also_when_it_is_paused() {
        let paused = WorkerRecord { paused: true, ..online() };
        assert_eq!(standing(&WorkerRecord { is_online: false, ..paused.clone() }, false, NOW), Standing::Offline);
        assert_eq!(standing(&paused, true, NOW), Standing::Offline);
    }

    #[test]
    fn a_worker_that_is_to_go_is_told_again_when_it_is_offline_by_then() {
        let going = WorkerRecord { offline_action: OfflineAction::Shutdown as i32, is_online: false, ..online() };
        assert_eq!(standing(&going, true, NOW), Standing::Told(OfflineAction::Shutdown));
    }

    #[test]
    fn a_worker_that_is_to_go_is_told_even_when_it_is_paused() {
        for action in [OfflineAction::Offline, OfflineAction::Shutdown] {
            let worker = WorkerRecord { offline_action: action as i32, paused: true, ..online() };
            assert_eq!(standing(&worker, false, NOW), Standing::Told(action));
        }
    }

    #[test]
    fn a_paused_worker_rests_until_somebody_lets_it_go_on() {
        let worker = WorkerRecord { paused: true, ..open(0, 24 * 60) };
        assert_eq!(standing(&worker, false, NOW), Standing::Resting(None));
    }

    #[test]
    fn a_worker_rests_outside_its_hours() {
        assert_eq!(standing(&open(22 * 60, 23 * 60), false, NOW), Standing::Welcome);
        let opening = Timestamp::from_nanos(NOW.nanos() + (46 * 60 + 40) * 1_000_000_000);
        assert_eq!(standing(&open(23 * 60, 24 * 60), false, NOW), Standing::Resting(Some(opening)));
    }

    #[test]
    fn videos_that_wait_can_be_had_and_failed_ones_by_those_who_take_them() {
        for (status, by_all, by_some) in [
            (VideoStatus::Unspecified, false, false),
            (VideoStatus::NotNeeded, false, false),
            (VideoStatus::Waiting, true, true),
            (VideoStatus::Claimed, false, false),
            (VideoStatus::Transcoding, false, false),
            (VideoStatus::Completed, false, false),
            (VideoStatus::Failed, false, true),
        ] {
            assert_eq!(is_claimable(&video(status), false, NOW), by_all, "{status:?}");
            assert_eq!(is_claimable(&video(status), true, NOW), by_some, "{status:?}");
        }
    }

    #[test]
    fn a_video_that_is_held_or_gone_or_rests_cannot_be_had() {
        let waiting = video(VideoStatus::Waiting);
        assert!(!is_claimable(&VideoRecord { held: true, ..waiting.clone() }, true, NOW));
        assert!(!is_claimable(&VideoRecord { exist: false, ..waiting.clone() }, true, NOW));
        let rests = VideoRecord { not_before_nanos: NOW.nanos() + 1, ..waiting };
        assert!(!is_claimable(&rests, true, NOW));
        assert!(is_claimable(&rests, true, Timestamp::from_nanos(NOW.nanos() + 1)));
    }

    #[test]
    fn a_task_has_what_its_video_and_its_worker_were_when_it_was_given_out() {
        let mut video = VideoRecord { attempts: 1, priority: 4, not_before_nanos: 5, ..video(VideoStatus::Failed) };
        let claim =
            Claim { worker: WorkerId(3), worker_type: None, wants_vr: None, dest_path: Some("!replace".to_owned()) };
        let drawn = Drawn { uuid: TaskUuid([7; 16]), token: LeaseToken([9; 16]) };
        let (task, (level, message)) = start(TaskId(8), drawn, &claim, (VideoId(5), &mut video), &online(), NOW);
        assert_eq!((video.status, video.task_id, video.last_task_id), (VideoStatus::Claimed as i32, 8, 8));
        assert_eq!((video.attempts, video.not_before_nanos, video.update_nanos), (2, 0, NOW.nanos()));
        let expected = TaskRecord {
            uuid: Bytes::copy_from_slice(&[7; 16]),
            lease_token: Bytes::copy_from_slice(&[9; 16]),
            video_id: 5,
            video_path: "films/a.mp4".to_owned(),
            dest_path: Some("!replace".to_owned()),
            worker_id: 3,
            worker_name: "w".to_owned(),
            status: TaskStatus::Created as i32,
            attempt: 2,
            priority: 4,
            start_nanos: NOW.nanos(),
            update_nanos: NOW.nanos(),
            source_bytes: 1_000,
            ..TaskRecord::default()
        };
        assert_eq!(task, expected);
        assert_eq!((level, message.as_str()), (LogLevel::Info, "w claimed films/a.mp4 (attempt 2)"));
    }
}

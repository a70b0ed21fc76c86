//! Every rule about how a task and its video go on, one by one.

use super::*;
use crate::transcode::claim::{self, Claim, Drawn};
use crate::transcode::model::{LeaseToken, MAX_MESSAGE_CHARS, TaskUuid, VideoId, WorkerId, WorkerRecord};

const CLAIMED_AT: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);
const MAX_ATTEMPTS: i32 = 3;
/// The worker of the jobs here.
const WORKER: i32 = 3;

pub(crate) fn policy() -> Policy {
    Policy {
        heartbeat_timeout: Duration::from_secs(30),
        task_stall_timeout: Some(Duration::from_mins(10)),
        max_attempts: MAX_ATTEMPTS,
        retry_backoff: Duration::from_mins(1),
        retry_backoff_max: Duration::from_hours(6),
        retry_on_hardware: false,
    }
}

fn later() -> Timestamp {
    CLAIMED_AT.plus(Duration::from_hours(1))
}

/// A video that waits.
pub(crate) fn waiting() -> VideoRecord {
    VideoRecord {
        path: "films/a.mp4".to_owned(),
        size_bytes: 1_000,
        status: VideoStatus::Waiting as i32,
        exist: true,
        ..VideoRecord::default()
    }
}

/// Gives a video to a worker.
pub(crate) fn claimed(mut video: VideoRecord, id: TaskId, now: Timestamp) -> Job {
    let claim = Claim { worker: WorkerId(WORKER), worker_type: None, wants_vr: None, dest_path: None };
    let worker = WorkerRecord { name: "w".to_owned(), ..WorkerRecord::default() };
    let drawn = Drawn { uuid: TaskUuid([7; 16]), token: LeaseToken([9; 16]) };
    let (task, _) = claim::start(id, drawn, &claim, (VideoId(5), &mut video), &worker, now);
    Job { id, task, video }
}

fn job() -> Job {
    claimed(waiting(), TaskId(1), CLAIMED_AT)
}

/// A job whose video had so many attempts before.
fn job_after(attempts: i32) -> Job {
    let status = if attempts > 0 { VideoStatus::Failed } else { VideoStatus::Waiting } as i32;
    claimed(VideoRecord { attempts, status, ..waiting() }, TaskId(1), CLAIMED_AT)
}

/// The same job when its task has ended and another one has had its video since.
fn superseded_job(status: TaskStatus) -> Job {
    let mut old = job();
    says(&mut old, status);
    let newer = claimed(old.video.clone(), TaskId(2), later());
    Job { video: newer.video, ..old }
}

fn of(status: TaskStatus) -> Report {
    Report { status, ..Report::default() }
}

fn send(job: &mut Job, sent: &Report) -> Outcome {
    report(job, sent, MAX_ATTEMPTS, &policy(), later())
}

fn says(job: &mut Job, status: TaskStatus) -> Outcome {
    send(job, &of(status))
}

fn fails_with(job: &mut Job, message: &str) -> Outcome {
    send(job, &Report { error_message: Some(message.to_owned()), ..of(TaskStatus::Failed) })
}

fn lose(job: &mut Job) -> Outcome {
    let cause = Cause::WorkerLost("Worker离线，任务自动终止".to_owned());
    end_by_server(job, &cause, MAX_ATTEMPTS, &policy(), later())
}

/// What task and video are.
fn states(job: &Job) -> (TaskStatus, VideoStatus) {
    (job.status(), VideoStatus::try_from(job.video.status).expect("a status"))
}

#[test]
fn a_task_is_created_until_its_worker_says_that_it_runs() {
    let mut job = job();
    assert_eq!(states(&job), (TaskStatus::Created, VideoStatus::Claimed));
    assert!(says(&mut job, TaskStatus::Created).is_applied);
    assert_eq!(states(&job), (TaskStatus::Created, VideoStatus::Claimed));
    assert!(says(&mut job, TaskStatus::Running).is_applied);
    assert_eq!(states(&job), (TaskStatus::Running, VideoStatus::Transcoding));
    assert_eq!(job.task.update_nanos, later().nanos());
}

#[test]
fn a_task_that_runs_does_not_go_back() {
    let mut job = job();
    says(&mut job, TaskStatus::Running);
    says(&mut job, TaskStatus::Created);
    assert_eq!(states(&job), (TaskStatus::Running, VideoStatus::Transcoding));
}

#[test]
fn a_completion_leaves_nothing_to_do() {
    let mut job = job();
    says(&mut job, TaskStatus::Running);
    let outcome = send(&mut job, &Report { remaining_time: Some(9), ..of(TaskStatus::Completed) });
    assert!(outcome.is_applied);
    assert_eq!(states(&job), (TaskStatus::Completed, VideoStatus::Completed));
    assert_eq!((job.task.remaining_time, job.task.end_nanos), (Some(0), later().nanos()));
    assert_eq!((job.video.task_id, job.video.last_task_id), (0, 1));
    assert_eq!(outcome.logs[0].0, LogLevel::Info);
}

#[test]
fn a_task_may_be_completed_before_it_was_said_to_run() {
    let mut job = job();
    assert!(says(&mut job, TaskStatus::Completed).is_applied);
    assert_eq!(states(&job), (TaskStatus::Completed, VideoStatus::Completed));
}

#[test]
fn a_completed_task_never_changes() {
    let mut job = job();
    says(&mut job, TaskStatus::Completed);
    let before = job.clone();
    for status in [TaskStatus::Created, TaskStatus::Running, TaskStatus::Completed, TaskStatus::Failed] {
        let sent = Report { progress: 3.0, elapsed_time: Some(8), ..of(status) };
        assert_eq!(send(&mut job, &sent), Outcome::default(), "{status:?}");
    }
    assert_eq!(lose(&mut job), Outcome::default());
    assert_eq!(cancel(&mut job, "", true, later()), Outcome::default());
    assert_eq!(job, before);
}

#[test]
fn a_failure_keeps_the_progress_and_forgets_the_remaining_time() {
    let mut job = job();
    send(&mut job, &Report { progress: 50.0, remaining_time: Some(9), ..of(TaskStatus::Running) });
    let sent = Report {
        progress: 50.0,
        elapsed_time: Some(60),
        remaining_time: Some(9),
        error_message: Some("no space".to_owned()),
        ..of(TaskStatus::Failed)
    };
    let outcome = send(&mut job, &sent);
    assert_eq!(states(&job), (TaskStatus::Failed, VideoStatus::Failed));
    assert_eq!((job.task.remaining_time, job.task.elapsed_time, job.task.end_nanos), (None, 60, later().nanos()));
    assert!((job.task.progress - 50.0).abs() < f64::EPSILON);
    assert_eq!((job.task.error_message.as_str(), job.video.error_message.as_str()), ("no space", "no space"));
    assert_eq!((job.video.task_id, job.video.last_worker_id), (0, WORKER));
    assert_eq!(outcome.logs[0], (LogLevel::Error, "no space".to_owned()));
    assert_eq!(outcome.logs[1].0, LogLevel::Warning);
}

#[test]
fn a_failure_without_a_reason_has_no_entry_of_an_error() {
    let mut job = job();
    let outcome = says(&mut job, TaskStatus::Failed);
    assert!(outcome.logs.iter().all(|(level, _)| *level != LogLevel::Error));
}

#[test]
fn the_same_failure_again_changes_nothing() {
    let mut job = job();
    fails_with(&mut job, "no space");
    let before = job.clone();
    assert_eq!(fails_with(&mut job, "still no space"), Outcome::default());
    assert_eq!(job, before);
}

#[test]
fn a_failed_task_that_goes_on_is_open_again() {
    let mut job = job();
    says(&mut job, TaskStatus::Running);
    lose(&mut job);
    assert!(may_go_on(&job));
    let outcome = send(&mut job, &Report { progress: 60.0, ..of(TaskStatus::Running) });
    assert!(outcome.is_applied);
    assert_eq!(outcome.logs[0].0, LogLevel::Warning);
    assert_eq!(states(&job), (TaskStatus::Running, VideoStatus::Transcoding));
    assert_eq!((job.task.end_nanos, job.task.error_message.as_str()), (0, ""));
    assert_eq!((job.video.task_id, job.video.not_before_nanos, job.video.attempts), (1, 0, 1));
}

#[test]
fn a_task_that_failed_for_the_last_time_is_open_again_too() {
    let mut job = job_after(MAX_ATTEMPTS - 1);
    lose(&mut job);
    assert!(job.video.held);
    assert!(says(&mut job, TaskStatus::Running).is_applied);
    assert!(!job.video.held);
}

#[test]
fn a_task_that_failed_can_still_be_completed() {
    let mut job = job();
    lose(&mut job);
    let outcome = says(&mut job, TaskStatus::Completed);
    assert!(outcome.is_applied);
    assert_eq!(states(&job), (TaskStatus::Completed, VideoStatus::Completed));
    assert_eq!((job.task.error_message.as_str(), job.video.error_message.as_str()), ("", ""));
    assert_eq!(job.video.not_before_nanos, 0);
}

#[test]
fn what_a_superseded_task_says_changes_nothing() {
    let superseded = superseded_job(TaskStatus::Failed);
    assert!(!may_go_on(&superseded));
    for status in [TaskStatus::Created, TaskStatus::Running, TaskStatus::Failed] {
        let mut job = superseded.clone();
        assert_eq!(says(&mut job, status), Outcome::default(), "{status:?}");
        assert_eq!(job, superseded);
    }
}

#[test]
fn a_completion_that_is_superseded_is_told_in_the_log_and_changes_nothing() {
    let mut job = superseded_job(TaskStatus::Failed);
    let before = job.clone();
    let outcome = says(&mut job, TaskStatus::Completed);
    assert!(!outcome.is_applied && !outcome.is_cancelled);
    assert_eq!(outcome.logs.iter().map(|(level, _)| *level).collect::<Vec<_>>(), [LogLevel::Warning]);
    assert_eq!(job, before);
}

#[test]
fn a_failed_task_does_not_go_on_when_its_video_need_not_be_transcoded_any_more() {
    let mut job = job();
    lose(&mut job);
    job.video.status = VideoStatus::NotNeeded as i32;
    assert!(!may_go_on(&job));
    assert_eq!(says(&mut job, TaskStatus::Running), Outcome::default());
}

#[test]
fn a_cancelled_task_holds_its_video() {
    let mut job = job();
    let outcome = cancel(&mut job, "not tonight", false, later());
    assert!(outcome.is_applied && outcome.is_cancelled);
    assert_eq!(states(&job), (TaskStatus::Cancelled, VideoStatus::Failed));
    assert!(job.video.held);
    assert_eq!((job.video.task_id, job.video.attempts), (0, 1));
    assert_eq!((job.task.error_message.as_str(), job.video.error_message.as_str()), ("not tonight", "not tonight"));
    assert_eq!(outcome.logs[0].0, LogLevel::Warning);
}

#[test]
fn a_cancelled_task_without_a_reason_says_that_it_was_cancelled() {
    let mut job = job();
    cancel(&mut job, "", false, later());
    assert_eq!(job.task.error_message, "cancelled");
}

#[test]
fn a_cancelled_task_that_is_to_be_done_by_others_takes_no_attempt() {
    for (before, status) in [(0, VideoStatus::Waiting), (1, VideoStatus::Failed)] {
        let mut job = job_after(before);
        cancel(&mut job, "", true, later());
        assert_eq!(states(&job), (TaskStatus::Cancelled, status));
        assert_eq!((job.video.attempts, job.video.held, job.video.not_before_nanos), (before, false, 0));
    }
}

#[test]
fn the_worker_of_a_cancelled_task_is_to_stop_whatever_it_says() {
    for is_given_to_others in [false, true] {
        let mut job = job();
        cancel(&mut job, "", is_given_to_others, later());
        let before = job.clone();
        assert!(!may_go_on(&job));
        for status in [TaskStatus::Running, TaskStatus::Failed] {
            let expected = Outcome { is_cancelled: true, ..Outcome::default() };
            assert_eq!(says(&mut job, status), expected, "{status:?}");
        }
        assert_eq!(job, before);
    }
}

#[test]
fn a_result_that_was_ready_when_its_task_was_cancelled_counts() {
    let mut job = job();
    cancel(&mut job, "", false, later());
    let outcome = says(&mut job, TaskStatus::Completed);
    assert!(outcome.is_applied && !outcome.is_cancelled);
    assert_eq!(states(&job), (TaskStatus::Completed, VideoStatus::Completed));
    assert!(!job.video.held);
}

#[test]
fn a_task_that_was_cancelled_after_its_end_stays_as_it_was() {
    let mut job = job();
    lose(&mut job);
    let before = job.clone();
    assert_eq!(cancel(&mut job, "", true, later()), Outcome::default());
    assert_eq!(job, before);
}

#[test]
fn a_declined_task_takes_no_attempt_and_its_video_rests_a_little() {
    for (before, status) in [(0, VideoStatus::Waiting), (1, VideoStatus::Failed)] {
        let mut job = job_after(before);
        let outcome = send(&mut job, &Report { is_declined: true, ..of(TaskStatus::Failed) });
        assert!(outcome.is_applied);
        assert_eq!(states(&job), (TaskStatus::Failed, status));
        assert_eq!((job.video.attempts, job.video.last_worker_id, job.video.held), (before, WORKER, false));
        assert_eq!(job.video.not_before_nanos, later().plus(DECLINED_REST).nanos());
    }
}

#[test]
fn a_video_rests_twice_as_long_after_each_failure_up_to_the_most() {
    let policy = policy();
    let minutes = [1, 2, 3, 9, 10, i32::MAX].map(|attempts| backoff(&policy, attempts).as_secs() / 60);
    assert_eq!(minutes, [1, 2, 4, 256, 360, 360]);
    assert_eq!(backoff(&policy, 0), policy.retry_backoff);
    for (before, minutes) in [(0, 1), (1, 2)] {
        let mut job = job_after(before);
        says(&mut job, TaskStatus::Failed);
        assert_eq!(job.video.not_before_nanos, later().plus(Duration::from_mins(minutes)).nanos());
        assert!(!job.video.held);
    }
}

#[test]
fn a_video_that_has_had_its_attempts_is_held() {
    let mut job = job_after(MAX_ATTEMPTS - 1);
    let outcome = fails_with(&mut job, "no space");
    assert!(job.video.held);
    assert_eq!((job.video.attempts, job.video.not_before_nanos), (MAX_ATTEMPTS, 0));
    assert!(outcome.logs.iter().any(|(_, message)| message.contains("not tried again")));
    assert!(!claim::is_claimable(&job.video, true, Timestamp::MAX));
}

#[test]
fn a_video_whose_worker_is_lost_can_be_had_at_once_and_the_attempt_counts() {
    let mut job = job();
    let outcome = lose(&mut job);
    assert!(outcome.is_applied);
    assert_eq!(states(&job), (TaskStatus::Failed, VideoStatus::Failed));
    assert_eq!((job.video.attempts, job.task.remaining_time), (1, None));
    assert_eq!(job.task.error_message, "Worker离线，任务自动终止");
    assert!(claim::is_claimable(&job.video, true, later()));
    assert_eq!(outcome.logs[0].0, LogLevel::Error);
}

#[test]
fn a_stalled_task_is_named_in_the_log_and_its_video_rests() {
    let mut job = job();
    let cause = Cause::Stalled("任务超过600秒未更新，判定为超时".to_owned());
    let outcome = end_by_server(&mut job, &cause, MAX_ATTEMPTS, &policy(), later());
    let uuid = TaskUuid([7; 16]);
    assert_eq!(job.task.error_message, "任务超过600秒未更新，判定为超时");
    assert_eq!(outcome.logs[0], (LogLevel::Error, format!("任务 {uuid} 超过600秒未更新，判定为超时")));
    assert_eq!(job.video.not_before_nanos, later().plus(policy().retry_backoff).nanos());
}

#[test]
fn the_server_ends_a_task_once() {
    let mut job = job();
    lose(&mut job);
    let before = job.clone();
    assert_eq!(lose(&mut job), Outcome::default());
    assert_eq!(job, before);
}

#[test]
fn progress_is_a_percentage_whatever_is_sent() {
    let mut job = job();
    let sent = [(12.5, 12.5), (f64::NAN, 12.5), (f64::INFINITY, 12.5), (150.0, 100.0), (-5.0, 0.0)];
    for (sent, expected) in sent {
        send(&mut job, &Report { progress: sent, ..of(TaskStatus::Running) });
        assert!((job.task.progress - expected).abs() < f64::EPSILON, "{sent}: {}", job.task.progress);
    }
}

#[test]
fn rates_that_are_none_are_zero() {
    let mut job = job();
    for sent in [f64::NAN, f64::NEG_INFINITY, f64::INFINITY, -1.0] {
        send(&mut job, &Report { fps: sent, speed: sent, ..of(TaskStatus::Running) });
        assert_eq!((job.task.fps.to_bits(), job.task.speed.to_bits()), (0, 0), "{sent}");
    }
    send(&mut job, &Report { fps: 48.0, speed: 1.5, ..of(TaskStatus::Running) });
    assert_eq!((job.task.fps.to_bits(), job.task.speed.to_bits()), (48f64.to_bits(), 1.5f64.to_bits()));
}

#[test]
fn times_change_only_when_they_are_sent_and_are_never_negative() {
    let mut job = job();
    assert_eq!((job.task.elapsed_time, job.task.remaining_time), (0, None));
    send(&mut job, &Report { elapsed_time: Some(10), remaining_time: Some(0), ..of(TaskStatus::Running) });
    assert_eq!((job.task.elapsed_time, job.task.remaining_time), (10, Some(0)));
    says(&mut job, TaskStatus::Running);
    assert_eq!((job.task.elapsed_time, job.task.remaining_time), (10, Some(0)));
    send(&mut job, &Report { elapsed_time: Some(-1), remaining_time: Some(-7), ..of(TaskStatus::Running) });
    assert_eq!((job.task.elapsed_time, job.task.remaining_time), (0, Some(0)));
}

#[test]
fn the_size_of_the_result_is_kept_until_another_is_told() {
    let mut job = job();
    send(&mut job, &Report { output_bytes: 400, ..of(TaskStatus::Running) });
    says(&mut job, TaskStatus::Completed);
    assert_eq!((job.task.output_bytes, job.video.output_bytes, job.video.saved_bytes), (400, 400, 600));
    assert!(job.video.expects_change);
}

#[test]
fn a_result_of_unknown_size_saves_nothing_yet_and_its_file_may_change() {
    let mut job = job();
    says(&mut job, TaskStatus::Completed);
    assert_eq!((job.video.output_bytes, job.video.saved_bytes, job.video.expects_change), (0, 0, true));
}

#[test]
fn a_result_that_was_measured_already_is_not_expected_again() {
    let mut job = job();
    job.video.size_bytes = 400;
    send(&mut job, &Report { output_bytes: 400, ..of(TaskStatus::Completed) });
    assert!(!job.video.expects_change);
    assert_eq!(job.video.saved_bytes, 600);
}

#[test]
fn a_long_reason_is_cut() {
    let mut job = job();
    fails_with(&mut job, &"x".repeat(5_000));
    assert_eq!(job.task.error_message.len(), MAX_MESSAGE_CHARS);
    assert_eq!(job.video.error_message.len(), MAX_MESSAGE_CHARS);
}

#[test]
fn a_video_that_is_to_wait_again_has_all_its_attempts() {
    let mut job = job_after(MAX_ATTEMPTS - 1);
    fails_with(&mut job, "no space");
    assert!(requeue(&mut job.video, Some(7), later()));
    assert_eq!(VideoStatus::try_from(job.video.status), Ok(VideoStatus::Waiting));
    assert_eq!((job.video.attempts, job.video.held, job.video.priority), (0, false, 7));
    assert!(job.video.error_message.is_empty());
    assert!(!requeue(&mut job.video, None, later()), "it waits already");
}

#[test]
fn a_video_that_rests_is_let_go_when_it_is_to_wait() {
    let mut job = job();
    send(&mut job, &Report { is_declined: true, ..of(TaskStatus::Failed) });
    assert!(requeue(&mut job.video, None, later()), "it need not rest any longer");
    assert_eq!(job.video.not_before_nanos, 0);
}

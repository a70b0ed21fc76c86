//! What happens when nothing is heard: of workers, of tasks, of those who were told to go.

use std::time::Duration;

use super::{World, calm};
use crate::transcode::keys;
use crate::transcode::model::{OfflineAction, TaskStatus, VideoStatus, WorkerRecord};
use crate::transcode::sessions::Notice;
use crate::transcode::settings::Settings;
use crate::transcode::transition::tests::policy;
use crate::transcode::workers::WENT_SILENT;

/// How late the record of a worker may know of its heartbeats, in seconds.
const KEPT_AFTER: u64 = 10;

#[tokio::test]
async fn all_tasks_of_a_worker_that_went_silent_are_for_others() {
    let world = World::new().await;
    let videos = world.add_videos(4).await;
    let (silent, other) = (world.worker("silent").await, world.worker("other").await);
    let mut lost = Vec::new();
    for _ in 0..3 {
        lost.push(world.task(silent).await.1);
    }
    world.says(silent, lost[0], TaskStatus::Running).await;
    let (_, kept) = world.task(other).await;
    world.pass(30);
    world.beat(other).await;
    world.sweep().await;
    assert!(!world.is_offline(silent), "thirty seconds are not too many");
    world.pass(1);
    world.sweep().await;
    assert!(world.is_offline(silent) && !world.is_offline(other));
    for (task, video) in lost.into_iter().zip(&videos) {
        let record = world.record(task).await;
        assert_eq!((record.status, record.error_message.as_str()), (TaskStatus::Failed as i32, WENT_SILENT));
        assert_eq!(world.video_status(*video).await, VideoStatus::Failed);
        world.task(other).await;
    }
    assert_eq!(world.task_status(kept).await, TaskStatus::Created);
    assert!(world.farm.worker(silent).expect("the worker").tasks.is_empty());
}

#[tokio::test]
async fn a_worker_that_was_cut_off_goes_on_with_its_task() {
    let world = World::new().await;
    let (video, worker) = (world.add_videos(1).await[0], world.worker("w").await);
    let (_, task) = world.task(worker).await;
    world.pass(31);
    world.sweep().await;
    world.beat(worker).await;
    assert!(!world.is_offline(worker));
    assert!(world.says(worker, task, TaskStatus::Running).await.is_applied);
    assert_eq!(world.video_status(video).await, VideoStatus::Transcoding);
    world.pass(29);
    world.beat(worker).await;
    world.sweep().await;
    assert!(world.says(worker, task, TaskStatus::Completed).await.is_applied);
    assert_eq!(world.video_status(video).await, VideoStatus::Completed);
}

#[tokio::test]
async fn a_task_that_an_offline_worker_opened_again_is_looked_after() {
    let world = World::new().await;
    let (video, worker) = (world.add_videos(1).await[0], world.worker("w").await);
    let (_, task) = world.task(worker).await;
    world.pass(31);
    world.sweep().await;
    world.sweep().await.expect("another look, though nobody is there");
    world.says(worker, task, TaskStatus::Running).await;
    world.pass(31);
    world.sweep().await;
    assert_eq!(world.task_status(task).await, TaskStatus::Failed);
    assert_eq!(world.video_status(video).await, VideoStatus::Failed);
}

#[tokio::test]
async fn a_task_that_nobody_speaks_of_fails_while_its_worker_beats() {
    let world = World::new().await;
    let (videos, worker) = (world.add_videos(2).await, world.worker("w").await);
    let ((_, stalled), (_, told)) = (world.task(worker).await, world.task(worker).await);
    world.pass(600);
    world.beat(worker).await;
    world.says(worker, told, TaskStatus::Running).await;
    world.sweep().await;
    assert_eq!(world.task_status(stalled).await, TaskStatus::Created);
    world.pass(1);
    world.beat(worker).await;
    world.sweep().await;
    let record = world.record(stalled).await;
    assert_eq!(record.status, TaskStatus::Failed as i32);
    assert_eq!(record.error_message, "任务超过600秒未更新，判定为超时");
    assert!(world.video(videos[0]).await.not_before_nanos > world.now().nanos(), "it rests");
    assert_eq!(world.task_status(told).await, TaskStatus::Running);
}

#[tokio::test]
async fn without_the_rule_a_task_may_be_silent_for_as_long_as_its_worker_beats() {
    let mut policy = policy();
    policy.task_stall_timeout = None;
    let world = World::with(Settings { policy, ..calm() }).await;
    let (_, worker) = (world.add_videos(1).await, world.worker("w").await);
    let (_, task) = world.task(worker).await;
    world.pass(24 * 3600);
    world.beat(worker).await;
    world.sweep().await;
    assert_eq!(world.task_status(task).await, TaskStatus::Created);
}

#[tokio::test]
async fn progress_is_no_heartbeat() {
    let world = World::new().await;
    let (_, worker) = (world.add_videos(1).await, world.worker("w").await);
    let (_, task) = world.task(worker).await;
    world.pass(29);
    world.says(worker, task, TaskStatus::Running).await;
    world.pass(2);
    world.sweep().await;
    assert_eq!(world.task_status(task).await, TaskStatus::Failed);
}

#[tokio::test]
async fn at_the_deadline_of_a_drain_the_tasks_are_for_others_and_take_no_attempt() {
    let world = World::new().await;
    let (video, worker) = (world.add_videos(1).await[0], world.worker("w").await);
    let (_, task) = world.task(worker).await;
    let (_, mut notices) = world.farm.sessions.open(worker);
    let deadline = Some(Duration::from_secs(20));
    world.farm.set_offline(worker, OfflineAction::Offline, deadline).await.expect("a command");
    world.pass(19);
    world.beat(worker).await;
    world.sweep().await;
    assert_eq!(world.task_status(task).await, TaskStatus::Created);
    world.pass(1);
    world.sweep().await;
    assert_eq!(world.task_status(task).await, TaskStatus::Cancelled);
    let record = world.video(video).await;
    assert_eq!((record.attempts, record.held, record.status), (0, false, VideoStatus::Waiting as i32));
    let mut told = Vec::new();
    while let Ok(notice) = notices.try_recv() {
        told.push(notice);
    }
    assert!(told.iter().any(|notice| matches!(notice, Notice::Cancel { task: of, .. } if *of == task)), "{told:?}");
    let worker = world.farm.worker(worker).expect("the worker");
    assert_eq!(worker.record.offline_action, OfflineAction::Offline as i32, "it is still to go");
    assert_eq!(worker.record.drain_deadline_nanos, 0);
}

#[tokio::test]
async fn a_drain_that_is_taken_back_ends_nothing() {
    let world = World::new().await;
    let (_, worker) = (world.add_videos(1).await, world.worker("w").await);
    let (_, task) = world.task(worker).await;
    let deadline = Some(Duration::from_secs(20));
    world.farm.set_offline(worker, OfflineAction::Offline, deadline).await.expect("a command");
    world.farm.cancel_offline(worker).await.expect("its end");
    world.pass(25);
    world.beat(worker).await;
    world.sweep().await;
    assert_eq!(world.task_status(task).await, TaskStatus::Created);
}

#[tokio::test]
async fn heartbeats_reach_the_record_late_and_only_when_there_were_some() {
    let world = World::new().await;
    let worker = world.worker("w").await;
    let kept = async || {
        let stored = world.farm.read::<WorkerRecord>(&keys::worker(worker)).await.expect("a readable store");
        stored.expect("the worker").record.heartbeat_nanos
    };
    let registered = kept().await;
    world.pass(KEPT_AFTER - 1);
    world.beat(worker).await;
    world.sweep().await;
    assert_eq!(kept().await, registered, "that would be a commit for each heartbeat");
    let beat = world.now();
    world.pass(1);
    world.sweep().await;
    assert_eq!(kept().await, beat.nanos());
    world.pass(KEPT_AFTER);
    world.sweep().await;
    assert_eq!(kept().await, beat.nanos(), "nothing was heard since");
}

#[tokio::test]
async fn after_a_start_workers_have_the_whole_timeout() {
    let mut world = World::new().await;
    let (_, worker) = (world.add_videos(1).await, world.worker("w").await);
    let (_, task) = world.task(worker).await;
    world.pass(3600);
    world.restart().await;
    world.sweep().await;
    assert!(!world.is_offline(worker));
    world.pass(30);
    world.sweep().await;
    assert_eq!(world.task_status(task).await, TaskStatus::Created);
    world.pass(1);
    world.sweep().await;
    assert!(world.is_offline(worker));
    assert_eq!(world.task_status(task).await, TaskStatus::Failed);
}

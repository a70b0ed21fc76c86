//! How tasks and videos move, and what a late or doubled report does.

use serde_json::{Value, json};
use steward_proto::transcode::v1::{TaskStatus, UpdateTaskRequest};
use tonic::Code;

use crate::common::wait::eventually;
use crate::vocabulary::api::Api;
use crate::vocabulary::farm::Farm;
use crate::vocabulary::native::{refusal, report};

/// A silence that ends a test soon, and attempts that are not counted out.
const SHORT: &str = "heartbeat_timeout = \"1s\"\nretry_backoff = \"1ms\"\nmax_attempts = 100";

/// The status of a task, of its video, and whether the video names a task.
async fn seen(api: &Api, task: &str, video: i32) -> (u64, u64, bool) {
    let (task, video) = (api.task(task).await, api.video(video).await);
    let number = |json: &Value| json.as_u64().expect("a number");
    (number(&task["status"]), number(&video["transcode_status"]), video["transcode_task_id"].is_u64())
}

#[tokio::test]
async fn a_task_is_created_then_at_work_then_done_and_its_video_with_it() {
    let farm = Farm::start().await;
    let api = farm.api();
    let video = farm.waiting(1).await[0];
    assert_eq!(api.video(video).await["transcode_status"], 1);
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    let (status, of_video, _) = seen(&api, &task, video).await;
    assert_eq!((status, of_video), (0, 2));

    api.progress(&task, worker, 0.0).await;
    assert_eq!(seen(&api, &task, video).await, (1, 3, true));
    api.progress(&task, worker, 50.0).await;
    assert_eq!(seen(&api, &task, video).await, (1, 3, true));
    api.complete(&task, worker).await;
    assert_eq!(seen(&api, &task, video).await, (2, 4, false));
    api.ask(worker).await.says(404, "没有待转码的视频");
}

#[tokio::test]
async fn a_failure_is_kept_with_its_reason_and_logged_once() {
    let farm = Farm::start().await;
    let api = farm.api();
    let video = farm.waiting(1).await[0];
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    let reason = "转码后文件码率(4320.02kbps)高于阈值(2307.51kbps)，转码失败";
    // A real worker says it twice now and then.
    for _ in 0..2 {
        api.fail(&task, worker, reason).await;
        assert_eq!(seen(&api, &task, video).await, (3, 5, false));
    }
    assert_eq!(api.task(&task).await["error_message"], reason);
    let errors = api.log_messages(3).await;
    assert_eq!(errors.iter().filter(|message| message.contains(reason)).count(), 1, "{errors:?}");
    assert_eq!(farm.native().video(video).await.attempts, 1, "it counts once");
}

#[tokio::test]
async fn what_is_done_stays_done() {
    let farm = Farm::start().await;
    let api = farm.api();
    let video = farm.waiting(1).await[0];
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    api.complete(&task, worker).await;
    api.progress(&task, worker, 3.0).await;
    assert_eq!(seen(&api, &task, video).await, (2, 4, false));
    api.fail(&task, worker, "no, it failed").await;
    assert_eq!(seen(&api, &task, video).await, (2, 4, false));
    api.complete(&task, worker).await;
    let done = api.task(&task).await;
    assert_eq!((&done["progress"], &done["remaining_time"]), (&json!(100.0), &json!(0)));
    assert_eq!(done["error_message"], json!(null));
}

/// A task whose worker was silent for too long, and is back.
async fn lost(farm: &Farm) -> (i32, i64, String) {
    let api = farm.api();
    let video = farm.waiting(1).await[0];
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    api.progress(&task, worker, 30.0).await;
    api.see_offline(worker).await;
    api.see_task(&task, 3).await;
    api.beat("w1", worker).await.says(200, "心跳更新成功");
    (video, worker, task)
}

#[tokio::test]
async fn late_progress_opens_a_task_again_that_nobody_else_has() {
    let farm = Farm::with(SHORT).await;
    let api = farm.api();
    let (video, worker, task) = lost(&farm).await;
    let _beating = api.keep_beating("w1", worker);

    api.progress(&task, worker, 60.0).await;

    assert_eq!(seen(&api, &task, video).await, (1, 3, true));
    assert_eq!(api.task(&task).await["error_message"], json!(null), "it no longer failed");
    api.complete(&task, worker).await;
    assert_eq!(seen(&api, &task, video).await, (2, 4, false));
}

#[tokio::test]
async fn late_work_is_not_wasted() {
    let farm = Farm::with(SHORT).await;
    let api = farm.api();
    let (video, worker, task) = lost(&farm).await;
    api.complete(&task, worker).await;
    assert_eq!(seen(&api, &task, video).await, (2, 4, false));
    let warnings = api.log_messages(2).await;
    assert!(!warnings.is_empty(), "a late report is logged");
}

#[tokio::test]
async fn late_reports_about_what_somebody_else_has_change_nothing_and_are_not_refused() {
    let farm = Farm::with(SHORT).await;
    let api = farm.api();
    let (video, worker, old) = lost(&farm).await;
    let other = api.register("w2").await;
    let _beating = api.keep_beating("w2", other);
    let new = eventually("the other one gets it", async || {
        let reply = api.ask(other).await;
        (reply.status == 201).then(|| reply.data()["task_id"].as_str().expect("a string").to_owned())
    })
    .await;
    api.progress(&new, other, 10.0).await;
    let before = api.log_messages(2).await.len();

    api.progress(&old, worker, 70.0).await;
    api.complete(&old, worker).await;
    api.fail(&old, worker, "lost").await;

    assert_eq!(seen(&api, &old, video).await, (3, 3, true));
    assert_eq!(seen(&api, &new, video).await, (1, 3, true));
    assert!(api.log_messages(2).await.len() > before, "it is logged");
    api.complete(&new, other).await;
    assert_eq!(seen(&api, &new, video).await, (2, 4, false));
    api.complete(&old, worker).await;
}

#[tokio::test]
async fn the_end_of_a_task_is_taken_even_from_a_worker_that_is_offline() {
    let farm = Farm::with(SHORT).await;
    let api = farm.api();
    let video = farm.waiting(1).await[0];
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    api.see_offline(worker).await;
    api.see_task(&task, 3).await;
    api.complete(&task, worker).await;
    assert_eq!(seen(&api, &task, video).await, (2, 4, false));
    assert_eq!(api.worker(worker).await["status"], 0, "a report is no sign of life");
}

#[tokio::test]
async fn a_task_that_nobody_speaks_of_has_stalled() {
    let farm = Farm::with("heartbeat_timeout = \"10m\"\ntask_stall_timeout = \"1s\"\nretry_backoff = \"1h\"").await;
    let api = farm.api();
    let video = farm.waiting(1).await[0];
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;

    let stalled = api.see_task(&task, 3).await;

    let error = stalled["error_message"].as_str().expect("a reason");
    assert!(error.contains("未更新，判定为超时"), "{error}");
    assert_eq!(seen(&api, &task, video).await, (3, 5, false));
    let errors = api.log_messages(3).await;
    assert!(errors.iter().any(|message| message.contains("未更新，判定为超时")), "{errors:?}");
    assert_eq!(api.worker(worker).await["status"], 1, "its worker lives");
}

#[tokio::test]
async fn a_token_proves_a_claim_and_a_wrong_one_does_not() {
    let farm = Farm::start().await;
    let native = farm.native();
    farm.waiting(2).await;
    let id = native.register("w1").await.worker_id;
    let task = native.task_for(id).await;
    let lease_token = native.task_for(id).await.lease_token;
    let forged = UpdateTaskRequest { lease_token, ..report(&task, TaskStatus::Running, 1.0) };
    let answer = native.tasks().update_task(forged).await;
    assert_eq!(refusal(answer), (Code::FailedPrecondition, "NOT_TASK_OWNER".to_owned()));
    assert!(native.update(report(&task, TaskStatus::Running, 1.0)).await.applied);
    assert!(native.update(report(&task, TaskStatus::Completed, 100.0)).await.applied);
    assert!(!native.update(report(&task, TaskStatus::Completed, 100.0)).await.applied, "the second changes nothing");
    assert_eq!(native.task(&task.task_id).await.lease_token, "", "nobody else learns the token");
}

#[tokio::test]
async fn a_day_counts_what_was_done_in_it() {
    let farm = Farm::start().await;
    let (api, native) = (farm.api(), farm.native());
    farm.waiting(4).await;
    let worker = api.register("w1").await;
    let tasks = [api.claim(worker).await, api.claim(worker).await, api.claim(worker).await];
    api.complete(&tasks[0], worker).await;
    api.fail(&tasks[1], worker, "no").await;
    let request = steward_proto::transcode::v1::GetTaskStatsRequest { days: 2, ..Default::default() };
    let stats = crate::vocabulary::native::good(native.tasks().get_task_stats(request).await);
    assert_eq!(stats.days.len(), 2);
    let sum = |of: fn(&steward_proto::transcode::v1::TaskDay) -> i32| stats.days.iter().map(of).sum::<i32>();
    assert_eq!((sum(|day| day.completed), sum(|day| day.failed)), (1, 1));
    // The failed one waits too: it has attempts left.
    assert_eq!((stats.in_progress, stats.waiting_videos), (1, 2));
}

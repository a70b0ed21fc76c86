//! The life of a worker: registered, beating, silent, back again.

use std::time::Duration;

use serde_json::json;
use steward_proto::transcode::v1::{
    ListWorkersRequest, RegisterOutcome, RegisterWorkerRequest, TaskStatus, UpdateWorkerRequest, WorkerState,
    WorkerType,
};
use tokio::time::Instant;
use tonic::Code;

use crate::common::wait::eventually;
use crate::vocabulary::farm::Farm;
use crate::vocabulary::native::{claim, cpu, duration, good, refusal};

/// A silence that ends a test soon.
const SHORT: &str = "heartbeat_timeout = \"1s\"\nretry_backoff = \"1h\"";

#[tokio::test]
async fn a_silent_worker_is_offline_and_everything_that_it_had_has_failed() {
    let farm = Farm::with(SHORT).await;
    let api = farm.api();
    let videos = farm.waiting(3).await;
    let worker = api.register("w1").await;
    let _other = api.keep_beating("other", api.register("other").await);
    let tasks = [api.claim(worker).await, api.claim(worker).await];
    let body = json!({"worker_id": worker, "progress": 40, "status": 1, "elapsed_time": 7, "remaining_time": 9});
    api.update(&tasks[0], &body).await.says(200, "更新成功");

    api.see_offline(worker).await;

    for (task, video) in tasks.iter().zip(&videos) {
        let task = api.see_task(task, 3).await;
        assert_eq!(task["error_message"], "Worker离线，任务自动终止");
        assert_eq!(task["remaining_time"], json!(null));
        let video = api.video(*video).await;
        assert_eq!((&video["transcode_status"], &video["transcode_task_id"]), (&json!(5), &json!(null)));
    }
    let first = api.task(&tasks[0]).await;
    assert_eq!((&first["elapsed_time"], &first["progress"]), (&json!(7), &json!(40.0)), "what it did is kept");
    assert_eq!(api.video(videos[2]).await["transcode_status"], 1, "what it did not have still waits");
    let errors = api.log_messages(3).await;
    assert_eq!(errors.iter().filter(|message| message.contains("Worker离线")).count(), 2, "{errors:?}");
}

#[tokio::test]
async fn a_worker_that_beats_stays_and_reports_alone_do_not_count() {
    let farm = Farm::with(SHORT).await;
    let api = farm.api();
    farm.waiting(2).await;
    let (alive, mute) = (api.register("alive").await, api.register("mute").await);
    let beating = api.keep_beating("alive", alive);
    let (kept, lost) = (api.claim(alive).await, api.claim(mute).await);
    let reports = tokio::spawn({
        let lost = lost.clone();
        async move {
            let mut rounds = tokio::time::interval(Duration::from_millis(100));
            loop {
                rounds.tick().await;
                api.update(&lost, &json!({"worker_id": mute, "progress": 1, "status": 1})).await;
            }
        }
    });

    api.see_offline(mute).await;
    reports.abort();

    assert_eq!(api.worker(alive).await["status"], 1);
    assert_eq!(api.task(&kept).await["status"], 0);
    drop(beating);
    api.see_offline(alive).await;
    api.see_task(&kept, 3).await;
}

#[tokio::test]
async fn a_worker_is_noticed_within_its_timeout_and_little_more() {
    let farm = Farm::with("heartbeat_timeout = \"2s\"").await;
    let api = farm.api();
    let worker = api.register("w1").await;
    let start = Instant::now();
    api.see_offline(worker).await;
    // Swept every second at least; the rest is for a machine that is busy.
    let silence = start.elapsed();
    assert!(silence >= Duration::from_millis(1900), "after {silence:?}");
    assert!(silence < Duration::from_secs(10), "after {silence:?}");
}

#[tokio::test]
async fn a_heartbeat_brings_a_worker_back_but_not_its_tasks() {
    let farm = Farm::with(SHORT).await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    api.see_offline(worker).await;
    api.see_task(&task, 3).await;
    api.ask(worker).await.says(409, "Worker已离线");

    api.beat("w1", worker).await.says(200, "心跳更新成功");

    assert_eq!(api.worker(worker).await["status"], 1);
    assert_eq!(api.task(&task).await["status"], 3);
}

#[tokio::test]
async fn a_worker_that_registers_again_keeps_its_id_and_brings_new_abilities() {
    let farm = Farm::with(SHORT).await;
    let api = farm.api();
    let first = api.register_as("w1", 0, 1).await;
    api.send("POST", &format!("/workers/{first}/offline"), &json!({"action": "shutdown"}))
        .await
        .says(200, "下线指令已发送");
    api.see_offline(first).await;

    assert_eq!(api.register_as("w1", 1, 0).await, first);

    let row = &api.rows("/workers").await[0];
    assert_eq!((&row["worker_type"], &row["support_vr"], &row["status"]), (&json!(1), &json!(0), &json!(1)));
    assert_eq!(row["offline_action"], json!(null), "old commands are forgotten");
}

#[tokio::test]
async fn the_outcome_says_what_was_there_before() {
    let farm = Farm::with(SHORT).await;
    let native = farm.native();
    let first = native.register("w1").await;
    assert_eq!(first.outcome(), RegisterOutcome::New);
    assert!(!first.worker_token.is_empty());

    let again = native.workers().register_worker(cpu("w1")).await;
    assert_eq!(refusal(again), (Code::AlreadyExists, "WORKER_ONLINE".to_owned()));
    let other = native.register("other").await.worker_token;
    let forged = RegisterWorkerRequest { worker_token: other, ..cpu("w1") };
    assert_eq!(refusal(native.workers().register_worker(forged).await).1, "WORKER_ONLINE");
    let proven = RegisterWorkerRequest { worker_token: first.worker_token.clone(), ..cpu("w1") };
    let resumed = good(native.workers().register_worker(proven).await);
    assert_eq!((resumed.outcome(), resumed.worker_id), (RegisterOutcome::Resumed, first.worker_id));

    farm.api().see_offline(first.worker_id.into()).await;
    let back = native.register("w1").await;
    assert_eq!(back.worker_id, first.worker_id);
    assert!(matches!(back.outcome(), RegisterOutcome::Reactivated | RegisterOutcome::TookOverStale), "{back:?}");
}

#[tokio::test]
async fn the_state_of_a_worker_is_what_it_is_doing() {
    let farm = Farm::with(SHORT).await;
    let (api, native) = (farm.api(), farm.native());
    farm.waiting(1).await;
    let id = native.register("w1").await.worker_id;
    let beating = api.keep_beating("w1", id.into());
    assert_eq!(native.worker(id).await.state(), WorkerState::Idle);
    let task = native.task_for(id).await;
    let busy = native.worker(id).await;
    assert_eq!((busy.state(), busy.task_ids), (WorkerState::Busy, vec![task.task_id.clone()]));
    let pause = |paused| UpdateWorkerRequest { worker_id: id, paused: Some(paused), ..Default::default() };
    let paused = good(native.workers().update_worker(pause(true)).await).worker.expect("the worker");
    assert_eq!(paused.state(), WorkerState::Paused);
    good(native.workers().update_worker(pause(false)).await);
    let stats = good(native.workers().get_worker_stats(steward_proto::transcode::v1::GetWorkerStatsRequest {}).await);
    assert_eq!((stats.active, stats.idle, stats.offline), (1, 0, 0));

    drop(beating);
    api.see_offline(id.into()).await;
    assert_eq!(native.worker(id).await.state(), WorkerState::Offline);
    eventually("since when is written down", async || native.worker(id).await.offline_time).await;
    assert_eq!(native.task(&task.task_id).await.status(), TaskStatus::Failed);
}

#[tokio::test]
async fn what_is_wrong_with_a_registration_is_told_field_by_field() {
    let farm = Farm::start().await;
    let native = farm.native();
    let wrong = RegisterWorkerRequest { max_concurrent: 65, version: "v".repeat(65), ..Default::default() };
    let status = native.workers().register_worker(wrong).await.expect_err("a refusal");
    let details = tonic_types::StatusExt::get_error_details(&status);
    let fields = &details.bad_request().expect("the fields").field_violations;
    let names: Vec<_> = fields.iter().map(|field| field.field.as_str()).collect();
    for field in ["worker_name", "worker_type", "max_concurrent", "version"] {
        assert!(names.iter().any(|name| name.contains(field)), "{field} in {names:?}");
    }
    let list = good(native.workers().list_workers(ListWorkersRequest::default()).await);
    assert_eq!((list.total_size, list.workers.len()), (0, 0));
}

#[tokio::test]
async fn a_restarted_server_leaves_workers_the_whole_timeout() {
    let mut farm = Farm::with("heartbeat_timeout = \"3s\"").await;
    farm.waiting(1).await;
    let id = farm.api().register("w1").await;
    let beating = farm.api().keep_beating("w1", id);
    let task = farm.api().claim(id).await;
    drop(beating);

    farm.restart().await;

    let api = farm.api();
    assert_eq!(api.worker(id).await["status"], 1);
    assert_eq!(api.task(&task).await["status"], 0, "its task goes on");
    api.progress(&task, id, 5.0).await;
    let answer = farm.native().workers().register_worker(cpu("w1")).await;
    assert_eq!(refusal(answer).1, "WORKER_ONLINE");
    api.see_offline(id).await;
}

#[tokio::test]
async fn workers_wait_for_work_without_asking_again_and_again() {
    let farm = Farm::start().await;
    let native = farm.native();
    let id = native.register("w1").await.worker_id;
    let request = steward_proto::transcode::v1::ClaimTaskRequest {
        worker_type: WorkerType::Cpu.into(),
        wait: Some(duration(Duration::from_secs(30))),
        ..claim(id)
    };
    let waiting = tokio::spawn({
        let native = native.clone();
        async move { native.claim(request).await }
    });
    let start = Instant::now();

    farm.waiting(1).await;

    crate::vocabulary::native::task_of(waiting.await.expect("the claim is answered"));
    assert!(start.elapsed() < Duration::from_secs(25), "it was woken");
}

//! Telling a worker to go.

use std::time::Duration;

use serde_json::json;
use steward_proto::transcode::v1::claim_task_response::Result as Claim;
use steward_proto::transcode::v1::{
    CancelWorkerOfflineRequest, OfflineAction, SetWorkerOfflineRequest, TaskStatus, WorkerState,
};
use tonic::Code;

use crate::vocabulary::farm::Farm;
use crate::vocabulary::native::{claim, duration, good, refusal};

#[tokio::test]
async fn a_worker_hears_of_it_when_it_asks_for_work_and_is_offline_at_once() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    for action in ["offline", "shutdown"] {
        let worker = api.register("w1").await;
        api.send("POST", &format!("/workers/{worker}/offline"), &json!({"action": action}))
            .await
            .says(200, "下线指令已发送");
        assert_eq!(api.worker(worker).await["status"], 1, "until it asks");

        let reply = api.ask(worker).await;

        let expected = json!({"code": 205, "message": "worker should offline", "data": {"action": action}});
        reply.is(200, &expected);
        assert_eq!(api.worker(worker).await["status"], 0);
        api.ask(worker).await.is(200, &expected);
        let row = api.rows("/workers").await.remove(0);
        assert_eq!(row["offline_action"], action, "having been told does not end it");
    }
    let worker = api.register("w1").await;
    api.claim(worker).await;
}

#[tokio::test]
async fn what_it_has_it_may_finish() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(2).await;
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    let path = format!("/workers/{worker}/offline");
    api.send("POST", &path, &json!({"action": "offline"})).await.says(200, "下线指令已发送");

    api.beat("w1", worker).await.says(200, "心跳更新成功");
    api.progress(&task, worker, 50.0).await;
    api.complete(&task, worker).await;

    assert_eq!(api.task(&task).await["status"], 2);
    assert_eq!(api.ask(worker).await.json["code"], 205);
}

#[tokio::test]
async fn a_command_that_was_taken_back_is_not_heard_of() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let path = format!("/workers/{worker}/offline");
    api.send("POST", &path, &json!({"action": "shutdown"})).await.says(200, "下线指令已发送");
    api.call("DELETE", &path, "").await.says(200, "下线指令已取消");
    api.claim(worker).await;
}

#[tokio::test]
async fn a_command_waits_for_a_worker_that_is_offline_and_ends_with_its_registration() {
    let farm = Farm::with("heartbeat_timeout = \"1s\"").await;
    let api = farm.api();
    let worker = api.register("w1").await;
    api.see_offline(worker).await;
    let path = format!("/workers/{worker}/offline");
    api.send("POST", &path, &json!({"action": "offline"})).await.says(200, "下线指令已发送");
    assert_eq!(api.rows("/workers").await[0]["offline_action"], "offline");
    assert_eq!(api.ask(worker).await.json["code"], 205);

    api.register("w1").await;

    assert_eq!(api.rows("/workers").await[0]["offline_action"], json!(null));
    api.ask(worker).await.says(404, "没有待转码的视频");
}

#[tokio::test]
async fn a_native_worker_hears_of_it_with_each_heartbeat_and_claim() {
    let farm = Farm::start().await;
    let native = farm.native();
    farm.waiting(1).await;
    let id = native.register("w1").await.worker_id;
    let request =
        |action: OfflineAction| SetWorkerOfflineRequest { worker_id: id, action: action.into(), deadline: None };
    let unsaid = native.workers().set_worker_offline(request(OfflineAction::Unspecified)).await;
    assert_eq!(refusal(unsaid).0, Code::InvalidArgument);
    good(native.workers().set_worker_offline(request(OfflineAction::Shutdown)).await);
    assert_eq!(native.worker(id).await.state(), WorkerState::Draining);
    let beat = steward_proto::transcode::v1::HeartbeatRequest { worker_id: id, worker_name: "w1".to_owned() };
    assert_eq!(good(native.workers().heartbeat(beat).await).pending_action(), OfflineAction::Shutdown);
    let Claim::Offline(goes) = native.claim(claim(id)).await else { panic!("it is told to go") };
    assert_eq!(goes.action(), OfflineAction::Shutdown);
    assert_eq!(native.worker(id).await.state(), WorkerState::Offline);
}

#[tokio::test]
async fn at_the_deadline_its_tasks_are_given_to_others() {
    let farm = Farm::start().await;
    let (api, native) = (farm.api(), farm.native());
    let video = farm.waiting(1).await[0];
    let (slow, other) = (native.register("slow").await.worker_id, native.register("other").await.worker_id);
    let task = native.task_for(slow).await;
    api.progress(&task.task_id, slow.into(), 10.0).await;
    let request = SetWorkerOfflineRequest {
        worker_id: slow,
        action: OfflineAction::Offline.into(),
        deadline: Some(duration(Duration::from_secs(1))),
    };
    good(native.workers().set_worker_offline(request).await);
    let draining = native.worker(slow).await;
    assert_eq!((draining.state(), draining.drain_deadline_time.is_some()), (WorkerState::Draining, true));

    api.see_task(&task.task_id, 3).await;

    let next = native.task_for(other).await;
    assert_eq!(next.video_id, video, "it waits for nobody");
    assert_eq!(native.task(&task.task_id).await.status(), TaskStatus::Cancelled);
    api.complete(&task.task_id, slow.into()).await;
    assert_eq!(api.task(&next.task_id).await["status"], 0, "its late report changes nothing");
}

#[tokio::test]
async fn a_drain_that_was_taken_back_takes_nothing() {
    let farm = Farm::start().await;
    let native = farm.native();
    farm.waiting(2).await;
    let id = native.register("w1").await.worker_id;
    let task = native.task_for(id).await;
    let request = SetWorkerOfflineRequest {
        worker_id: id,
        action: OfflineAction::Offline.into(),
        deadline: Some(duration(Duration::from_mins(10))),
    };
    good(native.workers().set_worker_offline(request).await);
    good(native.workers().cancel_worker_offline(CancelWorkerOfflineRequest { worker_id: id }).await);
    let worker = native.worker(id).await;
    assert_eq!((worker.state(), worker.drain_deadline_time), (WorkerState::Busy, None));
    assert_eq!(native.task(&task.task_id).await.status(), TaskStatus::Created);
    native.task_for(id).await;
}

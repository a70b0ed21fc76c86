//! What is told of what happened.

use serde_json::json;
use steward_proto::transcode::v1::{CreateLogRequest, LogLevel, WatchLogsRequest};
use tonic::Code;

use crate::vocabulary::farm::Farm;
use crate::vocabulary::native::{good, next, refusal};

#[tokio::test]
async fn the_story_of_a_task_can_be_read() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(2).await;
    let worker = api.register("w1").await;
    let (good, bad) = (api.claim(worker).await, api.claim(worker).await);
    api.complete(&good, worker).await;
    api.fail(&bad, worker, "out of luck").await;
    api.send("POST", &format!("/workers/{worker}/offline"), &json!({"action": "offline"}))
        .await
        .says(200, "下线指令已发送");

    let told = api.log_messages(1).await;

    assert!(told.iter().any(|message| message.contains("w1")), "the registration: {told:?}");
    assert!(
        told.iter().filter(|message| message.contains(&good) || message.contains("video-00000")).count() >= 2,
        "the claim and the completion: {told:?}"
    );
    assert!(told.len() >= 5, "registration, two claims, completion, command: {told:?}");
    let errors = api.log_messages(3).await;
    assert_eq!(errors.iter().filter(|message| message.contains("out of luck")).count(), 1, "{errors:?}");
    let warnings = api.log_messages(2).await;
    assert_eq!(warnings.len(), 1, "the retry is announced: {warnings:?}");
}

#[tokio::test]
async fn logs_are_in_the_order_of_time_and_of_their_ids() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(5).await;
    let worker = api.register("w1").await;
    for _ in 0..5 {
        let task = api.claim(worker).await;
        api.complete(&task, worker).await;
    }
    let rows = api.rows("/logs?per_page=1000&order=asc").await;
    assert!(rows.is_sorted_by_key(|row| row["id"].as_i64().expect("a number")), "{rows:?}");
    assert!(rows.is_sorted_by_key(|row| row["log_time"].as_str().expect("a time").to_owned()), "{rows:?}");
}

#[tokio::test]
async fn the_log_of_one_task_has_nothing_of_others() {
    let farm = Farm::start().await;
    let native = farm.native();
    farm.waiting(2).await;
    let id = native.register("w1").await.worker_id;
    let (one, other) = (native.task_for(id).await, native.task_for(id).await);
    for (task, message) in [(&one, "mine"), (&other, "not mine"), (&one, "mine too")] {
        let request = CreateLogRequest {
            task_id: task.task_id.clone(),
            log_level: LogLevel::Debug.into(),
            log_message: message.to_owned(),
        };
        let log = good(native.logs().create_log(request).await).log.expect("the entry");
        assert_eq!((log.task_number, log.task_id), (task.id, task.task_id.clone()));
    }
    let request = steward_proto::transcode::v1::ListLogsRequest {
        task_id: one.task_id.clone(),
        levels: vec![LogLevel::Debug.into()],
        ..Default::default()
    };
    let listed = good(native.logs().list_logs(request).await);
    let messages: Vec<_> = listed.logs.iter().map(|log| log.log_message.as_str()).collect();
    assert_eq!((messages, listed.total_size), (vec!["mine too", "mine"], 2));
}

#[tokio::test]
async fn a_log_needs_a_task_a_level_and_a_message() {
    let farm = Farm::start().await;
    let native = farm.native();
    let empty = native.logs().create_log(CreateLogRequest::default()).await;
    assert_eq!(refusal(empty).0, Code::InvalidArgument);
    let nowhere = CreateLogRequest {
        task_id: "00000000-0000-4000-8000-000000000000".to_owned(),
        log_level: LogLevel::Info.into(),
        log_message: "m".to_owned(),
    };
    let nowhere = native.logs().create_log(nowhere).await;
    assert_eq!(refusal(nowhere), (Code::NotFound, "TASK_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn a_watch_begins_with_the_newest_and_goes_on_with_every_new_one() {
    let farm = Farm::start().await;
    let (api, native) = (farm.api(), farm.native());
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    let write = async |message: &str| {
        let body = json!({"task_id": task, "log_level": 0, "log_message": message});
        api.send("POST", "/logs", &body).await.brings(201, "日志创建成功");
    };
    for message in ["1", "2", "3"] {
        write(message).await;
    }
    let request =
        WatchLogsRequest { levels: vec![LogLevel::Debug.into()], task_id: task.clone(), backlog: 2, from_revision: 0 };
    let mut watch = good(native.logs().watch_logs(request.clone()).await);
    let mut backlog = Vec::new();
    let end = loop {
        let message = next(&mut watch).await;
        match message.log {
            Some(log) => backlog.push(log.log_message),
            None => break message.revision,
        }
    };
    assert_eq!(backlog, ["2", "3"]);
    assert!(end > 0, "the end of the backlog says what to resume from");

    write("4").await;
    let live = next(&mut watch).await;
    assert_eq!(live.log.expect("an entry").log_message, "4");
    drop(watch);
    write("5").await;
    write("6").await;
    let request = WatchLogsRequest { from_revision: live.revision, backlog: 0, ..request };
    let mut resumed = good(native.logs().watch_logs(request).await);
    for expected in ["5", "6"] {
        let log = loop {
            if let Some(log) = next(&mut resumed).await.log {
                break log;
            }
        };
        assert_eq!(log.log_message, expected);
    }
}

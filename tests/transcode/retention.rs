//! What is old goes.

use serde_json::json;

use crate::common::wait::eventually;
use crate::vocabulary::farm::Farm;

#[tokio::test]
async fn tasks_that_ended_long_ago_are_forgotten_and_others_are_not() {
    let farm = Farm::with("heartbeat_timeout = \"10m\"\ntask_retention = \"1s\"\nsweep_interval = \"200ms\"").await;
    let api = farm.api();
    farm.waiting(3).await;
    let worker = api.register("w1").await;
    let (done, failed, running) = (api.claim(worker).await, api.claim(worker).await, api.claim(worker).await);
    api.complete(&done, worker).await;
    api.fail(&failed, worker, "no").await;
    api.progress(&running, worker, 1.0).await;

    for gone in [&done, &failed] {
        eventually("it is forgotten", async || {
            let reply = api.get(&format!("/tasks/{gone}")).await;
            (reply.status == 404).then_some(())
        })
        .await;
    }

    assert_eq!(api.task(&running).await["status"], 1);
    let rows = api.rows("/tasks").await;
    assert_eq!(rows.iter().map(|row| &row["task_id"]).collect::<Vec<_>>(), [&json!(running)]);
    let videos = api.rows("/videos?transcode_status[]=4").await;
    assert_eq!(videos.len(), 1, "what became of its video is not forgotten");
}

#[tokio::test]
async fn of_too_many_tasks_the_oldest_that_ended_go() {
    let farm = Farm::with("heartbeat_timeout = \"10m\"\nmax_tasks = 10\nsweep_interval = \"200ms\"").await;
    let api = farm.api();
    farm.waiting(30).await;
    let worker = api.register("w1").await;
    let mut tasks = Vec::new();
    for _ in 0..30 {
        let task = api.claim(worker).await;
        api.complete(&task, worker).await;
        tasks.push(task);
    }
    let left = eventually("ten are left", async || {
        let rows = api.rows("/tasks?order=asc&per_page=1000").await;
        (rows.len() <= 10).then_some(rows)
    })
    .await;
    let left: Vec<_> = left.iter().map(|row| row["task_id"].as_str().expect("a string").to_owned()).collect();
    assert_eq!(left, tasks[20..]);
}

#[tokio::test]
async fn of_too_many_logs_the_oldest_go() {
    let farm = Farm::with("heartbeat_timeout = \"10m\"\nmax_logs = 20\nsweep_interval = \"200ms\"").await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    for number in 0..100 {
        let body = json!({"task_id": task, "log_level": 0, "log_message": format!("{number}")});
        api.send("POST", "/logs", &body).await.brings(201, "日志创建成功");
    }
    let left = eventually("twenty are left", async || {
        let rows = api.rows("/logs?sort_by=id&order=asc&per_page=1000").await;
        (rows.len() <= 20).then_some(rows)
    })
    .await;
    assert_eq!(left.last().expect("the newest is left")["log_message"], "99");
    assert_eq!(left[0]["log_message"], "80");
}

#[tokio::test]
async fn old_logs_go() {
    let farm = Farm::with("heartbeat_timeout = \"10m\"\nlog_retention = \"1s\"\nsweep_interval = \"200ms\"").await;
    let api = farm.api();
    api.register("w1").await;
    eventually("the registration is forgotten", async || api.rows("/logs").await.is_empty().then_some(())).await;
    assert_eq!(api.rows("/workers").await.len(), 1, "the worker is not");
}

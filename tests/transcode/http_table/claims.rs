use serde_json::json;

use super::{all_say, keys};
use crate::vocabulary::farm::Farm;

#[tokio::test]
async fn a_claim_needs_three_fields() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    api.register("w1").await;
    let incomplete = [
        "{}",
        r#"{"worker_type":0,"support_vr":0}"#,
        r#"{"worker_id":0,"worker_type":0,"support_vr":0}"#,
        r#"{"worker_id":null,"worker_type":0,"support_vr":0}"#,
        r#"{"worker_id":1,"support_vr":0}"#,
        r#"{"worker_id":1,"worker_type":0}"#,
        r#"{"worker_id":1,"worker_type":null,"support_vr":0}"#,
        r#"{"worker_id":77,"worker_type":0,"support_vr":null}"#,
    ];
    all_say(&api, "POST", "/tasks", &incomplete, 400, "参数不完整").await;
    let wrong = [
        r#"{"worker_id":1,"worker_type":4,"support_vr":0}"#,
        r#"{"worker_id":1,"worker_type":0,"support_vr":2}"#,
        r#"{"worker_id":1,"worker_type":0,"support_vr":0,"dest_path":5}"#,
    ];
    all_say(&api, "POST", "/tasks", &wrong, 400, "参数类型错误").await;
    let body = r#"{"worker_id":77,"worker_type":0,"support_vr":0}"#;
    api.call("POST", "/tasks", body).await.says(404, "Worker不存在");
    assert_eq!(api.rows("/tasks").await.len(), 0, "no task was made");
}

#[tokio::test]
async fn a_claim_brings_a_task_and_a_relative_path_and_then_there_is_none() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    api.register("w1").await;

    let reply = api.call("POST", "/tasks", r#"{"worker_id":1.0,"worker_type":"0","support_vr":false}"#).await;

    let data = reply.brings(201, "创建任务成功");
    assert_eq!(keys(data), ["task_id", "video_path"]);
    assert_eq!(data["video_path"], "lib/video-00000.mp4");
    let id = data["task_id"].as_str().expect("a string");
    let shape: String = id.chars().map(|char| if char.is_ascii_hexdigit() { '0' } else { char }).collect();
    assert_eq!(shape, "00000000-0000-0000-0000-000000000000", "a UUID");
    api.ask(1).await.says(404, "没有待转码的视频");
}

#[tokio::test]
async fn where_the_result_goes_is_kept_as_it_was_said() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(4).await;
    api.register("w1").await;
    for said in [json!("!replace"), json!(null), json!("/a/../b c/视频"), json!("")] {
        let body = json!({"worker_id": 1, "worker_type": 0, "support_vr": 0, "dest_path": said});
        let reply = api.send("POST", "/tasks", &body).await;
        let task = reply.brings(201, "创建任务成功")["task_id"].as_str().expect("a string").to_owned();
        assert_eq!(api.task(&task).await["dest_path"], said);
    }
}

#[tokio::test]
async fn paths_are_written_with_backslashes_where_that_is_set() {
    let farm = Farm::with("path_style = \"backslash\"").await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let (task, path) = api.claim_with_path(worker).await;
    assert_eq!(path, r"lib\video-00000.mp4");
    assert_eq!(api.task(&task).await["video_path"], r"lib\video-00000.mp4");
}

#[tokio::test]
async fn lists_are_objects_where_that_is_set() {
    let farm = Farm::with("list_shape = \"object\"").await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;

    let workers = api.get("/workers").await;
    assert_eq!(keys(workers.brings(200, "获取成功")), ["pagination", "workers"]);
    assert_eq!(workers.data()["workers"][0]["worker_name"], "w1");
    let tasks = api.get("/tasks").await;
    assert_eq!(keys(tasks.brings(200, "success")), ["pagination", "tasks"]);
    assert_eq!(tasks.data()["tasks"][0]["task_id"], task);
    assert_eq!(tasks.data()["pagination"]["total"], 1);
}

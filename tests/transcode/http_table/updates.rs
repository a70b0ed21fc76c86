use serde_json::json;

use super::all_say;
use crate::vocabulary::farm::Farm;

#[tokio::test]
async fn a_report_needs_three_fields_and_then_a_task_and_then_its_owner() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    let (owner, other) = (api.register("owner").await, api.register("other").await);
    let task = api.claim(owner).await;
    let incomplete = [
        "{}",
        r#"{"progress":1,"status":1}"#,
        r#"{"worker_id":0,"progress":1,"status":1}"#,
        r#"{"worker_id":null,"progress":1,"status":1}"#,
        r#"{"worker_id":1,"status":1}"#,
        r#"{"worker_id":1,"progress":null,"status":1}"#,
        r#"{"worker_id":1,"progress":1}"#,
        r#"{"worker_id":1,"progress":1,"status":null}"#,
    ];
    let (known, unknown) = (format!("/tasks/{task}"), "/tasks/00000000-0000-4000-8000-000000000000");
    for path in [known.as_str(), unknown] {
        all_say(&api, "PATCH", path, &incomplete, 400, "参数不完整").await;
    }
    let statuses = ["4", "9", "-1", "1e9"];
    for status in statuses {
        let body = format!(r#"{{"worker_id":{owner},"progress":1,"status":{status}}}"#);
        api.call("PATCH", &known, &body).await.says(400, "无效的任务状态");
    }
    let wrong = [
        r#"{"worker_id":1,"progress":"much","status":1}"#,
        r#"{"worker_id":1,"progress":[1],"status":1}"#,
        r#"{"worker_id":{"a":1},"progress":1,"status":1}"#,
        r#"{"worker_id":1,"progress":1,"status":1,"elapsed_time":"long"}"#,
        r#"{"worker_id":1,"progress":1,"status":1,"remaining_time":[]}"#,
        r#"{"worker_id":1,"progress":1,"status":1,"error_message":{}}"#,
    ];
    all_say(&api, "PATCH", &known, &wrong, 400, "参数类型错误").await;
    let body = json!({"worker_id": owner, "progress": 1, "status": 1});
    api.send("PATCH", unknown, &body).await.says(404, "任务不存在");
    for stranger in [other, 77] {
        for status in 0..4 {
            let body = json!({"worker_id": stranger, "progress": 1, "status": status});
            api.send("PATCH", &known, &body).await.says(409, "任务不属于该Worker");
        }
    }
    assert_eq!(api.task(&task).await["status"], 0, "nothing changed");
}

#[tokio::test]
async fn progress_is_clamped() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    for (sent, kept) in [("150", 100.0), ("-5", 0.0), ("33.25", 33.25), ("100", 100.0), ("1e300", 100.0)] {
        let body = format!(r#"{{"worker_id":{worker},"progress":{sent},"status":1}}"#);
        api.call("PATCH", &format!("/tasks/{task}"), &body).await.says(200, "更新成功");
        assert_eq!(api.task(&task).await["progress"], kept, "{sent}");
    }
}

#[tokio::test]
async fn times_may_be_floats_and_are_rounded_half_away_from_zero() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    let rows = [("1.1851338549072776", 1), ("10.7", 11), ("70.6", 71), ("0.0", 0), ("2.5", 3), ("0.49", 0), ("7", 7)];
    for (sent, kept) in rows {
        let body = format!(
            r#"{{"worker_id":{worker},"progress":0.0,"status":1,"elapsed_time":{sent},"remaining_time":{sent}}}"#
        );
        api.call("PATCH", &format!("/tasks/{task}"), &body).await.says(200, "更新成功");
        let seen = api.task(&task).await;
        assert_eq!((&seen["elapsed_time"], &seen["remaining_time"]), (&json!(kept), &json!(kept)), "{sent}");
    }
    for silent in [json!({}), json!({"elapsed_time": null, "remaining_time": null})] {
        let mut body = json!({"worker_id": worker, "progress": 1.0, "status": 1});
        body.as_object_mut().expect("an object").extend(silent.as_object().expect("an object").clone());
        api.update(&task, &body).await.says(200, "更新成功");
        let seen = api.task(&task).await;
        assert_eq!((&seen["elapsed_time"], &seen["remaining_time"]), (&json!(7), &json!(7)), "what is not said stays");
    }
}

#[tokio::test]
async fn the_end_of_a_task_sets_what_remains() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(2).await;
    let worker = api.register("w1").await;
    let (good, bad) = (api.claim(worker).await, api.claim(worker).await);
    let end = |status: u32| {
        json!({"worker_id": worker, "progress": 50, "status": status, "elapsed_time": 9, "remaining_time": 4,
               "error_message": "转码失败"})
    };
    api.update(&good, &end(2)).await.says(200, "更新成功");
    api.update(&bad, &end(3)).await.says(200, "更新成功");

    let (good, bad) = (api.task(&good).await, api.task(&bad).await);
    assert_eq!((&good["status"], &good["remaining_time"], &good["elapsed_time"]), (&json!(2), &json!(0), &json!(9)));
    assert_eq!((&bad["status"], &bad["remaining_time"], &bad["progress"]), (&json!(3), &json!(null), &json!(50.0)));
    assert_eq!(bad["error_message"], "转码失败");
}

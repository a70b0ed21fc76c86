use serde_json::json;

use super::{all_say, is_time, keys};
use crate::vocabulary::farm::Farm;

#[tokio::test]
async fn a_log_needs_three_fields_then_a_level_then_a_task() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    let body = |level: &str| format!(r#"{{"task_id":"{task}","log_level":{level},"log_message":"m"}}"#);
    let incomplete = [
        "{}".to_owned(),
        r#"{"log_level":1,"log_message":"m"}"#.to_owned(),
        r#"{"task_id":null,"log_level":1,"log_message":"m"}"#.to_owned(),
        format!(r#"{{"task_id":"{task}","log_message":"m"}}"#),
        format!(r#"{{"task_id":"{task}","log_level":null,"log_message":"m"}}"#),
        format!(r#"{{"task_id":"{task}","log_level":1}}"#),
        format!(r#"{{"task_id":"{task}","log_level":1,"log_message":""}}"#),
        format!(r#"{{"task_id":"{task}","log_level":9,"log_message":null}}"#),
    ];
    let incomplete: Vec<_> = incomplete.iter().map(String::as_str).collect();
    all_say(&api, "POST", "/logs", &incomplete, 400, "缺少必需参数").await;
    for level in ["4", "-1", r#""1""#, "1.5", "99999999999"] {
        api.call("POST", "/logs", &body(level)).await.says(400, "无效的日志级别");
        let nowhere = format!(r#"{{"task_id":"none","log_level":{level},"log_message":"m"}}"#);
        api.call("POST", "/logs", &nowhere).await.says(400, "无效的日志级别");
    }
    for unknown in ["none", "1", "00000000-0000-4000-8000-000000000000"] {
        let body = json!({"task_id": unknown, "log_level": 1, "log_message": "m"});
        api.send("POST", "/logs", &body).await.says(404, "任务不存在");
    }
    for (level, kept) in [("0", 0), ("1", 1), ("2", 2), ("3", 3), ("true", 1), ("1.0", 1)] {
        let reply = api.call("POST", "/logs", &body(level)).await;
        assert_eq!(reply.brings(201, "日志创建成功")["log_level"], kept, "{level}");
    }
}

#[tokio::test]
async fn a_log_is_answered_with_the_uuid_and_listed_with_the_number() {
    let farm = Farm::start().await;
    let api = farm.api();
    let video = farm.waiting(1).await[0];
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    api.progress(&task, worker, 1.0).await;
    let number = api.video(video).await["transcode_task_id"].clone();

    let body = json!({"task_id": task, "log_level": 1, "log_message": "FFmpeg command: ffmpeg -i 片.mp4"});
    let reply = api.send("POST", "/logs", &body).await;

    let data = reply.brings(201, "日志创建成功");
    assert_eq!(keys(data), ["id", "log_level", "log_message", "log_time", "task_id"]);
    assert_eq!((&data["task_id"], &data["log_message"]), (&body["task_id"], &body["log_message"]));
    is_time(&data["log_time"]);
    let list = api.get("/logs?sort_by=id").await;
    let listed = list.brings(200, "success");
    assert_eq!(keys(listed), ["logs", "pagination"]);
    let expected = json!({
        "id": data["id"], "task_id": number, "log_time": data["log_time"], "log_level": 1,
        "log_message": body["log_message"],
    });
    assert!(number.is_u64(), "{number}");
    assert_eq!(listed["logs"][0], expected);
}

#[tokio::test]
async fn a_long_message_is_cut_and_not_refused() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    let body = json!({"task_id": task, "log_level": 1, "log_message": "长".repeat(5000)});
    let reply = api.send("POST", "/logs", &body).await;
    assert_eq!(reply.brings(201, "日志创建成功")["log_message"], "长".repeat(1023));
    api.fail(&task, worker, &"e".repeat(5000)).await;
    assert_eq!(api.task(&task).await["error_message"], "e".repeat(1023));
}

#[tokio::test]
async fn levels_filter_and_what_is_no_digit_does_not() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    for level in 0..4 {
        let body = json!({"task_id": task, "log_level": level, "log_message": format!("level {level}")});
        api.send("POST", "/logs", &body).await.brings(201, "日志创建成功");
    }
    let all = api.rows("/logs?per_page=1000").await.len();
    let levels = async |query: &str| -> Vec<u64> {
        let rows = api.rows(&format!("/logs?per_page=1000&{query}")).await;
        let mut levels: Vec<_> = rows.iter().map(|row| row["log_level"].as_u64().expect("a number")).collect();
        levels.dedup();
        levels
    };
    assert_eq!(levels("log_level[]=3").await, [3]);
    assert_eq!(levels("log_level%5B%5D=3&log_level[]=2&sort_by=log_level").await, [3, 2]);
    assert_eq!(levels("log_level[]=0&log_level[]=3&sort_by=log_level&order=asc").await, [0, 3]);
    assert_eq!(levels("log_level[]=3&log_level[]=-1&log_level[]=x").await, [3]);
    for ignored in ["log_level[]=-1", "log_level[]=warn", "log_level=3"] {
        assert_eq!(api.rows(&format!("/logs?per_page=1000&{ignored}")).await.len(), all, "{ignored}");
    }
}

#[tokio::test]
async fn times_are_read_in_every_iso_form_and_a_bad_one_is_refused() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    let body = json!({"task_id": task, "log_level": 0, "log_message": "now"});
    let time = api.send("POST", "/logs", &body).await.data()["log_time"].as_str().expect("a time").to_owned();
    let count = async |query: String| api.rows(&format!("/logs?log_level[]=0&{query}")).await.len();

    for past in
        ["2001-01-01", "2001-01-01T00:00", "2001-01-01T00:00:00", "2001-01-01T00:00:00Z", "2001-01-01%2000:00:00"]
    {
        assert_eq!(count(format!("start_time={past}")).await, 1, "{past}");
        assert_eq!(count(format!("end_time={past}")).await, 0, "{past}");
    }
    assert_eq!(count(format!("start_time={time}&end_time={time}")).await, 1, "both ends belong to it");
    assert_eq!(count(format!("start_time={time}Z&end_time={time}Z")).await, 1);
    assert_eq!(count(format!("start_time={time}%2B00:00")).await, 1);
    assert_eq!(count(format!("end_time={time}%2B08:00")).await, 0, "an offset is converted");
    assert_eq!(count(format!("start_time={time}%2B08:00")).await, 1);
    for bad in ["yesterday", "2026-13-01", "2026-11-21T25:00:00", "1", "%00"] {
        for end in ["start_time", "end_time"] {
            api.get(&format!("/logs?{end}={bad}")).await.says(400, "时间格式错误");
        }
    }
}

#[tokio::test]
async fn logs_come_in_pages_and_a_page_before_the_first_is_refused() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    let worker = api.register("w1").await;
    let task = api.claim(worker).await;
    for number in 0..7 {
        let body = json!({"task_id": task, "log_level": 0, "log_message": format!("{number}")});
        api.send("POST", "/logs", &body).await.brings(201, "日志创建成功");
    }
    let page = async |query: &str| -> (Vec<String>, serde_json::Value) {
        let reply = api.get(&format!("/logs?log_level[]=0&{query}")).await;
        let data = reply.brings(200, "success");
        let rows = data["logs"].as_array().expect("an array").iter();
        let messages = rows.map(|row| row["log_message"].as_str().expect("a message").to_owned()).collect();
        (messages, data["pagination"].clone())
    };

    let (messages, pagination) = page("page=2&per_page=3").await;
    assert_eq!(messages, ["3", "2", "1"], "the newest first, ties by id");
    let second = json!({"total": 7, "pages": 3, "current_page": 2, "per_page": 3, "has_next": true, "has_prev": true});
    assert_eq!(pagination, second);
    assert_eq!(page("page=1&per_page=3&order=asc").await.0, ["0", "1", "2"]);
    let (messages, pagination) = page("page=9&per_page=3").await;
    assert_eq!((messages.len(), &pagination["total"], &pagination["has_next"]), (0, &json!(7), &json!(false)));
    for bad in ["page=0", "page=-1", "per_page=0", "per_page=-5"] {
        api.get(&format!("/logs?{bad}")).await.says(400, "分页参数错误");
    }
    assert_eq!(page("page=x&per_page=y").await.1["per_page"], 20, "what cannot be read is not there");
}

//! The JSON API, to the byte.

use serde_json::{Value, json};

use super::image::Image;
use super::steward::{IMAGES, PROJECT, Steward};

const BASE: &str = "/replication/api/remote/distribution";

#[tokio::test]
async fn an_answer_looks_as_it_always_did() {
    let steward = Steward::start().await;
    let answer = steward.http().get(&format!("{BASE}/info/{PROJECT}/{IMAGES}")).await;
    let trace = answer.header("x-bkrepo-rid").expect("a trace id").to_owned();
    assert_eq!(trace.len(), 32);
    let expected =
        format!("{{\n  \"code\" : 0,\n  \"message\" : null,\n  \"data\" : [ ],\n  \"traceId\" : \"{trace}\"\n}}");
    assert_eq!(answer.parts(), (200, expected.as_str()));
}

#[tokio::test]
async fn refusals_have_their_codes_in_both_languages() {
    let steward = Steward::start().await;
    let cases: [(&str, String, Value, u16, u32, &str, &str); 6] = [
        (
            "GET",
            format!("{BASE}/info/{PROJECT}/none"),
            Value::Null,
            404,
            251_006,
            "Repository [none] not found",
            "仓库[none]不存在",
        ),
        (
            "DELETE",
            format!("{BASE}/delete/{PROJECT}/{IMAGES}/gone"),
            Value::Null,
            400,
            250_310,
            "replica task [gone] not found",
            "任务[gone]未找到",
        ),
        (
            "POST",
            format!("{BASE}/execute/runOnceTask/{PROJECT}/{IMAGES}?name=gone"),
            Value::Null,
            400,
            250_108,
            "Resource [gone] not found",
            "资源[gone]不存在",
        ),
        (
            "POST",
            format!("{BASE}/execute/runOnceTask/{PROJECT}/{IMAGES}"),
            Value::Null,
            400,
            250_103,
            "Parameter [name] is missing",
            "参数[name]缺失",
        ),
        (
            "POST",
            format!("{BASE}/create/{PROJECT}/{IMAGES}"),
            json!({"configs": [{"name": "9bad", "registry": "http://127.0.0.1:1", "setting": {}}]}),
            400,
            250_105,
            "Parameter [9bad] is invalid",
            "参数[9bad]无效",
        ),
        (
            "POST",
            format!("{BASE}/create/{PROJECT}/{IMAGES}"),
            json!({}),
            400,
            250_106,
            "Invalid request content",
            "请求内容无效",
        ),
    ];
    for (method, path, body, status, code, english, chinese) in cases {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        for (language, message) in [("en", english), ("zh-CN", chinese)] {
            let headers = [("Content-Type", "application/json"), ("Accept-Language", language)];
            let answer = steward.http().request(method, &path, &headers, body.as_bytes()).await;
            let envelope: Value = serde_json::from_slice(&answer.body).expect("JSON");
            let seen = (answer.status, &envelope["code"], &envelope["message"]);
            assert_eq!(seen, (status, &json!(code), &json!(message)), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_task_is_told_without_its_password() {
    let (steward, west) = (Steward::start().await, Steward::start().await);
    let config = json!({"configs": [{
        "name": "mirrors", "registry": format!("http://{}/mirror", west.http().0), "username": "u", "password": "hidden",
        "packageConstraints": [], "pathConstraints": [], "replicaType": "REAL_TIME", "setting": {}, "enable": true,
        "description": "test replica task",
    }]});
    steward.done("POST", &format!("{BASE}/create/{PROJECT}/{IMAGES}"), &config).await;
    let info = steward.done("GET", &format!("{BASE}/info/{PROJECT}/{IMAGES}/mirrors"), &Value::Null).await;
    let task = &info[0];
    assert_eq!(task["password"], Value::Null);
    assert_eq!(
        (&task["name"], &task["username"], &task["replicaType"]),
        (&json!("mirrors"), &json!("u"), &json!("REAL_TIME"))
    );
    assert_eq!(task["setting"]["errorStrategy"], "CONTINUE");
    let data = std::fs::read_dir(steward.server.data()).expect("a data directory");
    for entry in walk(data) {
        let bytes = std::fs::read(&entry).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"hidden"), "{} has the password", entry.display());
    }
    assert!(!steward.server.log().contains("hidden"));
}

fn walk(directory: std::fs::ReadDir) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in directory.filter_map(Result::ok) {
        match entry.path() {
            path if path.is_dir() => files.extend(std::fs::read_dir(path).into_iter().flat_map(walk)),
            path => files.push(path),
        }
    }
    files
}

#[tokio::test]
async fn a_run_is_told_as_documented() {
    let (steward, west) = (Steward::start().await, Steward::start().await);
    let image = Image::new(8, &[1000]);
    image.push(steward.http(), &format!("{PROJECT}/{IMAGES}/nginx"), "1.1").await;
    let task = json!({
        "name": "once", "registry": format!("http://{}/{PROJECT}/{IMAGES}", west.http().0), "packageName": "nginx",
        "versions": ["1.1"],
    });
    steward.create_once(IMAGES, &task).await;
    assert_eq!(steward.status(IMAGES, "once").await, Value::Null, "it has never run");
    steward.execute(IMAGES, "once").await;
    let run = steward.ended(IMAGES, "once").await;
    let keys: Vec<&String> = run.as_object().expect("an object").keys().collect();
    let mut expected = [
        "id",
        "taskKey",
        "status",
        "startTime",
        "endTime",
        "errorReason",
        "replicatedBytes",
        "totalBytes",
        "replicaOverview",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!((run["id"].as_str().map(str::len), run["taskKey"].as_str().map(str::len)), (Some(24), Some(32)));
    let path = format!("{BASE}/delete/runOnceTask/{PROJECT}/{IMAGES}?name=once");
    for _ in 0..2 {
        steward.done("DELETE", &path, &Value::Null).await;
    }
}

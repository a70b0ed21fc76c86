use serde_json::json;

use super::all_say;
use crate::vocabulary::farm::Farm;

/// Every place that reads a body, with a worker 1 that is there.
const PLACES: [(&str, &str); 7] = [
    ("POST", "/workers"),
    ("PUT", "/workers/1"),
    ("POST", "/workers/heartbeat"),
    ("POST", "/workers/1/offline"),
    ("POST", "/tasks"),
    ("PATCH", "/tasks/00000000-0000-4000-8000-000000000000"),
    ("POST", "/logs"),
];

#[tokio::test]
async fn what_is_no_json_object_is_refused_everywhere() {
    let farm = Farm::start().await;
    let api = farm.api();
    api.register("w1").await;
    let bad = ["{", "null", "[]", "1", r#""text""#, "{'a':1}", "worker_name=w1", r#"{"a":1}}"#, r#"{"a":}"#, " "];
    for (method, path) in PLACES {
        all_say(&api, method, path, &bad, 400, "请求体不是有效的JSON").await;
        api.call(method, path, "").await.says(400, "请求体不是有效的JSON");
        let binary = farm.http().request(method, &format!("/api/v1{path}"), &[], b"{\"a\":\"\xFF\xFE\"}").await;
        assert_eq!(binary.status, 400, "{method} {path}: {binary:?}");
    }
}

#[tokio::test]
async fn a_body_is_read_as_json_whatever_it_says_it_is() {
    let farm = Farm::start().await;
    for (number, kind) in ["", "text/plain", "application/x-www-form-urlencoded", "nonsense"].iter().enumerate() {
        let body = json!({"worker_name": format!("w{number}"), "worker_type": 0, "support_vr": 0}).to_string();
        let headers: &[_] = if kind.is_empty() { &[] } else { &[("Content-Type", *kind)] };
        let answer = farm.http().request("POST", "/api/v1/workers", headers, body.as_bytes()).await;
        assert_eq!(answer.status, 201, "{kind}: {answer:?}");
    }
}

#[tokio::test]
async fn deep_and_long_bodies_break_nothing() {
    let farm = Farm::start().await;
    let api = farm.api();
    api.register("w1").await;
    let deep = format!(r#"{{"worker_name":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let long = format!(r#"{{"worker_name":"{}"}}"#, "x".repeat(1024 * 1024));
    for (method, path) in PLACES {
        for body in [&deep, &long] {
            let answer = farm.http().request(method, &format!("/api/v1{path}"), &[], body.as_bytes()).await;
            assert!((400..=413).contains(&answer.status), "{method} {path}: {:?}", answer.parts());
        }
    }
    assert_eq!(api.worker(1).await["worker_name"], "w1");
}

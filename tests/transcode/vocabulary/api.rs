//! The older API: raw requests, and what the envelope of an answer has to be.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::common::http::HttpPort;
use crate::common::wait::eventually;

/// How often a worker of a test beats: much oftener than any timeout of a test.
const BEAT: Duration = Duration::from_millis(200);

/// `/api/v1` of a server or of a gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Api(pub(crate) HttpPort);

/// An answer whose envelope has been looked at.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) json: Value,
}

impl Reply {
    pub(crate) fn data(&self) -> &Value {
        &self.json["data"]
    }

    /// Asserts the status and every key.
    pub(crate) fn is(&self, status: u16, json: &Value) {
        assert_eq!((self.status, &self.json), (status, json));
    }

    /// Asserts an answer that has a code and a message, and no data.
    pub(crate) fn says(&self, status: u16, message: &str) {
        self.is(status, &json!({"code": status, "message": message}));
    }

    /// The data of an answer that has this code and message.
    pub(crate) fn brings(&self, status: u16, message: &str) -> &Value {
        let expected = json!({"code": status, "message": message, "data": self.json["data"]});
        self.is(status, &expected);
        self.data()
    }
}

impl Api {
    /// Sends a request with a body as it is; the answer has to be JSON with a code and a message.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        let path = format!("/api/v1{path}");
        let headers: &[_] = if body.is_empty() { &[] } else { &[("Content-Type", "application/json")] };
        let answer = self.0.request(method, &path, headers, body.as_bytes()).await;
        let what = format!("{method} {path} {}", body.chars().take(200).collect::<String>());
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/json"), "{what}: {kind:?} {:?}", answer.parts());
        let json: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{what}: no JSON"));
        assert!(json["code"].is_u64() && json["message"].is_string(), "{what}: {json}");
        Reply { status: answer.status, json }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, "").await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, json: &Value) -> Reply {
        self.call(method, path, &json.to_string()).await
    }

    /// Registers a worker that takes everything but VR; returns its id.
    pub(crate) async fn register(&self, name: &str) -> i64 {
        self.register_as(name, 0, 0).await
    }

    pub(crate) async fn register_as(&self, name: &str, worker_type: i64, support_vr: i64) -> i64 {
        let body = json!({"worker_name": name, "worker_type": worker_type, "support_vr": support_vr});
        let reply = self.send("POST", "/workers", &body).await;
        reply.brings(201, "注册成功")["worker_id"].as_i64().expect("the id is a number")
    }

    pub(crate) async fn beat(&self, name: &str, worker: i64) -> Reply {
        self.send("POST", "/workers/heartbeat", &json!({"worker_name": name, "worker_id": worker})).await
    }

    /// Beats until the guard is dropped.
    pub(crate) fn keep_beating(&self, name: &str, worker: i64) -> Beating {
        let (api, name) = (*self, name.to_owned());
        let task = tokio::spawn(async move {
            let mut beats = tokio::time::interval(BEAT);
            loop {
                beats.tick().await;
                api.beat(&name, worker).await;
            }
        });
        Beating(task.abort_handle())
    }

    pub(crate) async fn ask(&self, worker: i64) -> Reply {
        let body = json!({"worker_id": worker, "worker_type": 0, "support_vr": 0, "dest_path": null});
        self.send("POST", "/tasks", &body).await
    }

    /// Claims what is there to be claimed; returns the task's UUID.
    pub(crate) async fn claim(&self, worker: i64) -> String {
        self.claim_with_path(worker).await.0
    }

    /// The same, with the path of the video.
    pub(crate) async fn claim_with_path(&self, worker: i64) -> (String, String) {
        let reply = self.ask(worker).await;
        let data = reply.brings(201, "创建任务成功");
        let text = |key: &str| data[key].as_str().expect("it is a string").to_owned();
        (text("task_id"), text("video_path"))
    }

    pub(crate) async fn update(&self, task: &str, body: &Value) -> Reply {
        self.send("PATCH", &format!("/tasks/{task}"), body).await
    }

    /// Says that a task is at work.
    pub(crate) async fn progress(&self, task: &str, worker: i64, progress: f64) {
        let body = json!({"worker_id": worker, "progress": progress, "status": 1});
        self.update(task, &body).await.says(200, "更新成功");
    }

    pub(crate) async fn complete(&self, task: &str, worker: i64) {
        let body = json!({"worker_id": worker, "progress": 100.0, "status": 2});
        self.update(task, &body).await.says(200, "更新成功");
    }

    pub(crate) async fn fail(&self, task: &str, worker: i64, error: &str) {
        let body = json!({"worker_id": worker, "progress": 0.0, "status": 3, "error_message": error});
        self.update(task, &body).await.says(200, "更新成功");
    }

    /// A task as it is.
    pub(crate) async fn task(&self, task: &str) -> Value {
        self.get(&format!("/tasks/{task}")).await.brings(200, "获取成功").clone()
    }

    /// A video as it is.
    pub(crate) async fn video(&self, id: i32) -> Value {
        self.get(&format!("/videos/{id}")).await.brings(200, "获取成功").clone()
    }

    /// A worker as it is.
    pub(crate) async fn worker(&self, id: i64) -> Value {
        self.get(&format!("/workers/{id}")).await.brings(200, "获取成功").clone()
    }

    /// The rows of a list, wherever they stand.
    pub(crate) async fn rows(&self, path: &str) -> Vec<Value> {
        let reply = self.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.json);
        let data = reply.data();
        let rows = [data, &data["videos"], &data["logs"]].into_iter().find_map(Value::as_array);
        rows.unwrap_or_else(|| panic!("{path}: no rows in {data}")).clone()
    }

    /// The messages of all logs of a level, the oldest first.
    pub(crate) async fn log_messages(&self, level: u32) -> Vec<String> {
        let rows = self.rows(&format!("/logs?log_level[]={level}&per_page=1000&sort_by=id&order=asc")).await;
        rows.iter().map(|row| row["log_message"].as_str().expect("a message").to_owned()).collect()
    }

    /// Waits until a worker counts as offline.
    pub(crate) async fn see_offline(&self, worker: i64) {
        let look = async || (self.worker(worker).await["status"] == 0).then_some(());
        eventually(&format!("worker {worker} is offline"), look).await;
    }

    /// Waits until a task has a status; returns it.
    pub(crate) async fn see_task(&self, task: &str, status: u32) -> Value {
        eventually(&format!("task {task} is {status}"), async || {
            let seen = self.task(task).await;
            (seen["status"] == status).then_some(seen)
        })
        .await
    }
}

/// A worker that lives as long as this is kept.
#[derive(Debug)]
pub(crate) struct Beating(AbortHandle);

impl Drop for Beating {
    fn drop(&mut self) {
        self.0.abort();
    }
}

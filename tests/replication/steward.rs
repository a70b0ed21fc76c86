//! A server with repositories, and the JSON calls that replication is asked by.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::common::http::{Answer, HttpPort};
use super::common::server::{Server, Setup};
use super::common::wait::eventually;

/// The project and the repositories of every server under test.
pub(crate) const PROJECT: &str = "p1";
pub(crate) const FILES: &str = "gen";
pub(crate) const IMAGES: &str = "img";

/// A server with a project, a repository of files and one of images.
pub(crate) struct Steward {
    pub(crate) server: Server,
}

impl Steward {
    pub(crate) async fn start() -> Self {
        Self::with(Server::setup()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let steward = Steward { server: setup.start().await };
        steward.done("POST", "/repository/api/project/create", &json!({"name": PROJECT, "displayName": PROJECT})).await;
        for (name, held) in [(FILES, "GENERIC"), (IMAGES, "DOCKER")] {
            let body = json!({"projectId": PROJECT, "name": name, "type": held, "category": "LOCAL", "public": false});
            steward.done("POST", "/repository/api/repo/create", &body).await;
        }
        steward
    }

    pub(crate) fn http(&self) -> HttpPort {
        self.server.http()
    }

    /// A call of the JSON API: its status and its envelope.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let headers = [("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer: Answer = self.http().request(method, path, &headers, body.as_bytes()).await;
        let envelope = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("not JSON: {}", answer.text()));
        (answer.status, envelope)
    }

    /// What a call that succeeds answers.
    pub(crate) async fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, mut envelope) = self.call(method, path, body).await;
        assert_eq!((status, &envelope["code"]), (200, &json!(0)), "{method} {path}: {envelope}");
        envelope["data"].take()
    }

    pub(crate) async fn put_file(&self, path: &str, bytes: &[u8]) {
        let answer = self.http().request("PUT", &format!("/generic/{PROJECT}/{FILES}{path}"), &[], bytes).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    pub(crate) async fn file(&self, path: &str) -> Option<Vec<u8>> {
        let answer = self.http().get(&format!("/generic/{PROJECT}/{FILES}{path}")).await;
        (answer.status == 200).then_some(answer.body)
    }

    /// Makes a second server known and returns its id.
    pub(crate) async fn add_cluster(&self, name: &str, address: SocketAddr) -> String {
        let body = json!({"name": name, "url": format!("http://{address}"), "type": "STANDALONE"});
        self.done("POST", "/replication/api/cluster/create", &body).await;
        let info = self.done("GET", &format!("/replication/api/cluster/info?name={name}"), &Value::Null).await;
        info["id"].as_str().expect("an id").to_owned()
    }

    /// Creates a task that runs once.
    pub(crate) async fn create_once(&self, repository: &str, task: &Value) {
        let path = format!("/replication/api/remote/distribution/create/runOnceTask/{PROJECT}/{repository}");
        self.done("POST", &path, task).await;
    }

    pub(crate) async fn execute(&self, repository: &str, name: &str) {
        let path =
            format!("/replication/api/remote/distribution/execute/runOnceTask/{PROJECT}/{repository}?name={name}");
        self.done("POST", &path, &Value::Null).await;
    }

    /// How the latest run of a task stands.
    pub(crate) async fn status(&self, repository: &str, name: &str) -> Value {
        let path =
            format!("/replication/api/remote/distribution/get/runOnceTaskStatus/{PROJECT}/{repository}?name={name}");
        self.done("GET", &path, &Value::Null).await
    }

    /// Waits for the latest run of a task to end.
    pub(crate) async fn ended(&self, repository: &str, name: &str) -> Value {
        let look = || async {
            let status = self.status(repository, name).await;
            (status["status"] != "RUNNING" && !status.is_null()).then_some(status)
        };
        eventually(&format!("the run of {name} ends"), look).await
    }

    /// Runs a task that runs once to its end.
    pub(crate) async fn run_once(&self, repository: &str, task: &Value) -> Value {
        self.create_once(repository, task).await;
        let name = task["name"].as_str().expect("a name");
        self.execute(repository, name).await;
        self.ended(repository, name).await
    }

    /// The values of a metric, by its labels.
    pub(crate) async fn metric(&self, name: &str) -> BTreeMap<String, f64> {
        let text = self.http().get("/metrics").await.text().to_owned();
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let pairs = lines.filter(|rest| rest.starts_with(['{', ' '])).filter_map(|rest| rest.rsplit_once(' '));
        pairs.map(|(labels, value)| (labels.to_owned(), value.parse().expect("a number"))).collect()
    }
}

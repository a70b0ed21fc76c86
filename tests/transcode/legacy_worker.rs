//! A worker as it was before Steward, in Python: the same calls in the same order, a new connection for each.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::common::http::HttpPort;
use crate::common::program::{self, ROOT};
use crate::common::wait::{eventually, within};
use crate::vocabulary::farm::Farm;
use crate::vocabulary::programs;

/// A running worker, and what it prints.
struct Worker {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// `None` when there is no Python.
    fn start(port: HttpPort, name: &str, args: &[&str]) -> Option<Self> {
        let python = program::find("python", "legacy_worker")?;
        let script = Path::new(ROOT).join("tests/transcode/python/worker.py");
        let mut command = Command::new(python);
        command.arg(script).arg(format!("http://{}", port.0)).arg(name).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        let mut child = command.spawn().expect("Python can be started");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        Some(Worker { child, lines })
    }

    async fn line(&mut self) -> String {
        let line = within("the worker says something", self.lines.next_line()).await.expect("text");
        line.expect("the worker goes on")
    }

    /// What it still says, and how it ends.
    async fn end(mut self) -> (Vec<String>, Option<i32>) {
        let mut said = Vec::new();
        while let Some(line) = within("the worker ends", self.lines.next_line()).await.expect("text") {
            said.push(line);
        }
        (said, within("the worker ends", self.child.wait()).await.expect("it can be waited for").code())
    }
}

#[tokio::test]
async fn it_works_through_everything_and_goes_when_it_is_told() {
    let farm = Farm::start().await;
    let api = farm.api();
    let videos = farm.waiting(3).await;
    let Some(mut worker) = Worker::start(farm.http(), "old", &["--save", "!replace"]) else { return };
    assert_eq!(worker.line().await, "registered 1");
    for number in 0..3 {
        assert_eq!(worker.line().await, format!("claimed lib/video-{number:05}.mp4"));
        assert_eq!(worker.line().await, "completed");
    }

    api.send("POST", "/workers/1/offline", &json!({"action": "offline"})).await.says(200, "下线指令已发送");

    let (said, code) = worker.end().await;
    assert_eq!((said, code), (vec!["offline".to_owned()], Some(0)));
    assert_eq!(api.worker(1).await["status"], 0);
    let rows = api.rows("/tasks?status[]=2").await;
    assert_eq!(rows.len(), 3);
    for row in &rows {
        let seen = (&row["progress"], &row["remaining_time"], &row["dest_path"]);
        assert_eq!(seen, (&json!(100.0), &json!(0), &json!("!replace")), "{row}");
    }
    for video in videos {
        assert_eq!(api.video(video).await["transcode_status"], 4);
    }
    let commands = api.log_messages(1).await;
    assert_eq!(commands.iter().filter(|message| message.starts_with("FFmpeg command: ")).count(), 3, "{commands:?}");
}

#[tokio::test]
async fn it_works_through_a_gateway() {
    let farm = Farm::start().await;
    farm.waiting(1).await;
    let (_gateway, port) = programs::gateway(&farm, "gateway").await;
    let Some(worker) = Worker::start(port, "old", &["--num", "1"]) else { return };
    let (said, code) = worker.end().await;
    assert_eq!(
        (said, code),
        (["registered 1", "claimed lib/video-00000.mp4", "completed"].map(str::to_owned).into(), Some(0))
    );
}

#[tokio::test]
async fn its_failures_are_kept_with_their_reasons() {
    let farm = Farm::start().await;
    let api = farm.api();
    let video = farm.waiting(1).await[0];
    let Some(worker) = Worker::start(farm.http(), "old", &["--num", "1", "--fail"]) else { return };
    let (said, code) = worker.end().await;
    assert_eq!((said[2].as_str(), code), ("failed", Some(0)));
    let row = api.rows("/tasks").await.remove(0);
    assert_eq!(row["status"], 3);
    let error = row["error_message"].as_str().expect("a reason");
    assert!(error.starts_with("处理任务失败: 视频文件不存在"), "{error}");
    assert_eq!(api.video(video).await["transcode_status"], 5);
}

#[tokio::test]
async fn a_second_one_of_its_name_gives_up() {
    let farm = Farm::start().await;
    farm.api().register("old").await;
    let Some(worker) = Worker::start(farm.http(), "old", &[]) else { return };
    let (said, code) = worker.end().await;
    assert_eq!((said, code), (vec!["refused 409 Worker old 已在线，注册失败".to_owned()], Some(0)));
}

#[tokio::test]
async fn it_beats_while_it_works_and_is_missed_when_it_is_killed() {
    let farm = Farm::with("heartbeat_timeout = \"2s\"").await;
    let api = farm.api();
    farm.waiting(1).await;
    let args = ["--beat", "0.3", "--reports", "1000000"];
    let Some(mut worker) = Worker::start(farm.http(), "old", &args) else { return };
    assert_eq!(worker.line().await, "registered 1");
    assert_eq!(worker.line().await, "claimed lib/video-00000.mp4");
    let task = eventually("it reports", async || {
        let row = api.rows("/tasks").await.pop()?;
        (row["progress"].as_f64()? > 0.0).then(|| row["task_id"].as_str().expect("a string").to_owned())
    })
    .await;

    worker.child.kill().await.expect("it can be killed");

    api.see_offline(1).await;
    assert_eq!(api.see_task(&task, 3).await["error_message"], "Worker离线，任务自动终止");
}

//! What was acknowledged is there after a crash, and nobody has what another one has.

use std::collections::{HashMap, HashSet};

use serde_json::json;
use steward_proto::transcode::v1::claim_task_response::Result as Claim;
use steward_proto::transcode::v1::{TaskStatus, VideoStatus};

use crate::common::wait::eventually;
use crate::vocabulary::farm::Farm;
use crate::vocabulary::native::{Native, claim, report};

const ROUNDS: usize = 8;
const CLIENTS: usize = 4;

/// What a worker was told last about a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Claimed,
    Completed,
    /// The report was on its way when the server died.
    Unanswered,
}

/// Claims one video after the other and completes every second, until the server dies.
async fn work_until_it_dies(native: Native, worker: i32) -> HashMap<String, Told> {
    let mut facts = HashMap::new();
    for number in 0_usize.. {
        let Ok(answer) = native.tasks().claim_task(claim(worker)).await else { return facts };
        let Some(Claim::Task(task)) = answer.into_inner().result else { panic!("there is more work") };
        facts.insert(task.task_id.clone(), Told::Claimed);
        if number % 2 == 0 {
            continue;
        }
        let answer = native.tasks().update_task(report(&task, TaskStatus::Completed, 100.0)).await;
        facts.insert(task.task_id, if answer.is_ok() { Told::Completed } else { Told::Unanswered });
        if answer.is_err() {
            return facts;
        }
    }
    facts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_is_given_twice() {
    let mut farm = Farm::start().await;
    farm.waiting(20_000).await;
    let mut workers = Vec::new();
    for number in 0..CLIENTS {
        workers.push(farm.native().register(&format!("w{number}")).await.worker_id);
    }
    let mut facts = HashMap::new();
    for round in 0..ROUNDS {
        let clients: Vec<_> =
            workers.iter().map(|worker| tokio::spawn(work_until_it_dies(farm.native(), *worker))).collect();
        // Each round dies at another moment of its work.
        let native = farm.native();
        let least = i32::try_from(facts.len()).expect("few") + 20 + 7 * i32::try_from(round).expect("few");
        eventually("there is some load", async || {
            let request = steward_proto::transcode::v1::ListTasksRequest { page_size: 1, ..Default::default() };
            let listed = native.tasks().list_tasks(request).await.expect("it lives").into_inner();
            (listed.total_size >= least).then_some(())
        })
        .await;

        farm.kill9().await;
        for client in clients {
            facts.extend(client.await.expect("a client ends when the server does"));
        }
        farm.restart().await;
    }

    let native = farm.native();
    let mut videos = HashSet::new();
    for (task_id, told) in &facts {
        let task = native.task(task_id).await;
        let expected: &[TaskStatus] = match told {
            Told::Claimed => &[TaskStatus::Created],
            Told::Completed => &[TaskStatus::Completed],
            Told::Unanswered => &[TaskStatus::Created, TaskStatus::Completed],
        };
        assert!(expected.contains(&task.status()), "{told:?}: {task:?}");
        assert!(videos.insert(task.video_id), "video {} was given twice", task.video_id);
        let video = native.video(task.video_id).await;
        let of_task =
            if task.status() == TaskStatus::Completed { VideoStatus::Completed } else { VideoStatus::Claimed };
        assert_eq!(video.transcode_status(), of_task, "a task and its video change together");
    }
    assert!(facts.len() >= 20 * ROUNDS, "{} tasks", facts.len());
}

#[tokio::test]
async fn a_worker_does_not_notice_a_crash() {
    let mut farm = Farm::start().await;
    let video = farm.waiting(2).await[0];
    let worker = farm.api().register("w1").await;
    let task = farm.api().claim(worker).await;
    farm.api().progress(&task, worker, 12.5).await;
    let body = json!({"task_id": task, "log_level": 0, "log_message": "before the crash"});
    farm.api().send("POST", "/logs", &body).await.brings(201, "日志创建成功");

    farm.restart().await;

    let api = farm.api();
    assert_eq!(api.task(&task).await["status"], 1);
    assert_eq!(api.log_messages(0).await, ["before the crash"]);
    api.beat("w1", worker).await.says(200, "心跳更新成功");
    api.progress(&task, worker, 50.0).await;
    api.complete(&task, worker).await;
    assert_eq!(api.video(video).await["transcode_status"], 4);
    let next = api.claim(worker).await;
    assert_ne!(next, task);
}

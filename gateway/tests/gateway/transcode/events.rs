//! `/api/v2/events`: what subscribers are told, on a clock that tests move.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use steward_gateway::Options;
use steward_proto::transcode::v1::*;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::fake::Fake;
use super::{RUNNING_ROW, refusal, running_task, send};

const PATH: &str = "/api/v2/events";

type Tasks = UnboundedSender<Result<WatchTasksResponse, Status>>;
type Workers = UnboundedSender<Result<WatchWorkersResponse, Status>>;

fn show_task(tasks: &Tasks, revision: i64, task: Task) {
    let update = Some(watch_tasks_response::Update::Task(task));
    tasks.send(Ok(WatchTasksResponse { revision, update })).unwrap();
}

fn end_tasks(tasks: &Tasks, revision: i64) {
    let update = Some(watch_tasks_response::Update::SnapshotEnd(TasksSnapshotEnd {}));
    tasks.send(Ok(WatchTasksResponse { revision, update })).unwrap();
}

fn show_worker(workers: &Workers, revision: i64, update: watch_workers_response::Update) {
    workers.send(Ok(WatchWorkersResponse { revision, update: Some(update) })).unwrap();
}

fn worker() -> Worker {
    let state = WorkerState::Idle.into();
    Worker { worker_id: 1, worker_name: "w1".to_owned(), worker_type: 1, state, ..Worker::default() }
}

const WORKER_ROW: &str =
    r#"{"offline_action":null,"status":1,"support_vr":0,"worker_id":1,"worker_name":"w1","worker_type":0}"#;

/// Subscribes to a farm whose watches show what is sent.
async fn subscribe(headers: &[&str]) -> (Fake, Body, Tasks, Workers) {
    let fake = Fake::default();
    let (tasks, workers) = (fake.watched(), fake.watched());
    let response = send(&fake.router(), "GET", PATH, headers, "").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-cache");
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    (fake, response.into_body(), tasks, workers)
}

/// The next frame, or `None` when the stream is over.
async fn next(body: &mut Body) -> Option<String> {
    let frame = body.frame().await?.ok()?;
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn snapshot_is_told_without_a_place_and_changes_with_one() {
    let (_fake, mut body, tasks, workers) = subscribe(&[]).await;
    let claimed = Task { status: TaskStatus::Created.into(), ..running_task() };
    let claimed_row = RUNNING_ROW.replace(r#""status":1"#, r#""status":0"#);

    show_task(&tasks, 0, claimed.clone());
    let data = format!(r#"{{"type":"update","task":{claimed_row}}}"#);
    assert_eq!(next(&mut body).await.unwrap(), format!("event: tasks_update\ndata: {data}\n\n"));
    end_tasks(&tasks, 10);
    assert_eq!(next(&mut body).await.unwrap(), "id: 10.0\n\n");

    show_worker(&workers, 0, watch_workers_response::Update::Worker(worker()));
    let data = format!(r#"{{"type":"update","worker":{WORKER_ROW}}}"#);
    assert_eq!(next(&mut body).await.unwrap(), format!("event: workers_update\ndata: {data}\n\n"));
    show_worker(&workers, 11, watch_workers_response::Update::SnapshotEnd(WorkersSnapshotEnd {}));
    assert_eq!(next(&mut body).await.unwrap(), "id: 10.11\n\n");

    show_task(&tasks, 12, claimed);
    let data = format!(r#"{{"type":"create","task":{claimed_row}}}"#);
    assert_eq!(next(&mut body).await.unwrap(), format!("id: 12.11\nevent: tasks_update\ndata: {data}\n\n"));
    show_task(&tasks, 13, running_task());
    let data = format!(r#"{{"type":"update","task":{RUNNING_ROW}}}"#);
    assert_eq!(next(&mut body).await.unwrap(), format!("id: 13.11\nevent: tasks_update\ndata: {data}\n\n"));
    show_worker(&workers, 14, watch_workers_response::Update::DeletedWorkerId(1));
    let data = r#"{"type":"delete","worker_id":1}"#;
    assert_eq!(next(&mut body).await.unwrap(), format!("id: 13.14\nevent: workers_update\ndata: {data}\n\n"));
}

#[tokio::test]
async fn subscription_goes_on_where_it_was() {
    for (headers, expected) in
        [(&["Last-Event-ID: 12.11"][..], (12, 11)), (&["Last-Event-ID: nonsense"], (0, 0)), (&[], (0, 0))]
    {
        let (fake, ..) = subscribe(headers).await;
        let tasks =
            WatchTasksRequest { from_revision: expected.0, only_in_progress: true, ..WatchTasksRequest::default() };
        assert_eq!(fake.asked::<WatchTasksRequest>(), [tasks]);
        assert_eq!(fake.asked::<WatchWorkersRequest>(), [WatchWorkersRequest { from_revision: expected.1 }]);
    }
}

#[tokio::test]
async fn subscription_whose_place_is_forgotten_begins_anew() {
    let fake = Fake::default();
    let (tasks, workers): (Tasks, Workers) = (fake.watched(), fake.watched());
    let (tasks_anew, workers_anew): (Tasks, Workers) = (fake.watched(), fake.watched());
    let response = send(&fake.router(), "GET", PATH, &["Last-Event-ID: 5.6"], "").await;
    let mut body = response.into_body();
    tasks.send(Err(refusal(Code::OutOfRange, "REVISION_COMPACTED"))).unwrap();
    show_task(&tasks_anew, 0, running_task());
    assert!(next(&mut body).await.unwrap().starts_with("event: tasks_update\n"));
    end_tasks(&tasks_anew, 20);
    assert_eq!(next(&mut body).await.unwrap(), "id: 20.6\n\n");
    workers.send(Err(refusal(Code::OutOfRange, "REVISION_COMPACTED"))).unwrap();
    show_worker(&workers_anew, 21, watch_workers_response::Update::SnapshotEnd(WorkersSnapshotEnd {}));
    assert_eq!(next(&mut body).await.unwrap(), "id: 20.21\n\n");
    let asked: Vec<_> = fake.asked::<WatchTasksRequest>().iter().map(|asked| asked.from_revision).collect();
    assert_eq!(asked, [5, 0]);
    let asked: Vec<_> = fake.asked::<WatchWorkersRequest>().iter().map(|asked| asked.from_revision).collect();
    assert_eq!(asked, [6, 0]);
}

#[tokio::test]
async fn watches_that_refuse_a_place_are_asked_anew_before_the_answer() {
    // It has no watch at all, so it refuses every place, and the second refusal is final.
    let fake = Fake::default();
    let response = send(&fake.router(), "GET", PATH, &["Last-Event-ID: 5.6"], "").await;
    assert_eq!(response.status(), 500);
    let asked: Vec<_> = fake.asked::<WatchTasksRequest>().iter().map(|asked| asked.from_revision).collect();
    assert_eq!(asked, [5, 0]);
}

#[tokio::test(start_paused = true)]
async fn quiet_stream_has_a_heartbeat() {
    let (_fake, mut body, _tasks, _workers) = subscribe(&[]).await;
    let start = Instant::now();
    for beat in 1..=3 {
        assert_eq!(next(&mut body).await.as_deref(), Some(": keep-alive\n\n"));
        assert!(start.elapsed().abs_diff(Duration::from_secs(15 * beat)) < Duration::from_millis(10));
    }
}

#[tokio::test]
async fn stream_ends_at_shutdown_and_is_cut_off_when_a_watch_breaks() {
    let (_fake, mut body, tasks, _workers) = subscribe(&[]).await;
    tasks.send(Err(Status::unavailable("gone"))).unwrap();
    assert!(body.frame().await.unwrap().is_err());

    let (_fake, mut body, tasks, _workers) = subscribe(&[]).await;
    drop(tasks);
    assert!(body.frame().await.unwrap().is_err());

    let (fake, shutdown) = (Fake::default(), CancellationToken::new());
    let (_tasks, _workers): (Tasks, Workers) = (fake.watched(), fake.watched());
    let response = send(&fake.router_with(Options::default(), shutdown.clone()), "GET", PATH, &[], "").await;
    shutdown.cancel();
    assert_eq!(next(&mut response.into_body()).await, None);
}

#[tokio::test]
async fn watches_end_with_their_subscriber() {
    let (_fake, body, tasks, workers) = subscribe(&[]).await;
    drop(body);
    tasks.closed().await;
    workers.closed().await;
}

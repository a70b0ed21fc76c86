//! Changes, told as they happen, and afterwards to who was away.

use std::time::Duration;

use steward_proto::transcode::v1::watch_tasks_response::Update;
use steward_proto::transcode::v1::watch_workers_response::Update as WorkerUpdate;
use steward_proto::transcode::v1::{
    Task, TaskStatus, VideoStatus, WatchTasksRequest, WatchTasksResponse, WatchVideosRequest, WatchWorkersRequest,
    WorkerState,
};
use tokio::time::Instant;
use tonic::{Code, Streaming};

use crate::common::http::EventStream;
use crate::common::wait::{eventually, within};
use crate::vocabulary::farm::Farm;
use crate::vocabulary::native::{good, next, refusal, report};

async fn watch(farm: &Farm, request: WatchTasksRequest) -> Streaming<WatchTasksResponse> {
    good(within("the watch opens", farm.native().tasks().watch_tasks(request)).await)
}

/// The tasks as they are, and the revision that stands at their end.
async fn snapshot(watch: &mut Streaming<WatchTasksResponse>) -> (Vec<Task>, i64) {
    let mut tasks = Vec::new();
    loop {
        let message = next(watch).await;
        match message.update.expect("every message says what it is") {
            Update::Task(task) => {
                assert_eq!(message.revision, 0, "within the snapshot");
                tasks.push(task);
            }
            Update::SnapshotEnd(_) => return (tasks, message.revision),
            Update::DeletedId(_) => panic!("the snapshot comes first"),
        }
    }
}

/// The next change of a task.
async fn change(watch: &mut Streaming<WatchTasksResponse>) -> (Task, i64) {
    let message = next(watch).await;
    match message.update.expect("every message says what it is") {
        Update::Task(task) => (task, message.revision),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_there_comes_first_and_then_every_change_in_order() {
    let farm = Farm::start().await;
    let native = farm.native();
    farm.waiting(3).await;
    let id = native.register("w1").await.worker_id;
    let (old, ended) = (native.task_for(id).await, native.task_for(id).await);
    native.update(report(&ended, TaskStatus::Completed, 100.0)).await;
    let mut all = watch(&farm, WatchTasksRequest::default()).await;
    let request = WatchTasksRequest { only_in_progress: true, ..Default::default() };
    let mut fresh = watch(&farm, request).await;

    let (tasks, revision) = snapshot(&mut all).await;
    let mut ids: Vec<_> = tasks.iter().map(|task| task.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [old.id, ended.id]);
    assert!(tasks.iter().all(|task| task.lease_token.is_empty()), "a watch tells no tokens");
    let (tasks, _) = snapshot(&mut fresh).await;
    assert_eq!(tasks.iter().map(|task| task.id).collect::<Vec<_>>(), [old.id]);

    native.update(report(&old, TaskStatus::Running, 10.0)).await;
    native.update(report(&old, TaskStatus::Completed, 100.0)).await;
    let new = native.task_for(id).await;

    for watch in [&mut all, &mut fresh] {
        let mut revisions = vec![revision];
        let mut told = Vec::new();
        while told.last() != Some(&(new.id, TaskStatus::Created)) {
            let (task, revision) = change(watch).await;
            told.push((task.id, task.status()));
            revisions.push(revision);
        }
        let story = [(old.id, TaskStatus::Running), (old.id, TaskStatus::Completed), (new.id, TaskStatus::Created)];
        assert_eq!(told, story);
        assert!(revisions.is_sorted(), "{revisions:?}");
    }
}

#[tokio::test]
async fn who_resumes_misses_nothing_that_happened_while_away() {
    let mut farm = Farm::start().await;
    farm.waiting(20).await;
    let id = farm.native().register("w1").await.worker_id;
    let mut first = watch(&farm, WatchTasksRequest::default()).await;
    let (_, seen) = snapshot(&mut first).await;
    drop(first);
    let mut expected = Vec::new();
    for round in 0..2 {
        let native = farm.native();
        for _ in 0..10 {
            let task = native.task_for(id).await;
            native.update(report(&task, TaskStatus::Failed, 0.0)).await;
            expected.push((task.task_id.clone(), TaskStatus::Created));
            expected.push((task.task_id, TaskStatus::Failed));
        }
        if round == 0 {
            farm.restart().await;
        }
    }

    let request = WatchTasksRequest { from_revision: seen, ..Default::default() };
    let mut resumed = watch(&farm, request).await;

    for expected in expected {
        let (task, _) = change(&mut resumed).await;
        assert_eq!((task.task_id.clone(), task.status()), expected);
    }
}

#[tokio::test]
async fn progress_is_told_twice_a_second_and_its_last_word_is_not_lost() {
    const REPORTS: u32 = 300;
    let farm = Farm::start().await;
    let native = farm.native();
    farm.waiting(1).await;
    let id = native.register("w1").await.worker_id;
    let task = native.task_for(id).await;
    native.update(report(&task, TaskStatus::Running, 0.0)).await;
    let mut watch = watch(&farm, WatchTasksRequest::default()).await;
    snapshot(&mut watch).await;
    let start = Instant::now();

    for number in 1..=REPORTS {
        native.update(report(&task, TaskStatus::Running, f64::from(number) / 10.0)).await;
    }

    let mut told = 0;
    loop {
        let (task, _) = change(&mut watch).await;
        told += 1;
        if task.progress >= f64::from(REPORTS) / 10.0 {
            break;
        }
    }
    let most = 2.0 * start.elapsed().as_secs_f64() + 3.0;
    assert!(f64::from(told) <= most, "{told} in {:?}", start.elapsed());
}

#[tokio::test]
async fn a_watch_of_one_task_and_of_one_status_hears_of_nothing_else() {
    let farm = Farm::start().await;
    let native = farm.native();
    farm.waiting(3).await;
    let id = native.register("w1").await.worker_id;
    let (mine, other) = (native.task_for(id).await, native.task_for(id).await);
    let request = WatchTasksRequest { task_id: mine.task_id.clone(), ..Default::default() };
    let mut alone = watch(&farm, request).await;
    assert_eq!(snapshot(&mut alone).await.0.len(), 1);
    let request = WatchTasksRequest { statuses: vec![TaskStatus::Running.into()], ..Default::default() };
    let mut running = watch(&farm, request).await;
    assert_eq!(snapshot(&mut running).await.0.len(), 0);

    native.update(report(&other, TaskStatus::Running, 1.0)).await;
    native.update(report(&other, TaskStatus::Completed, 100.0)).await;
    native.task_for(id).await;
    native.update(report(&mine, TaskStatus::Failed, 1.0)).await;

    let (task, _) = change(&mut alone).await;
    assert_eq!((task.id, task.status()), (mine.id, TaskStatus::Failed));
    let (task, _) = change(&mut running).await;
    assert_eq!((task.id, task.status()), (other.id, TaskStatus::Running));
    let (task, _) = change(&mut running).await;
    assert_eq!((task.id, task.status()), (other.id, TaskStatus::Completed), "that it left is told once");
}

#[tokio::test]
async fn a_task_that_the_server_ends_is_told_too() {
    let farm = Farm::with("heartbeat_timeout = \"1s\"").await;
    let native = farm.native();
    farm.waiting(1).await;
    let id = native.register("w1").await.worker_id;
    let task = native.task_for(id).await;
    let mut watch = watch(&farm, WatchTasksRequest::default()).await;
    snapshot(&mut watch).await;
    let (ended, _) = change(&mut watch).await;
    assert_eq!((ended.id, ended.status()), (task.id, TaskStatus::Failed));
    assert_eq!(ended.error_message, "Worker离线，任务自动终止");
}

#[tokio::test]
async fn workers_are_told_as_they_come_change_and_go() {
    let farm = Farm::with("heartbeat_timeout = \"1s\"").await;
    let native = farm.native();
    let first = native.register("first").await.worker_id;
    let mut watch = good(native.workers().watch_workers(WatchWorkersRequest::default()).await);
    let mut seen = Vec::new();
    loop {
        match next(&mut watch).await.update.expect("every message says what it is") {
            WorkerUpdate::Worker(worker) => seen.push(worker.worker_id),
            WorkerUpdate::SnapshotEnd(_) => break,
            WorkerUpdate::DeletedWorkerId(_) => panic!("the snapshot comes first"),
        }
    }
    assert_eq!(seen, [first]);

    let until = async |watch: &mut Streaming<_>, id: i32, state: WorkerState| loop {
        let message: steward_proto::transcode::v1::WatchWorkersResponse = next(watch).await;
        assert!(message.revision > 0);
        if let Some(WorkerUpdate::Worker(worker)) = message.update
            && (worker.worker_id, worker.state()) == (id, state)
        {
            return;
        }
    };
    until(&mut watch, first, WorkerState::Offline).await;
    let second = native.register("second").await.worker_id;
    until(&mut watch, second, WorkerState::Idle).await;
    let request = steward_proto::transcode::v1::DeleteWorkerRequest { worker_id: second };
    good(native.workers().delete_worker(request).await);
    let deleted = async |watch: &mut Streaming<steward_proto::transcode::v1::WatchWorkersResponse>| loop {
        if let Some(WorkerUpdate::DeletedWorkerId(id)) = next(watch).await.update {
            return id;
        }
    };
    assert_eq!(deleted(&mut watch).await, second);
}

#[tokio::test]
async fn videos_are_told_as_they_change() {
    let farm = Farm::start().await;
    let native = farm.native();
    let video = farm.waiting(1).await[0];
    let mut watch = good(native.videos().watch_videos(WatchVideosRequest::default()).await);
    let begin = next(&mut watch).await;
    assert!(begin.video.is_none() && begin.revision > 0, "the first message says where it begins");
    let id = native.register("w1").await.worker_id;
    let task = native.task_for(id).await;
    native.update(report(&task, TaskStatus::Running, 1.0)).await;
    native.update(report(&task, TaskStatus::Completed, 100.0)).await;

    let mut told = Vec::new();
    while told.last() != Some(&VideoStatus::Completed) {
        let changed = next(&mut watch).await.video.expect("a video");
        assert_eq!(changed.id, video);
        told.push(changed.transcode_status());
        told.dedup();
    }
    assert_eq!(told, [VideoStatus::Claimed, VideoStatus::Transcoding, VideoStatus::Completed]);

    let request = WatchVideosRequest { from_revision: begin.revision };
    let mut resumed = good(native.videos().watch_videos(request).await);
    let first = loop {
        if let Some(video) = next(&mut resumed).await.video {
            break video;
        }
    };
    assert_eq!(first.id, video);
}

/// The next event that has a text in it.
async fn event_with(events: &mut EventStream, text: &str) -> String {
    within("the event comes", async {
        loop {
            let event = events.event().await;
            if event.contains(text) {
                return event;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_browser_is_told_by_server_sent_events() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(1).await;
    let mut events = farm.http().subscribe("/api/v2/events").await;
    assert!(events.header("content-type").expect("a type").starts_with("text/event-stream"));
    let worker = api.register("browsed").await;
    event_with(&mut events, "browsed").await;
    let task = api.claim(worker).await;
    event_with(&mut events, &task).await;
    api.fail(&task, worker, "told to browsers").await;
    event_with(&mut events, "told to browsers").await;
}

#[tokio::test]
async fn a_browser_goes_on_where_it_was() {
    let farm = Farm::start().await;
    let api = farm.api();
    farm.waiting(3).await;
    let worker = api.register("w1").await;
    let mut events = farm.http().subscribe("/api/v2/events").await;
    let seen = api.claim(worker).await;
    let event = event_with(&mut events, &seen).await;
    let id = event.lines().find_map(|line| line.strip_prefix("id:")).expect("an event has an id").trim().to_owned();
    drop(events);
    let missed = [api.claim(worker).await, api.claim(worker).await];

    let mut resumed = farm.http().subscribe(&format!("/api/v2/events?last_event_id={id}")).await;

    for task in &missed {
        let event = event_with(&mut resumed, "task_id").await;
        assert!(event.contains(task.as_str()), "{event}");
    }
}

#[tokio::test]
async fn so_many_may_watch_and_no_more() {
    let farm = Farm::with("max_watchers = 2").await;
    let mut first = watch(&farm, WatchTasksRequest::default()).await;
    let mut second = watch(&farm, WatchTasksRequest::default()).await;
    for watch in [&mut first, &mut second] {
        snapshot(watch).await;
    }
    let third = within("an answer", farm.native().tasks().watch_tasks(WatchTasksRequest::default())).await;
    assert_eq!(refusal(third), (Code::ResourceExhausted, "TOO_MANY_WATCHERS".to_owned()));
    drop(first);
    eventually("the place is free", async || {
        let again = farm.native().tasks().watch_tasks(WatchTasksRequest::default()).await;
        again.is_ok().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_ends_ends_its_watches() {
    let mut farm = Farm::start().await;
    let mut watch = watch(&farm, WatchTasksRequest::default()).await;
    snapshot(&mut watch).await;
    let start = Instant::now();
    let status = farm.terminate().await;
    assert!(status.success(), "{status}");
    assert!(start.elapsed() < Duration::from_secs(20), "nobody waits for a watch");
}

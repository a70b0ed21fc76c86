//! `GET /lock/subscribe` after its headers: events, replay, heartbeat and the abort, on a clock that tests move.

use std::time::Duration;

use axum::body::Body;
use http::Method;
use http_body_util::BodyExt;
use steward_gateway::Options;
use steward_proto::lock::v1::watch_response::Update;
use steward_proto::lock::v1::{Completion, Grant, Lock, LockEvent, LockEventKind, LockMode, SnapshotEnd};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::fake::{Fake, Updates};
use crate::http::send;

const PATH: &str = "/lock/subscribe?type=pull&resource_id=sha256%3As";
const TIME: prost_types::Timestamp = prost_types::Timestamp { seconds: 1_795_230_780, nanos: 970_373_481 };
const SUCCESS_OF_B: &str = concat!(
    r#"data: {"type":"pull","resource_id":"sha256:s","node_id":"B","success":true,"error":"","#,
    r#""completed_at":"2026-11-21T03:13:00.970373481Z"}"#,
    "\n\n"
);
const HAND_OVER_TO_C: &str = concat!(
    r#"data: {"type":"pull","resource_id":"sha256:s","node_id":"C","success":false,"error":"","#,
    r#""completed_at":"2026-11-21T03:13:00.970373481Z"}"#,
    "\n\n"
);
const HEARTBEAT: &str = ": keep-alive\n\n";

/// The body of a new subscription, and what feeds it.
async fn subscribe() -> (Body, Updates) {
    subscribe_until(CancellationToken::new()).await
}

async fn subscribe_until(shutdown: CancellationToken) -> (Body, Updates) {
    let (fake, updates) = Fake::watched();
    let response = send(&fake.router_with(Options::default(), shutdown), Method::GET, PATH, "").await;
    assert_eq!(response.status(), 200);
    (response.into_body(), updates)
}

/// The next frame, or `None` when the stream is aborted. A clean end is a bug.
async fn next(body: &mut Body) -> Option<String> {
    let frame = body.frame().await.expect("the stream never ends cleanly").ok()?;
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

fn unclaimed_by(owner: &str) -> Update {
    let grant = Grant {
        owner: owner.to_owned(),
        mode: LockMode::Exclusive.into(),
        grant_time: Some(TIME),
        is_unclaimed: true,
        ..Grant::default()
    };
    Update::Snapshot(Lock { holders: vec![grant], holder_count: 1, ..Lock::default() })
}

fn completion() -> Completion {
    Completion { owner: "B".to_owned(), complete_time: Some(TIME), ..Completion::default() }
}

fn event(kind: LockEventKind, owner: &str) -> LockEvent {
    LockEvent { kind: kind.into(), owner: owner.to_owned(), event_time: Some(TIME), ..LockEvent::default() }
}

#[tokio::test(start_paused = true)]
async fn living_success_is_replayed_at_once() {
    let (mut body, updates) = subscribe().await;
    let start = Instant::now();
    let lock = Lock { completion: Some(completion()), ..Lock::default() };
    updates.send(Update::Snapshot(lock));
    assert_eq!(next(&mut body).await.as_deref(), Some(SUCCESS_OF_B));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn success_and_hand_over_are_told_as_they_happen() {
    let (mut body, updates) = subscribe().await;
    let start = Instant::now();
    updates.send(Update::SnapshotEnd(SnapshotEnd {}));
    updates.send(Update::Event(event(LockEventKind::Released, "A")));
    let assigned = LockEvent {
        grant: Some(Grant { is_unclaimed: true, ..Grant::default() }),
        ..event(LockEventKind::Assigned, "C")
    };
    updates.send(Update::Event(assigned));
    updates.send(Update::Event(event(LockEventKind::Claimed, "C")));
    let completed = LockEvent { completion: Some(completion()), ..event(LockEventKind::Completed, "B") };
    updates.send(Update::Event(completed));

    assert_eq!(next(&mut body).await.as_deref(), Some(HAND_OVER_TO_C));
    assert_eq!(next(&mut body).await.as_deref(), Some(SUCCESS_OF_B));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn unclaimed_hand_over_is_replayed_a_second_after_the_connect() {
    let (mut body, updates) = subscribe().await;
    let start = Instant::now();
    updates.send(unclaimed_by("C"));
    assert_eq!(next(&mut body).await.as_deref(), Some(HAND_OVER_TO_C));
    assert!(start.elapsed().abs_diff(Duration::from_secs(1)) < Duration::from_millis(10));
    assert_eq!(next(&mut body).await.as_deref(), Some(HEARTBEAT));
}

#[tokio::test(start_paused = true)]
async fn hand_over_that_is_claimed_in_the_meantime_is_not_replayed() {
    let (mut body, updates) = subscribe().await;
    updates.send(unclaimed_by("C"));
    tokio::spawn(async move {
        sleep(Duration::from_millis(500)).await;
        updates.send(Update::Event(event(LockEventKind::Claimed, "C")));
        // The watch stays open for as long as the subscriber does.
        updates.unwatched().await;
    });
    assert_eq!(next(&mut body).await.as_deref(), Some(HEARTBEAT));
}

#[tokio::test(start_paused = true)]
async fn newer_hand_over_replaces_the_replay() {
    let (mut body, updates) = subscribe().await;
    let start = Instant::now();
    updates.send(unclaimed_by("B"));
    updates.send(Update::Event(event(LockEventKind::Expired, "B")));
    updates.send(Update::Event(event(LockEventKind::Assigned, "C")));
    assert_eq!(next(&mut body).await.as_deref(), Some(HAND_OVER_TO_C));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(next(&mut body).await.as_deref(), Some(HEARTBEAT));
}

#[tokio::test(start_paused = true)]
async fn quiet_stream_has_a_heartbeat_every_thirty_seconds() {
    let (mut body, _updates) = subscribe().await;
    let start = Instant::now();
    for beat in 1..=3 {
        assert_eq!(next(&mut body).await.as_deref(), Some(HEARTBEAT));
        assert!(start.elapsed().abs_diff(Duration::from_secs(30 * beat)) < Duration::from_millis(10));
    }
}

#[tokio::test(start_paused = true)]
async fn stream_is_aborted_at_shutdown() {
    let shutdown = CancellationToken::new();
    let (mut body, updates) = subscribe_until(shutdown.clone()).await;
    shutdown.cancel();
    updates.send(unclaimed_by("C"));
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test(start_paused = true)]
async fn stream_is_aborted_when_the_watch_breaks_or_ends() {
    let (mut body, updates) = subscribe().await;
    updates.break_off();
    assert_eq!(next(&mut body).await, None);

    let (mut body, updates) = subscribe().await;
    drop(updates);
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test(start_paused = true)]
async fn watch_ends_with_its_subscriber() {
    let (body, updates) = subscribe().await;
    drop(body);
    updates.unwatched().await;
}

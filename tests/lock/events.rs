//! Server-sent events: their bytes, their rules, and who is never delayed by them.

use std::time::{Duration, Instant};

use crate::common::http::{EventStream, Next};
use crate::common::server::Server;
use crate::common::wait::within;
use crate::legacy::{Api, Ending, GRANTED, UNLOCKED, subscription};

/// The event as it has to look, with its own time, of which only the form is known.
async fn assert_next_event(stream: &mut EventStream, subject: (&str, &str), node: &str, success: bool) {
    let event = stream.event().await;
    let (kind, resource) = subject;
    let (before, time) = event.split_once(r#""completed_at":""#).unwrap_or_else(|| panic!("no time: {event:?}"));
    assert_eq!(
        before,
        format!(
            r#"data: {{"type":"{kind}","resource_id":"{resource}","node_id":"{node}","success":{success},"error":"","#
        ),
    );
    let time = time.strip_suffix("\"}\n\n").unwrap_or_else(|| panic!("not the end of an event: {time:?}"));
    assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "not a time in UTC: {time}");
}

#[tokio::test]
async fn a_success_is_told_with_who_did_it() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("success");
        let mut stream = api.subscribe("pull", &layer).await;
        assert_eq!(stream.header("content-type"), Some("text/event-stream"));
        api.lock("pull", &layer, "B").await;
        api.lock("pull", &layer, "C").await;

        api.unlock("pull", &layer, "B", Ending::Success).await;

        assert_next_event(&mut stream, ("pull", &layer), "B", true).await;
    }
}

#[tokio::test]
async fn a_failure_is_told_with_the_new_holder() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("failure");
        api.lock("pull", &layer, "A").await;
        api.lock("pull", &layer, "B").await;
        let mut stream = api.subscribe("pull", &layer).await;

        api.post("/unlock", &crate::legacy::body("pull", &layer, "A", r#","success":false,"error":"下载失败""#)).await;

        assert_next_event(&mut stream, ("pull", &layer), "B", false).await;
    }
}

#[tokio::test]
async fn a_failure_without_a_waiter_is_not_told() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("alone");
        let mut stream = api.subscribe("pull", &layer).await;
        api.lock("pull", &layer, "A").await;
        api.unlock("pull", &layer, "A", Ending::Failure).await;

        api.lock("pull", &layer, "B").await;
        api.unlock("pull", &layer, "B", Ending::Success).await;

        assert_next_event(&mut stream, ("pull", &layer), "B", true).await;
    }
}

#[tokio::test]
async fn events_are_about_one_key_and_keep_every_letter() {
    let server = Server::start().await;
    let api = Api::of(&server);
    let mut stream = api.http.subscribe("/lock/subscribe?type=%E6%8B%89%E5%8F%96&resource_id=%E5%BA%93%2F1%2B1").await;
    for (kind, resource) in [("pull", "库/1+1"), ("拉取", "库/1"), ("拉取", "库/1+1")] {
        api.lock(kind, resource, "节点").await;
        api.unlock(kind, resource, "节点", Ending::Success).await;
    }

    assert_next_event(&mut stream, ("拉取", "库/1+1"), "节点", true).await;
}

#[tokio::test]
async fn the_last_success_is_replayed_at_once_while_it_is_remembered() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("replay");
        api.lock("pull", &layer, "A").await;
        api.unlock("pull", &layer, "A", Ending::Success).await;

        for _ in 0..2 {
            let mut late = api.subscribe("pull", &layer).await;
            assert_next_event(&mut late, ("pull", &layer), "A", true).await;
        }
    }
}

#[tokio::test]
async fn an_assignment_that_waits_for_its_claim_is_replayed_about_a_second_later() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("unclaimed");
        api.lock("pull", &layer, "A").await;
        api.lock("pull", &layer, "B").await;
        api.unlock("pull", &layer, "A", Ending::Failure).await;

        let connected = Instant::now();
        let mut late = api.subscribe("pull", &layer).await;

        assert_next_event(&mut late, ("pull", &layer), "B", false).await;
        assert!(connected.elapsed() >= Duration::from_millis(700), "an immediate replay makes clients spin");
    }
}

#[tokio::test]
async fn an_assignment_that_was_claimed_is_not_replayed() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("claimed");
        api.lock("pull", &layer, "A").await;
        api.lock("pull", &layer, "B").await;
        api.unlock("pull", &layer, "A", Ending::Failure).await;
        assert_eq!(api.lock("pull", &layer, "B").await.parts(), GRANTED);

        let mut late = api.subscribe("pull", &layer).await;
        api.unlock("pull", &layer, "B", Ending::Success).await;

        assert_next_event(&mut late, ("pull", &layer), "B", true).await;
    }
}

#[tokio::test]
async fn a_quiet_stream_has_a_comment_no_more_often_than_every_25_seconds() {
    let server = Server::start().await;
    let mut stream = Api::of(&server).subscribe("pull", "sha256:quiet").await;
    let connected = Instant::now();

    let Next::Frame(comment) = within("a heartbeat", stream.next()).await else { panic!("the stream ended") };

    assert!(comment.starts_with(':') && !comment.contains("data"), "not a comment: {comment:?}");
    assert!(connected.elapsed() >= Duration::from_secs(24), "too soon: {:?}", connected.elapsed());
}

#[tokio::test]
async fn a_shutdown_breaks_the_streams_off_so_that_clients_come_back() {
    let mut server = Server::start().await;
    let mut stream = Api::of(&server).subscribe("pull", "sha256:shutdown").await;

    let status = server.terminate().await;

    assert_eq!(within("the end of the stream", stream.next()).await, Next::Broken);
    assert_eq!(status.code(), Some(0));
}

/// Long names fill the buffers of a connection that nobody reads.
const LONG: usize = 1000;
const HAND_OVERS: usize = 3000;

#[tokio::test]
async fn a_subscriber_that_never_reads_delays_nobody() {
    let server = Server::start().await;
    let api = Api::of(&server);
    let layer = format!("sha256:{}", "s".repeat(LONG));
    let nodes = ["A".repeat(LONG), "B".repeat(LONG)];
    let sleepers = [
        api.http.subscribe_and_sleep(&subscription("pull", &layer)).await,
        api.http.subscribe_and_sleep(&subscription("pull", &layer)).await,
    ];
    let mut reader = api.subscribe("pull", &layer).await;
    api.lock("pull", &layer, &nodes[0]).await;
    let mut connection = api.http.connect().await;

    // Each unlock hands the lock to the other node: one event for all subscribers.
    for turn in 0..HAND_OVERS {
        let [holder, waiter] = [&nodes[turn % 2], &nodes[(turn + 1) % 2]];
        let lock = crate::legacy::body("pull", &layer, waiter, "");
        connection.request("POST", "/lock", &[], lock.as_bytes()).await;
        let unlock = crate::legacy::body("pull", &layer, holder, r#","success":false"#);
        let unlocked = connection.request("POST", "/unlock", &[], unlock.as_bytes()).await;
        assert_eq!(unlocked.parts(), UNLOCKED, "turn {turn}");
        assert_next_event(&mut reader, ("pull", &layer), waiter, false).await;
    }

    drop(sleepers);
}

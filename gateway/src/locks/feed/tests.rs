use steward_proto::lock::v1::watch_response::Update;
use steward_proto::lock::v1::{
    Completion, Grant, Lock, LockEvent, LockEventKind, LockKey, LockMode, Progress, SnapshotEnd,
};

use super::Feed;

fn key() -> LockKey {
    LockKey { r#type: "pull".to_owned(), resource_id: "sha256:s".to_owned() }
}

fn at(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 0 }
}

fn completion(owner: &str) -> Completion {
    Completion { key: Some(key()), owner: owner.to_owned(), complete_time: Some(at(1)), ..Completion::default() }
}

fn held(owner: &str, mode: LockMode, is_unclaimed: bool) -> Update {
    let grant =
        Grant { owner: owner.to_owned(), mode: mode.into(), grant_time: Some(at(2)), is_unclaimed, ..Grant::default() };
    Update::Snapshot(Lock { holders: vec![grant], holder_count: 1, ..Lock::default() })
}

fn event(kind: LockEventKind, owner: &str) -> Update {
    Update::Event(LockEvent {
        kind: kind.into(),
        owner: owner.to_owned(),
        event_time: Some(at(3)),
        ..LockEvent::default()
    })
}

fn told(feed: &mut Feed, update: &Update) -> Option<String> {
    feed.apply(update).map(|event| String::from_utf8(event.frame().to_vec()).unwrap())
}

fn frame(node_id: &str, is_success: bool, second: u32) -> String {
    format!(
        "data: {{\"type\":\"pull\",\"resource_id\":\"sha256:s\",\"node_id\":\"{node_id}\",\"success\":{is_success},\
         \"error\":\"\",\"completed_at\":\"1970-01-01T00:00:0{second}Z\"}}\n\n"
    )
}

#[test]
fn living_success_is_told_to_a_new_subscriber() {
    let mut feed = Feed::new(key());
    let lock = Lock { completion: Some(completion("B")), ..Lock::default() };
    assert_eq!(told(&mut feed, &Update::Snapshot(lock)), Some(frame("B", true, 1)));
}

#[test]
fn success_is_told_of_who_did_the_work() {
    let mut feed = Feed::new(key());
    let done = LockEvent {
        kind: LockEventKind::Completed.into(),
        owner: "x".to_owned(),
        completion: Some(completion("B")),
        event_time: Some(at(3)),
        ..LockEvent::default()
    };
    assert_eq!(told(&mut feed, &Update::Event(done)), Some(frame("B", true, 1)));
}

#[test]
fn success_without_a_record_is_told_all_the_same() {
    let mut feed = Feed::new(key());
    assert_eq!(told(&mut feed, &event(LockEventKind::Completed, "B")), Some(frame("B", true, 3)));
}

#[test]
fn hand_over_is_told_as_a_failure_of_the_new_holder() {
    let mut feed = Feed::new(key());
    assert_eq!(told(&mut feed, &event(LockEventKind::Assigned, "C")), Some(frame("C", false, 3)));
    assert!(!feed.has_unclaimed());
}

#[test]
fn unclaimed_holder_is_kept_for_later() {
    let mut feed = Feed::new(key());
    assert_eq!(told(&mut feed, &held("C", LockMode::Exclusive, true)), None);
    assert!(feed.has_unclaimed());
    let event = feed.take_unclaimed().unwrap();
    assert_eq!(Some(String::from_utf8(event.frame().to_vec()).unwrap()), Some(frame("C", false, 2)));
    assert!(!feed.has_unclaimed());
}

#[test]
fn claimed_or_shared_holders_are_not_told() {
    for update in [
        held("C", LockMode::Exclusive, false),
        held("C", LockMode::Shared, true),
        held("C", LockMode::Semaphore, true),
        Update::Snapshot(Lock::default()),
        Update::SnapshotEnd(SnapshotEnd {}),
        Update::Progress(Progress {}),
    ] {
        let mut feed = Feed::new(key());
        assert_eq!(told(&mut feed, &update), None);
        assert!(!feed.has_unclaimed(), "{update:?}");
    }
}

#[test]
fn kept_hand_over_is_dropped_when_its_holder_moves_on() {
    for kind in [
        LockEventKind::Claimed,
        LockEventKind::Granted,
        LockEventKind::Released,
        LockEventKind::Expired,
        LockEventKind::ForceReleased,
        LockEventKind::WaitCancelled,
        LockEventKind::LeaseLost,
    ] {
        let mut feed = Feed::new(key());
        feed.apply(&held("C", LockMode::Exclusive, true));
        assert_eq!(told(&mut feed, &event(kind, "D")), None);
        assert!(feed.has_unclaimed(), "{kind:?} of another owner");
        assert_eq!(told(&mut feed, &event(kind, "C")), None);
        assert!(!feed.has_unclaimed(), "{kind:?}");
    }
}

#[test]
fn kept_hand_over_is_replaced_by_newer_news() {
    for kind in [LockEventKind::Assigned, LockEventKind::Completed] {
        let mut feed = Feed::new(key());
        feed.apply(&held("C", LockMode::Exclusive, true));
        assert!(told(&mut feed, &event(kind, "D")).is_some());
        assert!(!feed.has_unclaimed(), "{kind:?}");
    }
}

#[test]
fn other_changes_neither_are_told_nor_drop_a_kept_hand_over() {
    for kind in
        [LockEventKind::Unspecified, LockEventKind::Enqueued, LockEventKind::Renewed, LockEventKind::CompletionDropped]
    {
        let mut feed = Feed::new(key());
        feed.apply(&held("C", LockMode::Exclusive, true));
        assert_eq!(told(&mut feed, &event(kind, "C")), None);
        assert!(feed.has_unclaimed(), "{kind:?}");
    }
}

use serde_json::json;

use super::*;

fn key() -> pb::LockKey {
    pb::LockKey { r#type: "pull".to_owned(), resource_id: "sha256:abc".to_owned() }
}

fn time(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 970_373_481 }
}

fn grant() -> pb::Grant {
    pb::Grant {
        key: Some(key()),
        owner: "nodea".to_owned(),
        grant_id: "g".to_owned(),
        fencing_token: 7,
        mode: pb::LockMode::Shared.into(),
        grant_time: Some(time(1_700_000_000)),
        ttl: Some(prost_types::Duration { seconds: 30, nanos: 0 }),
        ..pb::Grant::default()
    }
}

fn grant_json() -> serde_json::Value {
    json!({
        "key": {"type": "pull", "resource_id": "sha256:abc"},
        "owner": "nodea",
        "grant_id": "g",
        "fencing_token": 7,
        "mode": "shared",
        "permits": 0,
        "grant_time": "2023-11-14T22:13:20.970373481Z",
        "expire_time": null,
        "max_expire_time": null,
        "ttl": "30s",
        "lease_id": "",
        "is_unclaimed": false,
    })
}

fn value(answer: impl Serialize) -> serde_json::Value {
    serde_json::to_value(answer).unwrap()
}

#[test]
fn an_acquire_answer_has_its_status_and_grant() {
    let answer = pb::AcquireResponse {
        status: pb::AcquireStatus::TimedOut.into(),
        grant: Some(grant()),
        revision: 12,
        ..pb::AcquireResponse::default()
    };
    let expected =
        json!({"status": "timed_out", "grant": grant_json(), "queue_position": 0, "completion": null, "revision": 12});
    assert_eq!(value(Acquired::from(answer)), expected);
}

#[test]
fn a_lock_has_holders_waiters_and_completion() {
    let lock = pb::Lock {
        key: Some(key()),
        mode: pb::LockMode::Exclusive.into(),
        holders: vec![grant()],
        holder_count: 1,
        waiters: vec![pb::Waiter { owner: "nodeb".to_owned(), queue_position: 1, ..pb::Waiter::default() }],
        waiter_count: 1,
        completion: Some(pb::Completion { owner: "nodec".to_owned(), fencing_token: 3, ..pb::Completion::default() }),
        newest_fencing_token: 7,
        revision: 9,
        ..pb::Lock::default()
    };
    let expected = json!({
        "key": {"type": "pull", "resource_id": "sha256:abc"},
        "mode": "exclusive",
        "capacity": 0,
        "holders": [grant_json()],
        "holder_count": 1,
        "waiters": [
            {"owner": "nodeb", "mode": "unspecified", "permits": 0, "queue_position": 1, "enqueue_time": null}
        ],
        "waiter_count": 1,
        "completion":
            {"key": null, "owner": "nodec", "fencing_token": 3, "complete_time": null, "expire_time": null},
        "newest_fencing_token": 7,
        "revision": 9,
    });
    assert_eq!(value(Lock::from(lock)), expected);
}

#[test]
fn a_watch_step_is_the_revision_and_one_update() {
    let event = pb::LockEvent {
        kind: pb::LockEventKind::ForceReleased.into(),
        key: Some(key()),
        owner: "nodea".to_owned(),
        error: "stuck".to_owned(),
        event_time: Some(time(1_700_000_000)),
        ..pb::LockEvent::default()
    };
    let expected = json!({
        "revision": 5,
        "event": {
            "kind": "force_released",
            "key": {"type": "pull", "resource_id": "sha256:abc"},
            "owner": "nodea",
            "grant": null,
            "outcome": "unspecified",
            "error": "stuck",
            "completion": null,
            "event_time": "2023-11-14T22:13:20.970373481Z",
        },
    });
    assert_eq!(value(Watched::new(5, Update::Event(event))), expected);
    let end = Watched::new(6, Update::SnapshotEnd(pb::SnapshotEnd {}));
    assert_eq!(value(end), json!({"revision": 6, "snapshot_end": {}}));
}

#[test]
fn the_other_answers_keep_the_names_of_the_protocol() {
    let released = pb::ReleaseResponse { next_owner: "nodeb".to_owned(), completion: None, revision: 4 };
    assert_eq!(value(Released::from(released)), json!({"next_owner": "nodeb", "completion": null, "revision": 4}));
    let forced = pb::ForceReleaseResponse { released_count: 2, next_owner: String::new() };
    assert_eq!(value(ForceReleased::from(forced)), json!({"released_count": 2, "next_owner": ""}));
}

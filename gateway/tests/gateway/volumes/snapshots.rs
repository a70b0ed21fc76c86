//! `CreateSnapshot`, `DeleteSnapshot`, `CancelSnapshot`, `GetFileSnapshotInfo` and `GetFileSnapshotList`.

use steward_proto::volume::v1::*;

use super::fake::Fake;
use super::{TIME, UUID, ask, coded, done, done_with, list, malformed, not_found, refusal};

fn snapshot() -> Snapshot {
    Snapshot {
        uuid: UUID.to_owned(),
        name: "snap1".to_owned(),
        volume_path: "/test1".to_owned(),
        owner: "curve".to_owned(),
        seq: 1,
        state: SnapshotState::Done.into(),
        size_bytes: 10_737_418_240,
        create_time: Some(TIME),
        ..Snapshot::default()
    }
}

/// The row of [`snapshot`], with its status and its progress.
fn row(status: u64, progress: u64) -> Vec<String> {
    [
        "\"File\" : \"/test1\"".to_owned(),
        "\"FileLength\" : 10737418240".to_owned(),
        "\"Name\" : \"snap1\"".to_owned(),
        format!("\"Progress\" : {progress}"),
        "\"SeqNum\" : 1".to_owned(),
        format!("\"Status\" : {status}"),
        "\"Time\" : 1696761378914477".to_owned(),
        format!("\"UUID\" : \"{UUID}\""),
        "\"User\" : \"curve\"".to_owned(),
    ]
    .to_vec()
}

fn one(row: &[String]) -> String {
    let row: Vec<&str> = row.iter().map(String::as_str).collect();
    list("Snapshots", &[&row], 1)
}

#[tokio::test]
async fn snapshot_is_created_and_has_a_uuid() {
    let fake = Fake::default().answering(CreateSnapshotResponse { snapshot: Some(snapshot()), ..Default::default() });
    assert_eq!(ask(&fake.router(), "CreateSnapshot&User=curve&File=/test1&Name=snap1").await, done_with(UUID));
    let message = fake.only::<CreateSnapshotRequest>();
    let expected = CreateSnapshotRequest {
        user: "curve".to_owned(),
        volume: Some(VolumeName { path: "/test1".to_owned(), id: 0 }),
        name: "snap1".to_owned(),
        ..CreateSnapshotRequest::default()
    };
    assert_eq!(message, expected);
}

#[tokio::test]
async fn what_is_needed_has_to_be_there() {
    let fake = Fake::default();
    for query in [
        "CreateSnapshot&File=/a&Name=s",
        "CreateSnapshot&User=u&Name=s",
        "CreateSnapshot&User=u&File=/a",
        "CreateSnapshot&User=u&File=/a&Name=",
        "DeleteSnapshot&File=/a&Name=s",
        "DeleteSnapshot&User=u&Name=s",
        "DeleteSnapshot&User=u&File=/a",
        "DeleteSnapshot&User=u&File=/a&Name=&UUID=",
        "CancelSnapshot&User=u&File=/a",
        "CancelSnapshot&User=u&UUID=x",
        "CancelSnapshot&File=/a&UUID=x",
        "GetFileSnapshotInfo&File=/a",
        "GetFileSnapshotInfo&User=u",
        "GetFileSnapshotInfo&User=u&Name=s",
        "GetFileSnapshotInfo&User=u&File=/a&Limit=x",
        "GetFileSnapshotList&Offset=x",
    ] {
        assert_eq!(ask(&fake.router(), query).await, malformed(), "{query}");
    }
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn snapshot_is_deleted_by_name_or_uuid() {
    for (query, name, uuid) in [
        ("DeleteSnapshot&User=u&File=/a&Name=s", "s", ""),
        ("DeleteSnapshot&User=u&File=/a&UUID=x", "", "x"),
        ("DeleteSnapshot&User=u&File=/a&Name=&UUID=x", "", "x"),
    ] {
        let fake = Fake::default();
        assert_eq!(ask(&fake.router(), query).await, done(), "{query}");
        let snapshot = SnapshotName { uuid: uuid.to_owned(), volume_path: "/a".to_owned(), name: name.to_owned() };
        let expected = DeleteSnapshotRequest {
            user: "u".to_owned(),
            snapshot: Some(snapshot),
            child_policy: ChildPolicy::Fail.into(),
        };
        assert_eq!(fake.only::<DeleteSnapshotRequest>(), expected, "{query}");
        fake.refuse(Some(refusal("NOT_FOUND")));
        assert_eq!(ask(&fake.router(), query).await, done(), "{query}");
    }
}

#[tokio::test]
async fn name_wins_when_a_snapshot_is_deleted() {
    let fake = Fake::default();
    ask(&fake.router(), "DeleteSnapshot&User=u&File=/a&Name=s&UUID=x").await;
    let named = fake.only::<DeleteSnapshotRequest>().snapshot.unwrap();
    assert_eq!((named.name.as_str(), named.uuid.as_str()), ("s", ""));
}

#[tokio::test]
async fn errors_of_snapshots_have_their_codes() {
    let fake = Fake::default();
    let router = fake.router();
    let create = "CreateSnapshot&User=u&File=/a&Name=s";
    let delete = "DeleteSnapshot&User=u&File=/a&UUID=x";
    let cancel = "CancelSnapshot&User=u&File=/a&UUID=x";
    let by_uuid = "GetFileSnapshotInfo&User=u&File=/a&UUID=x";
    let by_name = "GetFileSnapshotInfo&User=u&File=/a&Name=s";
    let by_file = "GetFileSnapshotInfo&User=u&File=/a";
    for (query, reason, code) in [
        (create, "NOT_FOUND", -8),
        (create, "INVALID_USER", -7),
        (create, "IS_DIRECTORY", -21),
        (create, "BAD_STATE", -9),
        (create, "HAS_ERROR", -13),
        (create, "ALREADY_EXISTS", -19),
        (create, "SNAPSHOT_LIMIT", -18),
        (create, "QUOTA_EXCEEDED", -18),
        (create, "INVALID_PATH", -24),
        (create, "INVALID_ARGUMENT", -24),
        (delete, "INVALID_USER", -7),
        (delete, "NAME_MISMATCH", -11),
        (delete, "SNAPSHOT_IN_USE", -16),
        (delete, "PROTECTED", -16),
        (cancel, "NOT_CANCELLABLE", -14),
        (cancel, "NOT_FOUND", -14),
        (cancel, "INVALID_USER", -7),
        (cancel, "NAME_MISMATCH", -11),
        (by_uuid, "NOT_FOUND", -8),
        (by_uuid, "INVALID_USER", -7),
        (by_uuid, "NAME_MISMATCH", -11),
        (by_name, "NOT_FOUND", -8),
        (by_name, "INVALID_USER", -7),
    ] {
        fake.refuse(Some(refusal(reason)));
        assert_eq!(ask(&router, query).await, coded(code), "{query} {reason}");
    }
    // A volume that cannot be has no snapshots.
    fake.refuse(Some(refusal("INVALID_PATH")));
    assert!(ask(&router, by_file).await.contains("\"Snapshots\" : null"));
}

#[tokio::test]
async fn snapshot_that_could_be_cancelled_is() {
    let fake = Fake::default();
    assert_eq!(ask(&fake.router(), "CancelSnapshot&User=u&File=/a&UUID=x").await, done());
    let named = fake.only::<CancelSnapshotRequest>().snapshot.unwrap();
    assert_eq!((named.volume_path.as_str(), named.uuid.as_str()), ("/a", "x"));
}

#[tokio::test]
async fn one_snapshot_is_shown_by_uuid_or_name() {
    for (query, expected) in [
        ("User=curve&UUID=x", ("x", "", "")),
        ("User=curve&File=/test1&UUID=x&Name=s", ("x", "/test1", "")),
        ("User=curve&File=/test1&Name=s", ("", "/test1", "s")),
    ] {
        for action in ["GetFileSnapshotInfo", "GetFileSnapinfo"] {
            let fake = Fake::default().answering(GetSnapshotResponse { snapshot: Some(snapshot()) });
            assert_eq!(ask(&fake.router(), &format!("{action}&{query}")).await, one(&row(0, 100)), "{query}");
            let message = fake.only::<GetSnapshotRequest>();
            let named = message.snapshot.unwrap();
            assert_eq!((named.uuid.as_str(), named.volume_path.as_str(), named.name.as_str()), expected, "{query}");
            assert_eq!(message.user, "curve");
        }
    }
}

#[tokio::test]
async fn snapshot_is_shown_in_every_state() {
    for (state, expected) in [
        (SnapshotState::Done, (0, 100)),
        (SnapshotState::Pending, (1, 30)),
        (SnapshotState::Deleting, (2, 30)),
        (SnapshotState::ErrorDeleting, (3, 30)),
        (SnapshotState::Canceling, (4, 30)),
        (SnapshotState::Error, (5, 30)),
        (SnapshotState::Unspecified, (5, 30)),
    ] {
        let snapshot = Snapshot { state: state.into(), progress_percent: 30, ..snapshot() };
        let router = Fake::default().answering(GetSnapshotResponse { snapshot: Some(snapshot) }).router();
        let answered = ask(&router, "GetFileSnapshotInfo&User=curve&UUID=x").await;
        assert_eq!(answered, one(&row(expected.0, expected.1)), "{state:?}");
    }
}

#[tokio::test]
async fn snapshots_of_a_volume_are_listed() {
    let answer = ListSnapshotsResponse { snapshots: vec![snapshot()], total_size: 1, ..Default::default() };
    let fake = Fake::default().answering(answer);
    let answered = ask(&fake.router(), "GetFileSnapshotInfo&User=curve&File=/test1&Limit=10&Offset=0").await;
    assert_eq!(answered, one(&row(0, 100)));
    let expected = ListSnapshotsRequest {
        user: "curve".to_owned(),
        volume: Some(VolumeName { path: "/test1".to_owned(), id: 0 }),
        page_size: 10,
        ..ListSnapshotsRequest::default()
    };
    assert_eq!(fake.only::<ListSnapshotsRequest>(), expected);
}

#[tokio::test]
async fn volume_that_nobody_knows_has_no_snapshots() {
    let fake = Fake::refusing(refusal("NOT_FOUND"));
    let query = "GetFileSnapshotInfo&User=curve&File=/unknown";
    assert_eq!(ask(&fake.router(), query).await, list("Snapshots", &[], 0));
    fake.refuse(None);
    assert_eq!(ask(&fake.router(), query).await, list("Snapshots", &[], 0));
}

#[tokio::test]
async fn all_snapshots_are_listed_as_far_as_they_match() {
    for (query, expected) in [
        ("GetFileSnapshotList", ListSnapshotsRequest::default()),
        ("GetFileSnapshotList&User=&File=&UUID=&Status=", ListSnapshotsRequest::default()),
        (
            "GetFileSnapshotList&User=curve&File=/a&UUID=x&Status=2",
            ListSnapshotsRequest {
                owner: "curve".to_owned(),
                volume: Some(VolumeName { path: "/a".to_owned(), id: 0 }),
                uuid: "x".to_owned(),
                states: vec![SnapshotState::Deleting.into()],
                ..ListSnapshotsRequest::default()
            },
        ),
    ] {
        let answer = ListSnapshotsResponse { snapshots: vec![snapshot()], total_size: 1, ..Default::default() };
        let fake = Fake::default().answering(answer);
        assert_eq!(ask(&fake.router(), query).await, one(&row(0, 100)), "{query}");
        assert_eq!(fake.only::<ListSnapshotsRequest>(), ListSnapshotsRequest { page_size: 10, ..expected }, "{query}");
    }
}

#[tokio::test]
async fn status_that_is_none_matches_nothing() {
    let answer = ListSnapshotsResponse { snapshots: vec![snapshot()], total_size: 1, ..Default::default() };
    let fake = Fake::default().answering(answer);
    for status in ["x", "6", "-1", "00", "0x", "%200"] {
        let answered = ask(&fake.router(), &format!("GetFileSnapshotList&Status={status}")).await;
        assert_eq!(answered, list("Snapshots", &[], 0), "{status}");
    }
    for reason in ["INVALID_PATH", "NOT_FOUND"] {
        fake.refuse(Some(refusal(reason)));
        assert_eq!(ask(&fake.router(), "GetFileSnapshotList&File=x").await, list("Snapshots", &[], 0));
    }
    fake.refuse(Some(refusal("INVALID_USER")));
    assert_eq!(ask(&fake.router(), "GetFileSnapshotList&Status=x").await, coded(-7));
    assert_ne!(ask(&fake.router(), "GetFileSnapshotList").await, not_found());
}

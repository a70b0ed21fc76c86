//! `Clone`, `Recover`, `Flatten` and `GetCloneRefStatus`.

use steward_gateway::VolumeOptions;
use steward_proto::volume::v1::clone_snapshot_request::Source;
use steward_proto::volume::v1::*;

use super::fake::Fake;
use super::{UUID, ask, coded, done, done_with, malformed, refusal};

fn operation() -> Operation {
    Operation { uuid: UUID.to_owned(), ..Operation::default() }
}

fn named(volume_path: &str, name: &str) -> Source {
    let (volume_path, name) = (volume_path.to_owned(), name.to_owned());
    Source::Snapshot(SnapshotName { volume_path, name, ..SnapshotName::default() })
}

fn by_uuid(uuid: &str) -> Source {
    Source::Snapshot(SnapshotName { uuid: uuid.to_owned(), ..SnapshotName::default() })
}

fn path(path: &str) -> VolumeName {
    VolumeName { path: path.to_owned(), id: 0 }
}

#[tokio::test]
async fn clone_has_two_forms() {
    let base = CloneSnapshotRequest { user: "u".to_owned(), destination: "/c".to_owned(), ..Default::default() };
    for (query, expected) in [
        ("File=/a&Name=s", CloneSnapshotRequest { source: Some(named("/a", "s")), ..base.clone() }),
        (
            "File=/a&Name=s&Readonly=&Source=x&Lazy=false",
            CloneSnapshotRequest { source: Some(named("/a", "s")), ..base.clone() },
        ),
        (
            "File=/a&Name=s&Readonly=true&Poolset=ssd",
            CloneSnapshotRequest {
                source: Some(named("/a", "s")),
                read_only: true,
                pool: "ssd".to_owned(),
                ..base.clone()
            },
        ),
        ("Source=x&Lazy=true", CloneSnapshotRequest { source: Some(by_uuid("x")), ..base.clone() }),
        ("File=/a&Source=x&Lazy=1", CloneSnapshotRequest { source: Some(by_uuid("x")), ..base.clone() }),
        (
            "Source=x&Lazy=0&Poolset=ssd",
            CloneSnapshotRequest {
                source: Some(by_uuid("x")),
                full_copy: true,
                pool: "ssd".to_owned(),
                ..base.clone()
            },
        ),
        (
            "Source=/a&Lazy=False",
            CloneSnapshotRequest { source: Some(Source::Volume(path("/a"))), full_copy: true, ..base.clone() },
        ),
    ] {
        let fake =
            Fake::default().answering(CloneSnapshotResponse { operation: Some(operation()), ..Default::default() });
        let answered = ask(&fake.router(), &format!("Clone&User=u&Destination=/c&{query}")).await;
        assert_eq!(answered, done_with(UUID), "{query}");
        assert_eq!(fake.only::<CloneSnapshotRequest>(), expected, "{query}");
    }
}

#[tokio::test]
async fn what_is_needed_has_to_be_there() {
    let fake = Fake::default();
    for query in [
        "Clone&Destination=/c&File=/a&Name=s",
        "Clone&User=u&File=/a&Name=s",
        "Clone&User=u&Destination=/c",
        "Clone&User=u&Destination=/c&File=/a",
        "Clone&User=u&Destination=/c&Name=s",
        "Clone&User=u&Destination=/c&Source=x",
        "Clone&User=u&Destination=/c&Lazy=true",
        "Clone&User=u&Destination=/c&Source=x&Lazy=",
        "Clone&User=u&Destination=/c&Source=x&Lazy=maybe",
        "Clone&User=u&Destination=/c&File=/a&Name=s&Readonly=maybe",
        "Clone&User=u&Destination=/c&File=/a&Name=s&Poolset=",
        "Recover&User=u&Source=x&Destination=/a",
        "Recover&User=u&Source=x&Lazy=true",
        "Recover&User=u&Destination=/a&Lazy=true",
        "Recover&Source=x&Destination=/a&Lazy=true",
        "Recover&User=u&Source=x&Destination=/a&Lazy=yes",
        "Flatten&User=u",
        "Flatten&File=/a",
        "Flatten&User=u&File=&UUID=",
        "GetCloneRefStatus&User=u",
        "GetCloneRefStatus&Source=x",
    ] {
        assert_eq!(ask(&fake.router(), query).await, malformed(), "{query}");
    }
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn errors_of_clones_have_their_codes() {
    let fake = Fake::default();
    let router = fake.router_with(VolumeOptions { rollback: true, ..VolumeOptions::default() });
    let clone = "Clone&User=u&Destination=/c&File=/a&Name=s";
    let recover = "Recover&User=u&Source=x&Destination=/a&Lazy=true";
    let flatten = "Flatten&User=u&File=/c";
    let by_task = "Flatten&User=u&UUID=x";
    for (query, reason, code) in [
        (clone, "NOT_FOUND", -8),
        (clone, "BAD_STATE", -9),
        (clone, "ALREADY_EXISTS", -19),
        (clone, "INVALID_USER", -7),
        (clone, "POOL_MISMATCH", -21),
        (clone, "SNAPSHOT_INVALID", -15),
        (clone, "HAS_ERROR", -13),
        (clone, "TASK_LIMIT", -20),
        (clone, "QUOTA_EXCEEDED", -21),
        (clone, "NOT_A_DIRECTORY", -9),
        (clone, "INVALID_PATH", -24),
        (recover, "NOT_FOUND", -8),
        (recover, "INVALID_USER", -7),
        (recover, "SNAPSHOT_INVALID", -15),
        (recover, "NAME_MISMATCH", -15),
        (recover, "VOLUME_IN_USE", -23),
        (recover, "BAD_STATE", -9),
        (flatten, "NOT_FOUND", -8),
        (flatten, "INVALID_USER", -7),
        (flatten, "IS_DIRECTORY", -24),
        (by_task, "NOT_FOUND", -8),
        (by_task, "INVALID_USER", -7),
        ("GetCloneRefStatus&User=u&Source=x", "INVALID_USER", -7),
    ] {
        fake.refuse(Some(refusal(reason)));
        assert_eq!(ask(&router, query).await, coded(code), "{query} {reason}");
    }
}

#[tokio::test]
async fn rollback_is_not_supported_unless_it_is_turned_on() {
    let fake = Fake::default().answering(RollbackVolumeResponse { operation: Some(operation()), volume: None });
    let query = "Recover&User=u&Source=x&Destination=/a&Lazy=true";
    assert_eq!(ask(&fake.router(), query).await, coded(-21));
    assert_eq!(fake.count(), 0);

    let router = fake.router_with(VolumeOptions { rollback: true, ..VolumeOptions::default() });
    assert_eq!(ask(&router, query).await, done_with(UUID));
    let expected = RollbackVolumeRequest {
        user: "u".to_owned(),
        volume: Some(path("/a")),
        snapshot: "x".to_owned(),
        keep_as: String::new(),
    };
    assert_eq!(fake.only::<RollbackVolumeRequest>(), expected);
}

#[tokio::test]
async fn volume_is_flattened_by_its_path() {
    let fake = Fake::default();
    assert_eq!(ask(&fake.router(), "Flatten&User=u&File=/c&UUID=x").await, done());
    let message = fake.only::<FlattenVolumeRequest>();
    assert_eq!((message.user.as_str(), message.volume), ("u", Some(path("/c"))));
}

#[tokio::test]
async fn volume_is_flattened_by_its_task() {
    for (r#type, state, expected, is_flattened) in [
        (OperationType::Clone, OperationState::MetaInstalled, done(), true),
        (OperationType::Clone, OperationState::Succeeded, done(), false),
        (OperationType::Clone, OperationState::Queued, done(), false),
        (OperationType::Clone, OperationState::Running, done(), false),
        (OperationType::Clone, OperationState::Paused, done(), false),
        (OperationType::Clone, OperationState::Retrying, done(), false),
        (OperationType::Rollback, OperationState::Running, done(), false),
        (OperationType::Clone, OperationState::Canceling, coded(-9), false),
        (OperationType::Clone, OperationState::Failed, coded(-9), false),
        (OperationType::Clone, OperationState::Cancelled, coded(-9), false),
        (OperationType::Flatten, OperationState::Running, coded(-8), false),
        (OperationType::DeleteSnapshot, OperationState::Succeeded, coded(-8), false),
    ] {
        let operation = Operation { r#type: r#type.into(), state: state.into(), target_id: 7, ..Operation::default() };
        let fake = Fake::default().answering(GetOperationResponse { operation: Some(operation) });
        assert_eq!(ask(&fake.router(), "Flatten&User=u&UUID=x").await, expected, "{type:?} {state:?}");
        let asked = fake.asked::<GetOperationRequest>();
        assert_eq!(asked, [GetOperationRequest { user: "u".to_owned(), uuid: "x".to_owned() }]);
        let flattened = fake.asked::<FlattenVolumeRequest>();
        assert_eq!(flattened.len(), usize::from(is_flattened), "{type:?} {state:?}");
        if is_flattened {
            assert_eq!(flattened[0].volume, Some(VolumeName { path: String::new(), id: 7 }));
            assert_eq!(flattened[0].user, "u");
        }
    }
}

fn child(id: u64, state: VolumeState) -> Volume {
    Volume { id, path: format!("/c{id}"), owner: "u".to_owned(), state: state.into(), ..Volume::default() }
}

#[tokio::test]
async fn references_are_counted_by_what_clones_need() {
    let references = |status: u64, rows: &str, count: u64| {
        let head = "200 {\n";
        let info = if rows.is_empty() { String::new() } else { format!("\t\"CloneFileInfo\" : {rows},\n") };
        let middle = "\t\"Code\" : \"0\",\n\t\"Message\" : \"Exec success.\",\n";
        format!(
            "{head}{info}{middle}\t\"RefStatus\" : {status},\n\t\"RequestId\" : \"ID\",\n\t\"TotalCount\" : {count}\n}}\n"
        )
    };
    let rows = concat!(
        "\n\t[\n\t\t{\n\t\t\t\"File\" : \"/c3\",\n\t\t\t\"Inode\" : 3,\n\t\t\t\"User\" : \"u\"\n\t\t},\n",
        "\t\t{\n\t\t\t\"File\" : \"/c4\",\n\t\t\t\"Inode\" : 4,\n\t\t\t\"User\" : \"u\"\n\t\t}\n\t]"
    );
    let unflattened = |id| child(id, VolumeState::Unflattened);
    for (volumes, expected) in [
        (vec![], references(0, "", 0)),
        (vec![child(2, VolumeState::Ready)], references(0, "", 0)),
        (vec![unflattened(3), child(2, VolumeState::Flattening)], references(1, "", 0)),
        (vec![child(2, VolumeState::Ready), unflattened(3), unflattened(4)], references(2, rows, 2)),
    ] {
        let fake = Fake::default().answering(ListChildrenResponse { volumes });
        assert_eq!(ask(&fake.router(), "GetCloneRefStatus&User=root&Source=x").await, expected);
        assert_eq!(ask(&fake.router(), "GetCloneRefStatus&User=root&Source=/a").await, expected);
        let [by_snapshot, by_volume] = fake.asked::<ListChildrenRequest>().try_into().unwrap();
        assert_eq!((by_snapshot.snapshot.unwrap().uuid.as_str(), by_snapshot.volume), ("x", None));
        assert_eq!((by_volume.snapshot, by_volume.volume), (None, Some(path("/a"))));
    }
    for reason in ["NOT_FOUND", "INVALID_ARGUMENT", "INVALID_PATH"] {
        let router = Fake::refusing(refusal(reason)).router();
        assert_eq!(ask(&router, "GetCloneRefStatus&User=root&Source=x").await, references(0, "", 0), "{reason}");
    }
}

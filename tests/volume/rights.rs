//! Two tenants on one server: each has what is below its directory, and knows of nothing else.

use steward_proto::volume::v1::clone_snapshot_request::Source;
use steward_proto::volume::v1::{
    ChildPolicy, CloneSnapshotRequest, CloseExportRequest, CreateSnapshotRequest, CreateVolumeRequest,
    DeleteSnapshotRequest, DeleteVolumeRequest, GetSnapshotRequest, GetUsageRequest, GetVolumeRequest,
    ListExportsRequest, ListSnapshotPoliciesRequest, ListSnapshotsRequest, ListVolumesRequest, MakeDirectoryRequest,
    OpenExportRequest, PurgeTrashRequest, RenameVolumeRequest, RestoreVolumeRequest, SnapshotName, VolumeName,
};
use tonic::{Code, Status};

use crate::common::server::{Server, Setup};
use crate::common::users::{basic, by};
use crate::common::{temporary, users};
use crate::query::Reply;
use crate::vocabulary::{GIB, Volumes, done, named, reason, snapshot_named};

const TABLE: &str = r"
admin * / admin
alice volume alice read,write
bob volume bob read,write
carol volume alice read as alice
dave volume bob admin
erin volume alice write as alice
erin volume erin read,write as alice
";

/// A server with the directories of two tenants. The password of everybody is the name.
async fn start() -> Server {
    let home = temporary::directory();
    let config = users::settings(home.path(), &["admin", "alice", "bob", "carol", "dave", "erin"], TABLE);
    let server = Setup::default().config(&config).start_in(home).await;
    for owner in ["alice", "bob"] {
        let (path, owner) = (format!("/{owner}"), owner.to_owned());
        let request = MakeDirectoryRequest { user: "root".to_owned(), path, owner };
        done(Volumes::of(&server).volumes().make_directory(by("admin", request))).await;
    }
    let request = CreateVolumeRequest { path: "/alice/v".to_owned(), size_bytes: GIB, ..Default::default() };
    done(Volumes::of(&server).volumes().create_volume(by("alice", request))).await;
    server
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    (status.code(), reason(&status))
}

fn not_found() -> (Code, String) {
    (Code::NotFound, "NOT_FOUND".to_owned())
}

fn denied() -> (Code, String) {
    (Code::PermissionDenied, "PERMISSION_DENIED".to_owned())
}

async fn paths(server: &Server, user: &str, directory: &str, recursive: bool) -> Vec<String> {
    let request = ListVolumesRequest { directory: directory.to_owned(), recursive, ..Default::default() };
    let listed = done(Volumes::of(server).volumes().list_volumes(by(user, request))).await;
    assert_eq!(listed.total_size, u64::try_from(listed.volumes.len()).expect("few"));
    listed.volumes.into_iter().map(|volume| volume.path).collect()
}

#[tokio::test]
async fn who_may_not_see_a_volume_finds_none() {
    let server = start().await;
    let volumes = Volumes::of(&server);
    let get = |volume: Option<VolumeName>| GetVolumeRequest { volume, ..Default::default() };
    let found = done(volumes.volumes().get_volume(by("alice", get(named("/alice/v"))))).await.volume.expect("a volume");
    let by_id = Some(VolumeName { path: String::new(), id: found.id });
    for hidden in [named("/alice/v"), by_id, named("/alice"), named("/alice/v/below"), named("/alice/none")] {
        let answer = volumes.volumes().get_volume(by("bob", get(hidden.clone()))).await;
        assert_eq!(refused(answer), not_found(), "{hidden:?}");
    }
    assert_eq!(paths(&server, "alice", "/", false).await, ["/alice"]);
    assert_eq!(paths(&server, "alice", "/", true).await, ["/alice/v"]);
    assert_eq!(paths(&server, "bob", "/", true).await, [""; 0]);
    let hidden = ListVolumesRequest { directory: "/alice".to_owned(), ..Default::default() };
    assert_eq!(refused(volumes.volumes().list_volumes(by("bob", hidden)).await), not_found());

    let snapshot = CreateSnapshotRequest { volume: named("/alice/v"), name: "s".to_owned(), ..Default::default() };
    assert_eq!(refused(volumes.snapshots().create_snapshot(by("bob", snapshot.clone())).await), not_found());
    let made = done(volumes.snapshots().create_snapshot(by("alice", snapshot))).await.snapshot.expect("a snapshot");
    let which = Some(SnapshotName { uuid: made.uuid, ..Default::default() });
    let request = GetSnapshotRequest { snapshot: which, ..Default::default() };
    assert_eq!(refused(volumes.snapshots().get_snapshot(by("bob", request.clone())).await), not_found());
    done(volumes.snapshots().get_snapshot(by("alice", request))).await;
}

#[tokio::test]
async fn who_may_see_a_volume_is_told_what_it_may_not_do() {
    let server = start().await;
    let volumes = Volumes::of(&server);
    let delete = |user: &str| DeleteVolumeRequest { user: user.to_owned(), volume: named("/alice/v") };
    assert_eq!(refused(volumes.volumes().delete_volume(by("carol", delete("alice"))).await), denied());
    assert_eq!(refused(volumes.volumes().delete_volume(by("bob", delete("alice"))).await), denied());
    assert_eq!(refused(volumes.volumes().delete_volume(by("alice", delete("root"))).await), denied());
    let rename = |new_path: &str| RenameVolumeRequest {
        volume: named("/alice/v"),
        new_path: new_path.to_owned(),
        ..Default::default()
    };
    for destination in ["/bob/v", "/v", "/alicent"] {
        assert_eq!(refused(volumes.volumes().rename_volume(by("alice", rename(destination))).await), denied());
    }
    let policies = ListSnapshotPoliciesRequest::default();
    assert_eq!(refused(volumes.policies().list_snapshot_policies(by("alice", policies)).await), denied());
    assert_eq!(refused(volumes.volumes().purge_trash(by("alice", PurgeTrashRequest::default())).await), denied());

    done(volumes.volumes().delete_volume(by("alice", delete("")))).await;
    let restore = RestoreVolumeRequest { volume: named("/alice/v"), ..Default::default() };
    assert_eq!(refused(volumes.volumes().restore_volume(by("bob", restore.clone())).await), not_found());
    done(volumes.volumes().restore_volume(by("alice", restore))).await;
    assert_eq!(paths(&server, "alice", "/alice", false).await, ["/alice/v"]);
}

#[tokio::test]
async fn how_to_open_an_export_is_told_to_those_who_may_open_it() {
    let server = start().await;
    let volumes = Volumes::of(&server);
    let open = |read_only: bool| OpenExportRequest {
        user: "alice".to_owned(),
        volume: named("/alice/v"),
        read_only,
        ..Default::default()
    };
    for read_only in [false, true] {
        done(volumes.exports().open_export(by("alice", open(read_only)))).await;
    }
    for (user, writable) in [("alice", true), ("carol", false)] {
        let request = ListExportsRequest { user: "alice".to_owned(), ..Default::default() };
        let listed = done(volumes.exports().list_exports(by(user, request))).await.exports;
        assert_eq!(listed.len(), 2, "{user}");
        for export in listed {
            let is_told = (!export.uuid.is_empty(), !export.uris.is_empty());
            let may_open = export.read_only || writable;
            assert_eq!(is_told, (may_open, may_open), "{user} {export:?}");
        }
    }
}

#[tokio::test]
async fn who_writes_to_a_device_or_clones_a_volume_may_read_it() {
    let server = start().await;
    let volumes = Volumes::of(&server);
    let user = || "alice".to_owned();
    let open = OpenExportRequest { user: user(), volume: named("/alice/v"), ..Default::default() };
    assert_eq!(refused(volumes.exports().open_export(by("erin", open.clone())).await), not_found());
    done(volumes.exports().open_export(by("alice", open))).await;
    let delete = DeleteVolumeRequest { user: user(), volume: named("/alice/v") };
    let exports = ListExportsRequest { user: user(), ..Default::default() };
    let export = done(volumes.exports().list_exports(by("alice", exports))).await.exports.remove(0).uuid;
    done(volumes.exports().close_export(by("alice", CloseExportRequest { user: user(), uuid: export }))).await;
    done(volumes.volumes().delete_volume(by("erin", delete))).await;
    let restore = |new_path: &str| RestoreVolumeRequest {
        user: user(),
        volume: named("/alice/v"),
        new_path: new_path.to_owned(),
    };
    assert_eq!(refused(volumes.volumes().restore_volume(by("erin", restore("/erin/v"))).await), not_found());
    done(volumes.volumes().restore_volume(by("erin", restore("")))).await;
    let clone = CloneSnapshotRequest {
        user: user(),
        source: named("/alice/v").map(Source::Volume),
        destination: "/alice/c".to_owned(),
        ..Default::default()
    };
    assert_eq!(refused(volumes.snapshots().clone_snapshot(by("erin", clone.clone())).await), not_found());
    done(volumes.snapshots().clone_snapshot(by("alice", clone))).await;
    let rename = RenameVolumeRequest { user: user(), volume: named("/alice/v"), new_path: "/erin/v".to_owned() };
    assert_eq!(refused(volumes.volumes().rename_volume(by("erin", rename)).await), not_found());
}

#[tokio::test]
async fn a_volume_that_may_not_be_seen_has_no_snapshots() {
    let server = start().await;
    let volumes = Volumes::of(&server);
    let list = |path: &str, id: u64| {
        let volume = Some(VolumeName { path: path.to_owned(), id });
        ListSnapshotsRequest { volume, ..Default::default() }
    };
    for hidden in [list("/alice/v", 999), list("/alice/v", 0), list("/alice/none", 999), list("/alice/v/below", 0)] {
        let listed = done(volumes.snapshots().list_snapshots(by("bob", hidden))).await;
        assert_eq!((listed.snapshots.len(), listed.total_size), (0, 0));
    }
    let answer = volumes.snapshots().list_snapshots(by("alice", list("/alice/v", 999))).await;
    assert_eq!(refused(answer).1, "NAME_MISMATCH");
}

#[tokio::test]
async fn what_somebody_has_is_told_to_who_may_act_as_that() {
    let server = start().await;
    let volumes = Volumes::of(&server);
    let usage = |user: &str| GetUsageRequest { user: user.to_owned(), ..Default::default() };
    assert_eq!(refused(volumes.policies().get_usage(by("dave", usage("alice"))).await), denied());
    assert_eq!(refused(volumes.policies().get_usage(by("dave", usage("root"))).await), denied());
    for (user, named) in [("alice", ""), ("carol", "alice"), ("dave", ""), ("admin", "alice"), ("admin", "root")] {
        done(volumes.policies().get_usage(by(user, usage(named)))).await;
    }
}

#[tokio::test]
async fn a_snapshot_is_not_deleted_by_flattening_the_clones_of_others() {
    let server = start().await;
    let volumes = Volumes::of(&server);
    let request = CreateSnapshotRequest { volume: named("/alice/v"), name: "s".to_owned(), ..Default::default() };
    done(volumes.snapshots().create_snapshot(by("alice", request))).await;
    let clone = CloneSnapshotRequest {
        user: "root".to_owned(),
        source: Some(Source::Snapshot(snapshot_named("/alice/v@s"))),
        destination: "/bob/c".to_owned(),
        ..Default::default()
    };
    done(volumes.snapshots().clone_snapshot(by("admin", clone))).await;
    let delete = |user: &str| DeleteSnapshotRequest {
        user: user.to_owned(),
        snapshot: Some(snapshot_named("/alice/v@s")),
        child_policy: ChildPolicy::Flatten.into(),
    };
    assert_eq!(refused(volumes.snapshots().delete_snapshot(by("alice", delete(""))).await).1, "SNAPSHOT_IN_USE");
    done(volumes.snapshots().delete_snapshot(by("admin", delete("root")))).await;
}

#[tokio::test]
async fn the_older_api_answers_in_its_codes() {
    let server = start().await;
    let ask = async |user: &str, query: &str| {
        let value = basic(user, user);
        let headers: &[(&str, &str)] = if user.is_empty() { &[] } else { &[("Authorization", &value)] };
        let path = format!("/SnapshotCloneService?Version=1.5&{query}");
        Reply::of(&server.http().request("GET", &path, headers, b"").await).code()
    };
    for (user, query, code) in [
        ("alice", "Action=ListFile&User=alice&File=/alice/v", 0),
        ("bob", "Action=ListFile&User=bob&File=/alice/v", -8),
        ("bob", "Action=ListFile&User=alice&File=/alice/v", -7),
        ("carol", "Action=DeleteFile&User=alice&File=/alice/v", -7),
        ("", "Action=ListFile&User=alice&File=/alice/v", -7),
        ("alice", "Action=DeleteFile&User=alice&File=/alice/v", 0),
    ] {
        assert_eq!(ask(user, query).await, code, "{user} {query}");
    }
}

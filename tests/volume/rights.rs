//! Two tenants on one server: each has what is below its directory, and knows of nothing else.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use steward_proto::volume::v1::{
    CreateSnapshotRequest, CreateVolumeRequest, DeleteVolumeRequest, GetSnapshotRequest, GetVolumeRequest,
    ListSnapshotPoliciesRequest, ListVolumesRequest, MakeDirectoryRequest, PurgeTrashRequest, RenameVolumeRequest,
    RestoreVolumeRequest, SnapshotName, VolumeName,
};
use tonic::{Code, Request, Status};

use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::query::Reply;
use crate::vocabulary::{GIB, Volumes, done, named, reason};

const TABLE: &str = r"
admin * / admin
alice volume alice read,write
bob volume bob read,write
carol volume alice read as alice
";

/// A server with the directories of two tenants. The password of everybody is the name.
async fn start() -> Server {
    let home = temporary::directory();
    let line = |user: &str| {
        let hash = bcrypt::hash_with_result(user, 4).expect("a password can be hashed");
        format!("{user}:{}\n", hash.format_for_version(bcrypt::Version::TwoY))
    };
    let file = home.path().join("htpasswd");
    std::fs::write(&file, ["admin", "alice", "bob", "carol"].map(line).concat()).expect("a file can be written");
    let file = file.display().to_string();
    let config = format!("[auth]\nhtpasswd = {file:?}\nrights = '''{TABLE}'''\n");
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

/// A request of a user who signs in.
fn by<T>(user: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{user}")));
    request.metadata_mut().insert("authorization", value.parse().expect("a header"));
    request
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
async fn the_older_api_answers_in_its_codes() {
    let server = start().await;
    let ask = async |user: &str, query: &str| {
        let value = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{user}")));
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

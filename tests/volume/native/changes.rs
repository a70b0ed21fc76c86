//! Volumes that are made, found, moved, grown and changed.

use std::collections::HashMap;

use prost_types::FieldMask;
use steward_proto::volume::v1::{
    CreateVolumeRequest, ListVolumesRequest, RenameVolumeRequest, ResizeVolumeRequest, UpdateVolumeRequest, VolumeKind,
    VolumeState,
};

use crate::common::server::Server;
use crate::vocabulary::{GIB, MIB, Volumes, done, named, noise, reason, refusal, small};
use crate::wire::{EINVAL, ENOSPC, Nbd};

#[tokio::test]
async fn a_volume_is_what_was_asked_for_and_survives_a_restart() {
    let mut server = Server::start().await;
    let volumes = Volumes::of(&server).by("alice");
    volumes.make_directory("/vm").await;
    let labels = HashMap::from([("app".to_owned(), "db".to_owned())]);
    let request = CreateVolumeRequest {
        user: "alice".to_owned(),
        path: "/vm/disk".to_owned(),
        size_bytes: GIB,
        labels: labels.clone(),
        ..Default::default()
    };
    let made = done(volumes.volumes().create_volume(request.clone())).await;
    assert!(made.created);
    let volume = made.volume.expect("a volume");
    assert_eq!((volume.kind(), volume.state()), (VolumeKind::Volume, VolumeState::Ready));
    assert_eq!((volume.owner.as_str(), volume.size_bytes, volume.seq), ("alice", GIB, 1));
    assert_eq!((volume.pool.as_str(), &volume.labels, volume.progress_percent), ("default", &labels, 100));
    assert!(volume.create_time.is_some() && !volume.etag.is_empty() && volume.id > 1);
    assert!(!done(volumes.volumes().create_volume(request)).await.created, "it is there already");

    server.restart().await;

    let volumes = Volumes::of(&server).by("alice");
    assert_eq!(volumes.get("/vm/disk").await, volume);
    assert_eq!(volumes.paths("/vm").await, ["/vm/disk"]);
    assert_eq!(volumes.get("/vm").await.kind(), VolumeKind::Directory);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_reason() {
    let server = Server::start().await;
    let root = Volumes::of(&server);
    root.create("/taken", GIB).await;
    root.by("bob").make_directory("/bob").await;
    for (path, size_bytes, expected) in [
        ("/a", 0, "SIZE_OUT_OF_RANGE"),
        ("/a", 4096, "SIZE_OUT_OF_RANGE"),
        ("/a", u64::MAX - 4095, "SIZE_OUT_OF_RANGE"),
        ("/a", GIB + 1, "INVALID_ARGUMENT"),
        ("relative", GIB, "INVALID_PATH"),
        ("/a//b", GIB, "INVALID_PATH"),
        ("/../a", GIB, "INVALID_PATH"),
        ("/nowhere/a", GIB, "NOT_FOUND"),
        ("/taken/a", GIB, "NOT_A_DIRECTORY"),
        ("/taken", 2 * GIB, "ALREADY_EXISTS"),
        ("/bob/a", GIB, "INVALID_USER"),
    ] {
        let request =
            CreateVolumeRequest { user: "alice".to_owned(), path: path.to_owned(), size_bytes, ..Default::default() };
        let why = refusal(root.volumes().create_volume(request)).await;
        let is_expected = why == expected
            || (path == "/../a" && why == "NOT_FOUND")
            || (size_bytes == 0 && why == "INVALID_ARGUMENT");
        assert!(is_expected, "{path} {size_bytes}: {why}");
    }
}

#[tokio::test]
async fn a_list_is_filtered_by_directory_label_and_owner() {
    let server = small().start().await;
    let root = Volumes::of(&server);
    let alice = root.by("alice");
    alice.make_directory("/d").await;
    for (number, path) in ["/d/a", "/d/b", "/c"].iter().enumerate() {
        let labels = HashMap::from([("number".to_owned(), number.to_string())]);
        let request = CreateVolumeRequest {
            user: "alice".to_owned(),
            path: (*path).to_owned(),
            size_bytes: MIB,
            labels,
            ..Default::default()
        };
        done(root.volumes().create_volume(request)).await;
    }
    root.create("/r", MIB).await;
    let list = async |request: ListVolumesRequest| {
        let page = done(root.volumes().list_volumes(request)).await;
        (page.volumes.into_iter().map(|volume| volume.path).collect::<Vec<_>>(), page.total_size, page.next_page_token)
    };
    let recursive = ListVolumesRequest { recursive: true, ..Default::default() };
    assert_eq!(list(recursive.clone()).await.0, ["/c", "/d/a", "/d/b", "/r"]);
    let of_alice = ListVolumesRequest { owner: "alice".to_owned(), ..recursive.clone() };
    assert_eq!(list(of_alice).await.0, ["/c", "/d/a", "/d/b"]);
    let labels = HashMap::from([("number".to_owned(), "1".to_owned())]);
    assert_eq!(list(ListVolumesRequest { labels, ..recursive.clone() }).await.0, ["/d/b"]);
    let first = list(ListVolumesRequest { page_size: 3, ..recursive.clone() }).await;
    assert_eq!((first.0.len(), first.1), (3, 4));
    let second = list(ListVolumesRequest { page_size: 3, page_token: first.2, ..recursive.clone() }).await;
    assert_eq!((second.0, second.2), (vec!["/r".to_owned()], String::new()));
    assert_eq!(list(ListVolumesRequest { skip: 2, page_size: 1, ..recursive }).await.0, ["/d/b"]);
}

#[tokio::test]
async fn a_volume_is_renamed_under_its_client() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    let id = volumes.create("/a", MIB).await.id;
    volumes.make_directory("/d").await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(0, &noise(1, 4096)).await;
    volumes.snapshot("/a@s").await;
    let rename = |from: &str, to: &str| RenameVolumeRequest {
        volume: named(from),
        new_path: to.to_owned(),
        ..Default::default()
    };
    done(volumes.volumes().rename_volume(rename("/a", "/d/b"))).await;
    done(volumes.volumes().rename_volume(rename("/d", "/e"))).await;

    assert_eq!(volumes.get("/e/b").await.id, id);
    assert!(volumes.find("/a").await.is_none());
    device.write(4096, &noise(2, 4096)).await;
    assert_eq!(volumes.snapshot_names("/e/b").await, ["s"]);
    assert!(Nbd::open(&server, "/e/b@s").await.read(0, 4096).await == noise(1, 4096));
    assert!(Nbd::open(&server, "/e/b").await.read(4096, 4096).await == noise(2, 4096));
    volumes.create("/x", MIB).await;
    assert_eq!(refusal(volumes.volumes().rename_volume(rename("/e/b", "/x"))).await, "ALREADY_EXISTS");
}

#[tokio::test]
async fn a_volume_grows_and_never_shrinks() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    volumes.snapshot("/a@s").await;
    let mut device = Nbd::open(&server, "/a").await;
    assert_eq!(device.size(), MIB);
    assert_eq!(device.try_write(MIB, &[1; 4096]).await.expect_err("beyond the end").number(), Some(ENOSPC));
    let resize = |size_bytes| ResizeVolumeRequest { volume: named("/a"), size_bytes, ..Default::default() };
    for size in [MIB / 2, MIB + 1] {
        assert!(
            ["SIZE_OUT_OF_RANGE", "INVALID_ARGUMENT"]
                .contains(&refusal(volumes.volumes().resize_volume(resize(size))).await.as_str())
        );
    }

    let grown = done(volumes.volumes().resize_volume(resize(2 * MIB))).await.volume.expect("a volume");

    assert_eq!(grown.size_bytes, 2 * MIB);
    device.write(MIB, &[1; 4096]).await;
    assert_eq!(Nbd::open(&server, "/a").await.size(), 2 * MIB);
    let mut snapshot = Nbd::open(&server, "/a@s").await;
    assert_eq!(snapshot.size(), MIB);
    assert_eq!(snapshot.try_read(MIB, 4096).await.expect_err("beyond the end").number(), Some(EINVAL));
}

#[tokio::test]
async fn a_change_is_made_only_if_nobody_was_quicker() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    let etag = volumes.create("/a", MIB).await.etag;
    let protect = UpdateVolumeRequest {
        volume: named("/a"),
        protected: true,
        update_mask: Some(FieldMask { paths: vec!["protected".to_owned()] }),
        etag,
        ..Default::default()
    };
    assert!(done(volumes.volumes().update_volume(protect.clone())).await.volume.expect("a volume").protected);
    assert_eq!(refusal(volumes.volumes().update_volume(protect)).await, "ETAG_MISMATCH");
    assert_eq!(reason(&volumes.delete("/a").await.expect_err("it is protected")), "PROTECTED");

    let give_away = UpdateVolumeRequest {
        volume: named("/a"),
        owner: "bob".to_owned(),
        update_mask: Some(FieldMask { paths: vec!["owner".to_owned(), "protected".to_owned()] }),
        ..Default::default()
    };
    let by_bob = UpdateVolumeRequest { user: "bob".to_owned(), ..give_away.clone() };
    assert_eq!(refusal(volumes.volumes().update_volume(by_bob)).await, "INVALID_USER");
    done(volumes.volumes().update_volume(give_away)).await;
    assert_eq!(volumes.get("/a").await.owner, "bob");
    volumes.by("bob").delete("/a").await.expect("it is bob's");
}

//! Snapshots and clones.

use std::time::Duration;

use steward_proto::volume::v1::clone_snapshot_request::Source;
use steward_proto::volume::v1::{
    ChildPolicy, CloneSnapshotRequest, CreateGroupSnapshotRequest, CreateSnapshotRequest, DeleteSnapshotRequest,
    DiffSnapshotsRequest, ListChildrenRequest, OperationState, RollbackVolumeRequest, SnapshotState,
    UpdateSnapshotRequest, VolumeState,
};

use crate::common::wait::{eventually, within};
use crate::vocabulary::{MIB, Volumes, done, duration, named, noise, reason, refusal, small, snapshot_named};
use crate::wire::Nbd;

#[tokio::test]
async fn a_snapshot_is_one_moment_under_the_writers() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", 16 * MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(0, &noise(1, MIB)).await;
    let request = CreateSnapshotRequest { volume: named("/a"), name: "s".to_owned(), ..Default::default() };
    let made = done(volumes.snapshots().create_snapshot(request.clone())).await;
    let snapshot = made.snapshot.expect("a snapshot");
    assert!(made.created && made.pause.is_some());
    assert_eq!((snapshot.state(), snapshot.seq, snapshot.size_bytes), (SnapshotState::Done, 1, 16 * MIB));
    device.write(0, &noise(2, MIB)).await;
    device.trim(2 * MIB, 4096).await;
    let again = done(volumes.snapshots().create_snapshot(request)).await;
    assert_eq!((again.created, again.snapshot.expect("a snapshot").uuid), (false, snapshot.uuid));

    assert!(Nbd::open(&server, "/a@s").await.read(0, 1 << 20).await == noise(1, MIB));
    assert!(device.read(0, 1 << 20).await == noise(2, MIB));
}

#[tokio::test]
async fn a_group_is_made_at_one_moment_or_not_at_all() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    for path in ["/a", "/b", "/c"] {
        volumes.create(path, MIB).await;
    }
    volumes.snapshot("/c@g").await;
    let group = |paths: &[&str], name: &str| CreateGroupSnapshotRequest {
        volumes: paths.iter().filter_map(|path| named(path)).collect(),
        name: name.to_owned(),
        ..Default::default()
    };
    assert_eq!(refusal(volumes.snapshots().create_group_snapshot(group(&["/a", "/c"], "g"))).await, "ALREADY_EXISTS",);
    assert!(volumes.snapshot_names("/a").await.is_empty(), "all or none");

    // A writer puts the same number first into one volume and then into the other.
    let (mut a, mut b) = (Nbd::open(&server, "/a").await, Nbd::open(&server, "/b").await);
    let writer = tokio::spawn(async move {
        for number in 1..=2000_u64 {
            let block = number.to_le_bytes().repeat(512);
            a.write(0, &block).await;
            b.write(0, &block).await;
        }
    });
    let mut moments = Vec::new();
    for number in 0..20 {
        let made = done(volumes.snapshots().create_group_snapshot(group(&["/a", "/b"], &format!("m{number}")))).await;
        assert!(made.snapshots.iter().all(|snapshot| snapshot.group == made.group), "{made:?}");
        let mut seen = Vec::new();
        for path in ["/a", "/b"] {
            let block = Nbd::open(&server, &format!("{path}@m{number}")).await.read(0, 8).await;
            seen.push(u64::from_le_bytes(block.try_into().expect("8 bytes")));
        }
        assert!(seen[0] == seen[1] || seen[0] == seen[1] + 1, "one moment: {seen:?}");
        moments.push(seen[0]);
    }
    writer.await.expect("the writer goes on");
    assert!(moments.is_sorted(), "{moments:?}");
}

#[tokio::test]
async fn a_clone_may_be_longer_and_start_from_a_volume_as_it_is() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(0, &noise(1, MIB)).await;
    let request = CloneSnapshotRequest {
        source: Some(Source::Volume(named("/a").expect("a name"))),
        destination: "/b".to_owned(),
        size_bytes: 2 * MIB,
        ..Default::default()
    };
    let made = done(volumes.snapshots().clone_snapshot(request.clone())).await;
    let (volume, operation) = (made.volume.expect("a volume"), made.operation.expect("an operation"));
    assert!(made.created);
    assert_eq!((volume.size_bytes, volume.state()), (2 * MIB, VolumeState::Unflattened));
    assert_eq!(operation.state(), OperationState::MetaInstalled);
    let again = done(volumes.snapshots().clone_snapshot(request)).await;
    assert_eq!((again.created, again.operation.expect("an operation").uuid), (false, operation.uuid));

    device.write(0, &noise(2, MIB)).await;
    let mut clone = Nbd::open(&server, "/b").await;
    assert!(clone.read(0, 1 << 20).await == noise(1, MIB));
    assert!(clone.read(MIB, 1 << 20).await == vec![0; 1 << 20], "what is beyond the source is empty");
    clone.write(MIB, &noise(3, 4096)).await;
    assert!(volumes.snapshot_names("/a").await.is_empty(), "nobody named a snapshot");
    volumes.flatten("/b").await;
    assert!(clone.read(0, 1 << 20).await == noise(1, MIB));
    assert!(clone.read(MIB, 4096).await == noise(3, 4096));
    device.close().await;
    volumes.delete("/a").await.expect("nobody needs it");
}

#[tokio::test]
async fn a_snapshot_that_clones_need_goes_when_they_need_it_no_more() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    for (name, policy) in [("defer", ChildPolicy::Defer), ("flatten", ChildPolicy::Flatten)] {
        let (path, clone) = (format!("/{name}"), format!("/{name}-clone"));
        let snapshot = format!("{path}@s");
        volumes.create(&path, MIB).await;
        let mut device = Nbd::open(&server, &path).await;
        device.write(0, &noise(1, MIB)).await;
        volumes.snapshot(&snapshot).await;
        device.write(0, &noise(2, MIB)).await;
        volumes.clone_of(&snapshot, &clone).await;
        let children = ListChildrenRequest { snapshot: Some(snapshot_named(&snapshot)), ..Default::default() };
        let children = done(volumes.snapshots().list_children(children)).await.volumes;
        assert_eq!(children.iter().map(|child| child.path.as_str()).collect::<Vec<_>>(), [clone.as_str()]);
        let delete = |policy: ChildPolicy| DeleteSnapshotRequest {
            snapshot: Some(snapshot_named(&snapshot)),
            child_policy: policy.into(),
            ..Default::default()
        };
        assert_eq!(refusal(volumes.snapshots().delete_snapshot(delete(ChildPolicy::Fail))).await, "SNAPSHOT_IN_USE");

        done(volumes.snapshots().delete_snapshot(delete(policy))).await;
        if policy == ChildPolicy::Defer {
            volumes.flatten(&clone).await;
        }

        eventually("the snapshot is gone", async || volumes.find_snapshot(&snapshot).await.is_none().then_some(()))
            .await;
        assert!(Nbd::open(&server, &clone).await.read(0, 1 << 20).await == noise(1, MIB), "{name}");
        assert!(device.read(0, 1 << 20).await == noise(2, MIB), "{name}");
    }
}

#[tokio::test]
async fn a_protected_snapshot_stays_and_an_expired_one_goes() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    let request = CreateSnapshotRequest {
        volume: named("/a"),
        name: "short".to_owned(),
        ttl: Some(duration(Duration::from_secs(1))),
        ..Default::default()
    };
    done(volumes.snapshots().create_snapshot(request)).await;
    let request =
        CreateSnapshotRequest { volume: named("/a"), name: "kept".to_owned(), protected: true, ..Default::default() };
    done(volumes.snapshots().create_snapshot(request)).await;
    let delete = DeleteSnapshotRequest { snapshot: Some(snapshot_named("/a@kept")), ..Default::default() };
    assert_eq!(refusal(volumes.snapshots().delete_snapshot(delete)).await, "PROTECTED");

    eventually("the short one is gone", async || (volumes.snapshot_names("/a").await == ["kept"]).then_some(())).await;
    let release = UpdateSnapshotRequest {
        snapshot: Some(snapshot_named("/a@kept")),
        protected: Some(false),
        ..Default::default()
    };
    done(volumes.snapshots().update_snapshot(release)).await;
    volumes.delete_snapshot("/a@kept").await;
}

#[tokio::test]
async fn what_differs_between_two_snapshots_is_told_block_by_block() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", 16 * MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(0, &noise(1, 64 * 1024)).await;
    volumes.snapshot("/a@s").await;
    device.write(32 * 1024, &noise(2, 8192)).await;
    device.zero(4096, 4096).await;
    device.write(8 * MIB, &noise(3, 4096)).await;
    volumes.snapshot("/a@t").await;
    let diff = async |base: &str| {
        let snapshot = Some(snapshot_named("/a@t"));
        let request = DiffSnapshotsRequest { snapshot, base: base.to_owned(), ..Default::default() };
        let mut stream = done(volumes.snapshots().diff_snapshots(request)).await;
        let mut extents = Vec::new();
        while let Some(part) = within("a part", stream.message()).await.expect("it goes on") {
            assert_eq!(part.size_bytes, 16 * MIB);
            extents.extend(part.extents.iter().map(|extent| (extent.offset, extent.length, extent.is_zero)));
        }
        extents
    };
    assert_eq!(diff("s").await, [(4096, 4096, true), (32_768, 8192, false), (8 * MIB, 4096, false)]);
    assert_eq!(diff("").await, [(0, 4096, false), (4096, 4096, true), (8192, 57_344, false), (8 * MIB, 4096, false)],);
    assert_eq!(diff("t").await, []);
}

#[tokio::test]
async fn a_volume_goes_back_to_a_snapshot_at_once() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(0, &noise(1, MIB)).await;
    volumes.snapshot("/a@s").await;
    device.write(0, &noise(2, MIB)).await;
    let request = RollbackVolumeRequest {
        volume: named("/a"),
        snapshot: "s".to_owned(),
        keep_as: "before".to_owned(),
        ..Default::default()
    };
    assert_eq!(refusal(volumes.volumes().rollback_volume(request.clone())).await, "VOLUME_IN_USE");
    device.close().await;
    eventually("nobody has it open", async || (volumes.get("/a").await.open_sessions == 0).then_some(())).await;

    let rolled = done(volumes.volumes().rollback_volume(request)).await.operation.expect("an operation");

    assert_eq!(rolled.state(), OperationState::Succeeded);
    assert!(Nbd::open(&server, "/a").await.read(0, 1 << 20).await == noise(1, MIB));
    assert!(Nbd::open(&server, "/a@before").await.read(0, 1 << 20).await == noise(2, MIB));
    let other = volumes.try_snapshot("/nowhere@s").await.expect_err("there is no such volume");
    assert_eq!(reason(&other), "NOT_FOUND");
}

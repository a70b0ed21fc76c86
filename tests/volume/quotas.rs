//! What users may have, and what they have.

use steward_proto::volume::v1::{
    CreateSnapshotRequest, CreateVolumeRequest, GetUsageRequest, Quota, ResizeVolumeRequest, SetQuotaRequest, Usage,
};

use crate::common::wait::eventually;
use crate::vocabulary::{MIB, Volumes, done, named, noise, refusal, small};
use crate::wire::Nbd;

async fn set(volumes: &Volumes, quota: Quota) {
    let request = SetQuotaRequest { user: String::new(), quota: Some(quota) };
    done(volumes.policies().set_quota(request)).await;
}

async fn usage(volumes: &Volumes, of_user: &str) -> Usage {
    let request = GetUsageRequest { user: String::new(), of_user: of_user.to_owned() };
    let answer = done(volumes.policies().get_usage(request)).await;
    assert!(answer.free_bytes > 0);
    answer.usages.into_iter().find(|usage| usage.user == of_user).expect("that user")
}

#[tokio::test]
async fn nobody_gets_more_than_the_quota() {
    let server = small().start().await;
    let root = Volumes::of(&server);
    let alice = root.by("alice");
    set(&root, Quota { user: "alice".to_owned(), max_bytes: 10 * MIB, max_volumes: 2, max_snapshots: 1 }).await;
    alice.create("/a", 6 * MIB).await;
    let create = |path: &str, size_bytes| CreateVolumeRequest {
        user: "alice".to_owned(),
        path: path.to_owned(),
        size_bytes,
        ..Default::default()
    };
    assert_eq!(refusal(alice.volumes().create_volume(create("/b", 5 * MIB))).await, "QUOTA_EXCEEDED");
    alice.create("/b", 3 * MIB).await;
    let resize = |size_bytes| ResizeVolumeRequest { user: "alice".to_owned(), volume: named("/b"), size_bytes };
    assert_eq!(refusal(alice.volumes().resize_volume(resize(5 * MIB))).await, "QUOTA_EXCEEDED");
    done(alice.volumes().resize_volume(resize(4 * MIB))).await;
    assert_eq!(refusal(alice.volumes().create_volume(create("/c", 4096))).await, "QUOTA_EXCEEDED");
    alice.snapshot("/a@s").await;
    let second = CreateSnapshotRequest {
        user: "alice".to_owned(),
        volume: named("/a"),
        name: "t".to_owned(),
        ..Default::default()
    };
    assert_eq!(refusal(alice.snapshots().create_snapshot(second)).await, "QUOTA_EXCEEDED");
    let clone = alice.clone_request("/a@s", "/c");
    assert_eq!(refusal(alice.snapshots().clone_snapshot(clone)).await, "QUOTA_EXCEEDED");
    let by_alice = SetQuotaRequest {
        user: "alice".to_owned(),
        quota: Some(Quota { user: "alice".to_owned(), ..Default::default() }),
    };
    assert_eq!(refusal(alice.policies().set_quota(by_alice)).await, "INVALID_USER");
    root.create("/of-root", 100 * MIB).await;

    let used = usage(&root, "alice").await;
    assert_eq!((used.logical_bytes, used.volumes, used.snapshots), (10 * MIB, 2, 1));
    assert_eq!(used.quota.expect("a quota").max_volumes, 2);
    alice.delete_snapshot("/a@s").await;
    eventually("the snapshot counts no more", async || (usage(&root, "alice").await.snapshots == 0).then_some(()))
        .await;
}

#[tokio::test]
async fn space_is_told_by_who_needs_it() {
    let server = small().start().await;
    let root = Volumes::of(&server);
    root.create("/a", 16 * MIB).await;
    let mut device = Nbd::open(&server, "/a").await;
    device.write_through(0, &noise(1, 4 * MIB)).await;
    let alone = root.usage("/a").await;
    assert!((4 * MIB..6 * MIB).contains(&alone.unique_bytes), "{alone:?}");
    assert_eq!(alone.shared_bytes, 0);
    root.snapshot("/a@s").await;
    root.clone_of("/a@s", "/b").await;
    let (parent, clone) = (root.usage("/a").await, root.usage("/b").await);
    assert!(parent.shared_bytes >= 4 * MIB && clone.shared_bytes >= 4 * MIB, "{parent:?} {clone:?}");
    assert!(clone.unique_bytes < MIB, "{clone:?}");
    device.close().await;

    root.flatten("/b").await;

    let (parent, clone) = (root.usage("/a").await, root.usage("/b").await);
    assert!(clone.unique_bytes >= 4 * MIB && clone.shared_bytes == 0, "{clone:?}");
    assert_eq!(parent.shared_bytes, 0, "{parent:?}");
}

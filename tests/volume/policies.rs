//! Snapshots by a schedule.

use std::time::Duration;

use prost_types::FieldMask;
use steward_proto::volume::v1::{
    DeleteSnapshotPolicyRequest, GetSnapshotPolicyRequest, ListSnapshotPoliciesRequest, Retention,
    SetSnapshotPolicyRequest, SnapshotPolicy, UpdateVolumeRequest, WatchSnapshotsRequest,
};

use crate::vocabulary::{MIB, Volumes, done, named, refusal, small};

fn policy(name: &str, schedule: &str) -> SetSnapshotPolicyRequest {
    let policy = SnapshotPolicy {
        name: name.to_owned(),
        schedule: schedule.to_owned(),
        retention: Some(Retention { last: 3, ..Default::default() }),
        ..Default::default()
    };
    SetSnapshotPolicyRequest { user: String::new(), policy: Some(policy) }
}

#[tokio::test]
async fn a_policy_is_set_shown_replaced_and_removed() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    let set = async |request| done(volumes.policies().set_snapshot_policy(request)).await.policy.expect("a policy");
    let made = set(policy("nightly", "30 2 * * *")).await;
    assert!(made.next_time.is_some() && made.last_time.is_none(), "{made:?}");
    set(policy("hourly", "@hourly")).await;
    let list = ListSnapshotPoliciesRequest::default();
    let listed = done(volumes.policies().list_snapshot_policies(list)).await;
    let names: Vec<_> = listed.policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!((names, listed.total_size), (vec!["hourly", "nightly"], 2));
    set(policy("nightly", "0 3 * * *")).await;
    let get = GetSnapshotPolicyRequest { user: String::new(), name: "nightly".to_owned() };
    let shown = done(volumes.policies().get_snapshot_policy(get.clone())).await.policy.expect("a policy");
    assert_eq!((shown.schedule.as_str(), shown.retention.expect("rules").last), ("0 3 * * *", 3));
    for wrong in [policy("", "@daily"), policy("a/b", "@daily"), policy("a", "sometimes"), policy("a", "61 * * * *")] {
        assert_eq!(refusal(volumes.policies().set_snapshot_policy(wrong)).await, "INVALID_ARGUMENT");
    }
    let delete = DeleteSnapshotPolicyRequest { user: String::new(), name: "nightly".to_owned() };
    for _ in 0..2 {
        done(volumes.policies().delete_snapshot_policy(delete.clone())).await;
    }
    assert_eq!(refusal(volumes.policies().get_snapshot_policy(get)).await, "NOT_FOUND");
}

/// A schedule has minutes, so this takes one.
#[tokio::test]
async fn a_volume_that_follows_a_policy_gets_its_snapshots() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    done(volumes.policies().set_snapshot_policy(policy("often", "* * * * *"))).await;
    volumes.create("/a", MIB).await;
    let follow = UpdateVolumeRequest {
        volume: named("/a"),
        policies: vec!["often".to_owned()],
        update_mask: Some(FieldMask { paths: vec!["policies".to_owned()] }),
        ..Default::default()
    };
    done(volumes.volumes().update_volume(follow)).await;
    let request = WatchSnapshotsRequest { user: String::new(), revision: 0 };
    let mut stream = done(volumes.snapshots().watch_snapshots(request)).await;

    let made = tokio::time::timeout(Duration::from_secs(100), async {
        loop {
            let event = stream.message().await.expect("the watch goes on").expect("no end").event.expect("an event");
            if let Some(snapshot) = event.snapshot {
                return snapshot;
            }
        }
    });

    let made = made.await.expect("a minute has passed");
    assert_eq!((made.volume_path.as_str(), made.policy.as_str()), ("/a", "often"));
    let get = GetSnapshotPolicyRequest { user: String::new(), name: "often".to_owned() };
    let shown = done(volumes.policies().get_snapshot_policy(get)).await.policy.expect("a policy");
    assert_eq!(shown.last_error, "");
}

//! Snapshots, policies and quotas.

use super::*;

#[tokio::test]
async fn one_snapshot_or_a_group_of_one_moment() {
    let fake = Fake::with(with_disks);
    let words = ["snapshot", "create", "/vm/a@x", "--ttl", "7d", "--label", "a=b"];
    assert_eq!(said(&fake, &words).await, "created /vm/a@x; writes waited 3ms\n");
    let request = fake.asked::<pb::CreateSnapshotRequest>().remove(0);
    assert_eq!((request.name.as_str(), request.ttl.unwrap().seconds), ("x", 7 * 24 * 3600));
    let text = said(&fake, &["snapshot", "create", "/vm/a@y", "/vm/b@y", "--protect"]).await;
    assert_eq!(text, "created /vm/a@y\ncreated /vm/b@y\n");
    assert_eq!(fake.asked::<pb::UpdateSnapshotRequest>().len(), 2);
    let error = failure(&fake, &["snapshot", "create", "/vm/a@y", "/vm/b@z"]).await;
    assert_eq!(error, "the snapshots of one moment have one name, and /vm/b@z is not called \"y\"");
    assert!(is_refused(&["snapshot", "create", "/vm/a"]));
}

#[tokio::test]
async fn snapshots_are_listed_with_what_they_need() {
    let fake = Fake::with(|state| {
        with_disks(state);
        state.snapshots = vec![snapshot(&state.volumes[0], 1, "x"), snapshot(&state.volumes[0], 2, "y")];
        state.snapshots.push(snapshot(&state.volumes[1], 1, "z"));
        state.snapshots[1].protected = true;
        state.snapshots[1].unique_bytes = 4096;
    });
    let text = said(&fake, &["snapshot", "list", "/vm/a", "--usage"]).await;
    let expected = "\
SNAPSHOT  SIZE      ALONE    CREATED  EXPIRES  CLONES  OWNER  STATE
/vm/a@x   10.0 GiB  0 B      -        never    0       alice  done
/vm/a@y   10.0 GiB  4.0 KiB  -        never    0       alice  done, protected
";
    assert_eq!(text, expected);
    assert_eq!(objects_of(&said(&fake, &["snapshot", "list", "--json"]).await).len(), 3);
}

#[tokio::test]
async fn a_snapshot_with_clones_is_deleted_only_as_it_is_said() {
    let fake = Fake::with(|state| {
        with_disks(state);
        state.snapshots = vec![snapshot(&state.volumes[0], 1, "x")];
        state.snapshots[0].child_count = 1;
    });
    let (exit, text) = run(&fake, &["snapshot", "delete", "/vm/a@x"]).await;
    assert_eq!((exit, text.as_str()), (Exit::ERROR, ""));
    assert_eq!(said(&fake, &["snapshot", "delete", "/vm/a@x", "--defer"]).await, "deleted /vm/a@x\n");
    said(&fake, &["snapshot", "delete", "/vm/a@x", "--flatten-clones"]).await;
    let policies: Vec<_> =
        fake.asked::<pb::DeleteSnapshotRequest>().iter().map(pb::DeleteSnapshotRequest::child_policy).collect();
    assert_eq!(policies, [pb::ChildPolicy::Fail, pb::ChildPolicy::Defer, pb::ChildPolicy::Flatten]);
    assert!(is_refused(&["snapshot", "delete", "/vm/a@x", "--defer", "--flatten-clones"]));
}

#[tokio::test]
async fn a_difference_is_a_table_with_its_sum() {
    let extent = |offset, length, is_zero| pb::Extent { offset, length, is_zero };
    let fake = Fake::with(|state| {
        let size_bytes = 1 << 30;
        state.diff = vec![
            pb::DiffSnapshotsResponse { extents: vec![extent(0, 4096, false), extent(8192, 8192, true)], size_bytes },
            pb::DiffSnapshotsResponse { extents: vec![extent(1 << 20, 4096, false)], size_bytes },
        ];
    });
    let expected = "\
OFFSET  LENGTH  READS AS
0       4096    data
8192    8192    zeros
1048576  4096    data
3 extents: 8.0 KiB of data and 8.0 KiB of zeros, of 1.0 GiB
";
    assert_eq!(said(&fake, &["snapshot", "diff", "/vm/a@x", "/vm/a@y"]).await, expected);
    assert_eq!(objects_of(&said(&fake, &["snapshot", "diff", "/vm/a@x", "--json"]).await).len(), 3);
    let requests = fake.asked::<pb::DiffSnapshotsRequest>();
    assert_eq!((requests[0].base.as_str(), requests[0].snapshot.as_ref().unwrap().name.as_str()), ("x", "y"));
    assert_eq!((requests[1].base.as_str(), requests[1].snapshot.as_ref().unwrap().name.as_str()), ("", "x"));
    let error = failure(&fake, &["snapshot", "diff", "/vm/a@x", "/vm/b@y"]).await;
    assert_eq!(error, "/vm/a@x and /vm/b@y are snapshots of different volumes");
}

#[tokio::test]
async fn a_policy_is_set_paused_followed_and_deleted() {
    let fake = Fake::with(with_disks);
    let words = ["policy", "set", "hourly", "--schedule", "0 * * * *", "--keep-last", "3", "--keep-daily", "7"];
    let text = said(&fake, &words).await;
    assert!(text.starts_with("hourly\n  schedule       0 * * * * (UTC)\n  keeps          last 3, daily 7\n"), "{text}");
    assert!(said(&fake, &["policy", "pause", "hourly"]).await.contains("  state          paused\n"));
    assert_eq!(
        said(&fake, &["policy", "list"]).await,
        "NAME    SCHEDULE         KEEPS            NEXT  OWNER  STATE\n\
         hourly  0 * * * * (UTC)  last 3, daily 7  -     -      paused\n"
    );
    assert_eq!(said(&fake, &["policy", "attach", "hourly", "/vm/a"]).await, "/vm/a follows hourly\n");
    said(&fake, &["policy", "attach", "hourly", "/vm/a"]).await;
    assert_eq!(fake.look(|state| state.volumes[0].policies.clone()), ["hourly"]);
    assert_eq!(said(&fake, &["policy", "detach", "hourly", "/vm/a"]).await, "/vm/a follows no policy\n");
    assert_eq!(said(&fake, &["policy", "delete", "hourly"]).await, "hourly: deleted; its snapshots stay\n");
    assert_eq!(failure(&fake, &["policy", "show", "hourly"]).await, "refused by the fake (NOT_FOUND)");
}

#[tokio::test]
async fn what_is_not_given_of_a_quota_stays() {
    let fake = Fake::with(|state| {
        let quota = pb::Quota { user: "alice".to_owned(), max_bytes: 1 << 40, max_volumes: 7, max_snapshots: 0 };
        let user = "alice".to_owned();
        state.usages =
            vec![pb::Usage { user, volumes: 3, logical_bytes: 1 << 30, quota: Some(quota), ..Default::default() }];
    });
    let text = said(&fake, &["quota", "set", "alice", "--bytes", "none", "--snapshots", "9"]).await;
    assert_eq!(text, "alice\n  bytes          none\n  volumes        7\n  snapshots      9\n");
    assert_eq!(
        said(&fake, &["usage"]).await,
        "USER   SIZE                VOLUMES  SNAPSHOTS  USED  ALONE  SHARED\n\
         alice  1.0 GiB of 1.0 TiB  3 of 7   0          0 B   0 B    0 B\n\
         1.0 GiB are free\n"
    );
    let told = objects_of(&said(&fake, &["usage", "alice", "--json"]).await);
    assert_eq!((&told[0]["quota"]["max_volumes"], &told[1]["free_bytes"]), (&7.into(), &(1_u64 << 30).into()));
    assert!(is_refused(&["quota", "set", "alice"]) && is_refused(&["quota", "set", "alice", "--bytes", "0"]));
}

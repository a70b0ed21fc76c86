//! Clones, flattening, operations and scrubs.

use super::*;

fn operation(state: pb::OperationState, percent: u32) -> pb::Operation {
    pb::Operation {
        uuid: "u-1".to_owned(),
        r#type: pb::OperationType::Flatten.into(),
        state: state.into(),
        target: "/vm/b".to_owned(),
        progress_percent: percent,
        ..pb::Operation::default()
    }
}

fn that_goes(states: &[pb::OperationState]) -> Fake {
    Fake::with(|state| {
        with_disks(state);
        state.operation = states.iter().map(|state| operation(*state, 50)).collect();
    })
}

#[tokio::test]
async fn a_flatten_is_waited_for_across_lost_connections() {
    let fake = that_goes(&[pb::OperationState::Queued, pb::OperationState::Running, pb::OperationState::Succeeded]);
    assert_eq!(said(&fake, &["flatten", "/vm/b", "--limit", "100M/s"]).await, "flatten of /vm/b: succeeded\n");
    assert_eq!(fake.asked::<pb::FlattenVolumeRequest>()[0].bytes_per_second, 100 << 20);
    assert_eq!(fake.asked::<pb::WatchOperationRequest>().len(), 3);
}

#[tokio::test]
async fn a_flatten_that_fails_says_why() {
    let failed = pb::Operation { error_message: "disk\tfull".to_owned(), ..operation(pb::OperationState::Failed, 50) };
    let fake = Fake::with(|state| {
        with_disks(state);
        state.operation = vec![operation(pb::OperationState::Running, 1), failed];
    });
    let (exit, text) = run(&fake, &["flatten", "/vm/b", "--wait"]).await;
    assert_eq!((exit, text.as_str()), (Exit::FOUND, "flatten of /vm/b: failed: disk\\tfull\n"));
}

#[tokio::test]
async fn a_flatten_need_not_be_waited_for() {
    let fake = that_goes(&[pb::OperationState::Running]);
    let text = said(&fake, &["flatten", "/vm/b", "--detach"]).await;
    assert_eq!(text, "/vm/b is being flattened (operation u-1)\n");
    let fake = that_goes(&[]);
    assert_eq!(said(&fake, &["flatten", "/vm/b"]).await, "/vm/b has all its bytes already\n");
    assert!(is_refused(&["flatten", "/vm/b", "--wait", "--detach"]));
}

#[tokio::test]
async fn a_clone_comes_from_a_snapshot_or_from_a_volume() {
    use pb::clone_snapshot_request::Source;

    let fake = that_goes(&[pb::OperationState::MetaInstalled]);
    let text = said(&fake, &["clone", "/vm/a@x", "/vm/b", "--wait"]).await;
    assert_eq!(text, "/vm/b is a clone of /vm/a@x (operation u-1)\nflatten of /vm/b: usable\n");
    said(&fake, &["clone", "/vm/a", "/vm/b", "--full-copy", "--size", "20G", "--json"]).await;
    let requests = fake.asked::<pb::CloneSnapshotRequest>();
    assert!(matches!(&requests[0].source, Some(Source::Snapshot(name)) if name.name == "x"), "{requests:?}");
    assert!(matches!(&requests[1].source, Some(Source::Volume(name)) if name.path == "/vm/a"), "{requests:?}");
    assert!(requests[1].full_copy && requests[1].size_bytes == 20 << 30);
}

#[tokio::test]
async fn a_rollback_says_what_was_kept() {
    let fake = that_goes(&[pb::OperationState::Succeeded]);
    let text = said(&fake, &["rollback", "/vm/a@x", "--keep-as", "y"]).await;
    assert_eq!(text, "/vm/a reads as /vm/a@x now; what it held is @y\n");
    assert!(is_refused(&["rollback", "/vm/a"]));
}

#[tokio::test]
async fn operations_are_listed_steered_and_waited_for() {
    let fake = that_goes(&[pb::OperationState::Running]);
    assert_eq!(
        said(&fake, &["operation", "list", "--live"]).await,
        "UUID  DOES     TARGET  OWNER  BEGAN  STATE\nu-1   flatten  /vm/b   -      -      running 50%\n"
    );
    assert_eq!(fake.asked::<pb::ListOperationsRequest>()[0].states.len(), 6);
    for words in
        [&["show", "u-1"][..], &["cancel", "u-1"], &["pause", "u-1"], &["resume", "u-1"], &["speed", "u-1", "max"]]
    {
        let text = said(&fake, &[&["operation"], words].concat()).await;
        assert!(text.starts_with("u-1\n  does           flatten\n  state          running 50%\n"), "{text}");
    }
    let (exit, text) = run(&fake, &["operation", "wait", "u-1", "--timeout", "10ms"]).await;
    assert_eq!((exit, text.as_str()), (Exit::NOT_IN_TIME, ""));
    let fake = that_goes(&[pb::OperationState::Cancelled]);
    assert_eq!(run(&fake, &["operation", "wait", "u-1"]).await.0, Exit::FOUND);
}

fn finding(is_repaired: bool) -> pb::ScrubFinding {
    pb::ScrubFinding { kind: "map_lost".to_owned(), layer: 7, offset: 8192, length: 4096, is_repaired }
}

fn that_finds(findings: Vec<pb::ScrubFinding>, more_findings: u64) -> Fake {
    Fake::with(|state| {
        let step = pb::ScrubVolumesResponse { layers_done: 1, layers_total: 2, findings, ..Default::default() };
        let end =
            pb::ScrubVolumesResponse { layers_done: 2, blocks: 9, more_findings, done: true, ..Default::default() };
        state.scrub = vec![step, end];
    })
}

#[tokio::test]
async fn a_scrub_fails_only_if_something_stays_wrong() {
    let (exit, text) = run(&that_finds(vec![], 0), &["scrub"]).await;
    assert_eq!((exit, text.as_str()), (Exit::DONE, "2 layers, 9 blocks, 0 verified: nothing is wrong\n"));
    let (exit, text) = run(&that_finds(vec![finding(true)], 0), &["scrub", "--repair"]).await;
    let expected =
        "map_lost           layer 7, 4096 bytes at 8192; mended\n2 layers, 9 blocks, 0 verified: 1 finding, mended\n";
    assert_eq!((exit, text.as_str()), (Exit::DONE, expected));
    assert_eq!(run(&that_finds(vec![finding(true), finding(false)], 0), &["scrub"]).await.0, Exit::FOUND);
    let (exit, text) = run(&that_finds(vec![], 5), &["scrub", "--json"]).await;
    assert_eq!((exit, &objects_of(&text)[0]["more_findings"]), (Exit::FOUND, &5.into()));
}

#[tokio::test]
async fn a_scrub_that_breaks_off_is_a_failure() {
    let fake = Fake::with(|state| state.scrub = vec![pb::ScrubVolumesResponse::default()]);
    assert!(failure(&fake, &["scrub"]).await.contains("it ended before all was checked"));
    assert_eq!(failure(&fake, &["scrub", "/vm/a"]).await, "refused by the fake (NOT_FOUND)");
}

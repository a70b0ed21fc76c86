//! What has changed, and what was deleted.

use super::*;

#[tokio::test]
async fn a_run_for_changes_copies_what_has_changed_and_deletes_what_is_gone() {
    let world = World::new();
    let digest = world.artifacts.image("app", &[b"layer"]);
    for tag in ["keep", "drop", "old"] {
        world.artifacts.tag("app", tag, &digest);
    }
    let deleting = || with(|_, settings| settings.propagate_deletes = true);
    run_once(&world, deleting()).await;
    let from_stamp = world.artifacts.stamp();
    world.artifacts.untag("app", "drop");
    world.artifacts.tag("app", "new", &digest);
    let signature = world.artifacts.referrer("app", &digest, b"signature");
    let to_stamp = world.artifacts.stamp();
    let later = world.artifacts.image("app", &[b"a later layer"]);
    world.artifacts.tag("app", "later", &later);

    let run = run_for(&world, deleting(), Cause::Change { from_stamp, to_stamp }).await;

    assert!(is_success(&run), "{run:?}");
    let there: Vec<String> = world.target.state.lock().tags.keys().map(|(_, tag)| tag.clone()).collect();
    assert_eq!(there, ["keep", "new", "old"]);
    assert!(world.outcomes(&run.id).await.contains(&named("docker://app", "drop", Deleted)));
    assert_eq!(world.target.count(&signature), 1);
}

#[tokio::test]
async fn changes_that_are_no_longer_kept_make_a_run_for_everything() {
    let world = World::new();
    let digest = world.artifacts.image("app", &[b"layer"]);
    world.artifacts.tag("app", "1", &digest);
    world.artifacts.compact();
    let run = run_for(&world, config(), Cause::Change { from_stamp: 1, to_stamp: 9 }).await;
    assert!(is_success(&run));
    assert_eq!(world.target.digest("app", "1"), Some(digest));
}

#[tokio::test]
async fn more_deletions_than_the_task_allows_delete_nothing() {
    let world = World::new();
    for name in ["/a", "/b", "/c", "/d"] {
        world.artifacts.file(name, name.as_bytes());
    }
    let guarded = || {
        with(|_, settings| {
            settings.propagate_deletes = true;
            settings.max_deletes = 2;
        })
    };
    run_once(&world, guarded()).await;
    let from_stamp = world.artifacts.stamp();
    for name in ["/a", "/b", "/c"] {
        world.artifacts.remove_file(name);
    }

    for cause in [Cause::Manual, Cause::Change { from_stamp, to_stamp: world.artifacts.stamp() }] {
        let run = run_for(&world, guarded(), cause).await;
        assert_eq!(run.status, i32::from(ExecutionStatus::Failed));
        assert!(run.error_reason.contains("nothing was deleted"), "{}", run.error_reason);
        assert_eq!(world.target.state.lock().files.len(), 4);
    }
    world.artifacts.file("/a", b"/a");
    let run = run_for(&world, guarded(), Cause::Manual).await;
    assert!(is_success(&run), "{run:?}");
    assert_eq!(world.target.state.lock().files.keys().collect::<Vec<_>>(), ["/a", "/d"]);
}

#[tokio::test]
async fn what_others_have_put_there_is_never_deleted() {
    let world = World::new();
    let digest = world.artifacts.image("app", &[b"layer"]);
    world.artifacts.tag("app", "ours", &digest);
    world.artifacts.tag("app", "stays", &digest);
    world.target.put_tag("app", "foreign", "sha256:foreign");
    let deleting = || with(|_, settings| settings.propagate_deletes = true);
    run_once(&world, deleting()).await;
    world.target.put_tag("app", "ours", "sha256:changed by others");
    world.artifacts.untag("app", "ours");

    let run = run_once(&world, deleting()).await;

    assert!(is_success(&run), "{run:?}");
    assert_eq!(world.target.digest("app", "ours").as_deref(), Some("sha256:changed by others"));
    assert_eq!(world.target.digest("app", "foreign").as_deref(), Some("sha256:foreign"));
}

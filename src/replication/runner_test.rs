use steward_proto::replication::v1 as api;
use steward_proto::replication::v1::ArtifactOutcome::{Copied, Deleted, Failed, SkippedConflict, Unchanged};

use super::*;
use crate::replication::queue::Cause;
use crate::replication::testing::{Fault, World, config, is_success, package, path, with};

fn named(artifact: &str, version: &str, outcome: api::ArtifactOutcome) -> (String, String, api::ArtifactOutcome) {
    (artifact.to_owned(), version.to_owned(), outcome)
}

/// Runs a task until that has ended, by a server of its own.
async fn run_once(world: &World, config: api::Config) -> ExecutionRecord {
    run_for(world, config, Cause::Manual).await
}

async fn run_for(world: &World, config: api::Config, cause: Cause) -> ExecutionRecord {
    let before = world.store.get(&keys::task("p", "r", "task")).await.unwrap();
    let task = match before {
        None => world.task(config).await,
        Some(_) => crate::replication::queue::TaskId {
            project: config.project,
            repository: config.repository,
            name: config.name,
        },
    };
    let server = world.server().start();
    let id = server.queue(&task, cause).await;
    let ended = world.wait_for_end(&id).await;
    server.stop().await;
    ended
}

fn all_images(world: &World) -> (String, String) {
    let artifacts = &world.artifacts;
    let amd = artifacts.image("app", &[b"base layer", b"amd layer"]);
    let arm = artifacts.image("app", &[b"base layer", b"arm layer"]);
    let index = artifacts.index("app", &[&amd, &arm]);
    artifacts.tag("app", "1.0", &index);
    let signature = artifacts.referrer("app", &arm, b"a signature");
    (index, signature)
}

#[tokio::test]
async fn a_whole_repository_is_copied_with_indexes_and_referrers_and_a_second_run_sends_nothing() {
    let world = World::new();
    let (index, signature) = all_images(&world);
    let single = world.artifacts.image("tools/jq", &[b"jq layer"]);
    world.artifacts.tag("tools/jq", "latest", &single);

    let first = run_once(&world, config()).await;

    assert!(is_success(&first), "{first:?}");
    assert_eq!(world.target.digest("app", "1.0"), Some(index));
    assert_eq!(world.target.digest("tools/jq", "latest"), Some(single));
    assert_eq!(world.target.count(&signature), 1);
    assert_eq!((first.success, first.failed, first.total_bytes), (2, 0, Some(first.replicated_bytes)));
    let brought = world.target.state.lock().log.len();

    let second = run_once(&world, config()).await;

    assert!(is_success(&second), "{second:?}");
    let outcomes = world.outcomes(&second.id).await;
    assert_eq!(outcomes, [named("docker://app", "1.0", Unchanged), named("docker://tools/jq", "latest", Unchanged)]);
    assert_eq!((world.target.state.lock().log.len(), second.sent_bytes), (brought, 0));
}

#[tokio::test]
async fn a_signature_that_comes_later_goes_along_with_an_image_that_is_there() {
    let world = World::new();
    let (index, _) = all_images(&world);
    run_once(&world, config()).await;
    let late = world.artifacts.referrer("app", &index, b"a late signature");

    let second = run_once(&world, config()).await;

    assert_eq!(world.outcomes(&second.id).await, [named("docker://app", "1.0", Copied)]);
    assert_eq!((world.target.count(&late), world.target.count(&index)), (1, 1));
}

#[tokio::test]
async fn a_version_gets_the_names_that_the_task_gives_it() {
    let world = World::new();
    let digest = world.artifacts.image("app", &[b"layer"]);
    world.artifacts.tag("app", "1.1", &digest);
    let mut constraint = package("docker://app", &["1.1"]);
    constraint.target_versions = vec!["1.2".into(), "1.3".into()];

    let run = run_once(&world, with(|config, _| config.package_constraints = vec![constraint])).await;

    assert!(is_success(&run));
    assert_eq!(world.target.digest("app", "1.1"), None);
    assert_eq!(world.target.digest("app", "1.3"), Some(digest));
    assert_eq!(world.results(&run.id).await[0].target_versions, ["1.2", "1.3"]);
}

#[tokio::test]
async fn a_layer_of_two_images_is_sent_once() {
    let world = World::new();
    for image in ["a", "b", "c"] {
        let digest = world.artifacts.image(image, &[b"a shared layer", image.as_bytes()]);
        world.artifacts.tag(image, "1", &digest);
    }
    let shared = world.artifacts.blob(b"a shared layer");

    let run = run_once(&world, config()).await;

    assert!(is_success(&run));
    assert_eq!((world.target.count(&shared), world.target.count(&format!("mount {shared}"))), (1, 2));
    assert_eq!(world.results(&run.id).await.iter().map(|result| result.mounted).sum::<u32>(), 2);
}

#[tokio::test]
async fn what_the_target_has_otherwise_stays_is_replaced_or_fails() {
    use api::ConflictStrategy::{FastFail, Overwrite, Skip};
    for (strategy, outcome, succeeds) in
        [(Skip, SkippedConflict, true), (Overwrite, Copied, true), (FastFail, Failed, false)]
    {
        let world = World::new();
        let digest = world.artifacts.image("app", &[b"layer"]);
        world.artifacts.tag("app", "1", &digest);
        world.target.put_tag("app", "1", "sha256:other");

        let run = run_once(&world, with(|_, settings| settings.set_conflict_strategy(strategy))).await;

        assert_eq!(world.outcomes(&run.id).await, [named("docker://app", "1", outcome)], "{strategy:?}");
        assert_eq!((is_success(&run), run.conflict), (succeeds, 1), "{strategy:?}");
        assert_eq!(world.target.digest("app", "1") == Some(digest), strategy == Overwrite);
    }
}

#[tokio::test]
async fn constraints_let_through_what_they_name() {
    let newest = || api::PackageConstraint { newest: 2, ..package("docker://app", &[]) };
    let range = || api::PackageConstraint { semver_range: ">=1.1, <3".into(), ..package("docker://app", &[]) };
    let regex = || api::PackageConstraint { version_regex: vec!["v?2.*".into()], ..package("docker://app", &[]) };
    for (constraint, expected) in [
        (newest(), &["app 1.0.0", "app edge"][..]),
        (range(), &["app 1.1.0", "app 2.0.0"]),
        (regex(), &["app 2.0.0"]),
        (api::PackageConstraint { newest: 1, ..range() }, &["app 1.1.0"]),
        (package("docker://app", &["2.0.0"]), &["app 2.0.0"]),
        (package("docker://team/*", &[]), &["team/a 1", "team/b 1"]),
        (api::PackageConstraint { package_regex: vec![".*/b".into()], ..package("", &[]) }, &["team/b 1"]),
    ] {
        let world = World::new();
        let digest = world.artifacts.image("app", &[b"layer"]);
        for tag in ["2.0.0", "1.1.0", "1.0.0", "edge"] {
            world.artifacts.tag("app", tag, &digest);
        }
        for image in ["team/a", "team/b"] {
            let digest = world.artifacts.image(image, &[b"layer"]);
            world.artifacts.tag(image, "1", &digest);
        }

        let run = run_once(&world, with(|config, _| config.package_constraints = vec![constraint.clone()])).await;

        assert!(is_success(&run), "{constraint:?}: {run:?}");
        let there: Vec<String> =
            world.target.state.lock().tags.keys().map(|(image, tag)| format!("{image} {tag}")).collect();
        assert_eq!(there, expected, "{constraint:?}");
    }
}

#[tokio::test]
async fn what_is_asked_for_and_not_there_fails_by_name_and_the_rest_is_copied() {
    let world = World::new();
    let digest = world.artifacts.image("app", &[b"layer"]);
    world.artifacts.tag("app", "1", &digest);
    let constraints =
        vec![package("docker://app", &["1", "2"]), package("docker://none", &["1"]), package("docker://no/*", &[])];

    let run = run_once(&world, with(|config, _| config.package_constraints = constraints)).await;

    let mut expected = [
        ("docker://app", "1", Copied),
        ("docker://app", "2", Failed),
        ("docker://no/*", "", Failed),
        ("docker://none", "1", Failed),
    ]
    .map(|(artifact, version, outcome)| named(artifact, version, outcome));
    expected.sort();
    assert_eq!(world.outcomes(&run.id).await, expected);
    assert_eq!(run.status, i32::from(ExecutionStatus::Failed));
    assert!(run.error_reason.starts_with("3 of 4 artifacts failed"), "{}", run.error_reason);
    let errors: Vec<String> = world.results(&run.id).await.into_iter().map(|result| result.error).collect();
    assert!(
        errors.iter().any(|error| error.contains(r#"version "2" of package "docker://app" not found"#)),
        "{errors:?}"
    );
}

#[tokio::test]
async fn a_run_that_is_to_end_with_the_first_failure_does() {
    let world = World::new();
    let digest = world.artifacts.image("app", &[b"layer"]);
    for number in 0..20 {
        world.artifacts.tag("app", &format!("v{number:02}"), &digest);
    }
    world.target.state.lock().faults.push_back(Fault::Refused);

    let run = run_once(
        &world,
        with(|_, settings| {
            settings.set_error_strategy(api::ErrorStrategy::FastFail);
            settings.parallelism = 1;
        }),
    )
    .await;

    assert_eq!(run.status, i32::from(ExecutionStatus::Failed));
    assert!(run.error_reason.contains("it is not wanted"), "{}", run.error_reason);
    assert_eq!(world.results(&run.id).await.len(), 1);
}

#[tokio::test]
async fn an_artifact_is_tried_again_when_the_target_could_not_be_reached_and_not_when_it_refuses() {
    for (fault, outcome) in [(Fault::Unreachable, Copied), (Fault::Refused, Failed), (Fault::Mismatch, Failed)] {
        let world = World::new();
        let digest = world.artifacts.image("app", &[b"layer"]);
        world.artifacts.tag("app", "1", &digest);
        world.target.state.lock().faults.push_back(fault.clone());
        let run = run_once(&world, config()).await;
        assert_eq!(world.outcomes(&run.id).await, [named("docker://app", "1", outcome)], "{fault:?}");
    }
}

#[tokio::test]
async fn a_run_whose_target_is_down_fails_and_another_one_takes_up_the_same_changes() {
    let world = World::new();
    let digest = world.artifacts.image("app", &[b"layer"]);
    world.artifacts.tag("app", "1", &digest);
    world.target.state.lock().is_down = true;
    let to_stamp = world.artifacts.stamp();

    let run = run_for(&world, config(), Cause::Change { from_stamp: 0, to_stamp }).await;

    assert_eq!((run.status, &*run.error_reason), (ExecutionStatus::Failed.into(), "nobody answers"));
    let task = crate::replication::queue::TaskId { project: "p".into(), repository: "r".into(), name: "task".into() };
    let head = world.head(&task).await;
    assert_eq!((head.failures, &*head.active_execution), (1, ""));

    world.target.state.lock().is_down = false;
    let run = run_for(&world, config(), Cause::Change { from_stamp: 0, to_stamp }).await;
    let head = world.head(&task).await;
    assert!(is_success(&run));
    assert_eq!((head.change_stamp, head.failures, head.last_success_us), (to_stamp, 0, run.end_us));
}

#[tokio::test]
async fn a_repository_without_anything_is_a_failure_and_no_success() {
    let world = World::new();
    let run = run_once(&world, config()).await;
    assert_eq!((run.status, &*run.error_reason), (ExecutionStatus::Failed.into(), "there is nothing to copy"));
}

#[tokio::test]
async fn files_are_copied_by_path_folder_and_glob_and_each_once() {
    let world = World::new();
    for file in ["/a.txt", "/dir/b.txt", "/dir/sub/c.txt", "/dir/sub/d.bin", "/other/e.txt"] {
        world.artifacts.file(file, file.as_bytes());
    }
    let paths = vec![path("/a.txt"), path("/dir/**/*.txt"), path("/dir/sub"), path("/none"), path("/dir/*.exe")];

    let run = run_once(&world, with(|config, _| config.path_constraints = paths)).await;

    let mut expected = [
        ("/a.txt", Copied),
        ("/dir/b.txt", Copied),
        ("/dir/sub/c.txt", Copied),
        ("/dir/sub/d.bin", Copied),
        ("/none", Failed),
        ("/dir/*.exe", Failed),
    ]
    .map(|(path, outcome)| named(path, "", outcome));
    expected.sort();
    assert_eq!(world.outcomes(&run.id).await, expected);
    assert_eq!((run.file_success, run.file_failed), (4, 2));
}

#[tokio::test]
async fn a_file_that_the_target_has_is_compared_by_its_digest() {
    let world = World::new();
    world.artifacts.file("/same", b"same");
    world.artifacts.file("/other", b"other");
    run_once(&world, config()).await;
    world.artifacts.file("/other", b"changed");

    let skipped = run_once(&world, config()).await;

    assert_eq!(
        world.outcomes(&skipped.id).await,
        [named("/other", "", SkippedConflict), named("/same", "", Unchanged)]
    );
}

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

/// A server that is at work in a world of its own, which ends without a word.
fn crash_when(world: &World, task: &crate::replication::queue::TaskId, is_there: impl Fn(&World) -> bool) -> String {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let id = runtime.block_on(async {
        let server = world.server().start();
        let id = server.queue(task, Cause::Manual).await;
        while !is_there(world) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        id
    });
    runtime.shutdown_timeout(Duration::from_secs(10));
    id
}

#[test]
fn a_run_that_was_broken_off_goes_on_and_does_nothing_again_that_was_done() {
    let world = World::new();
    let small = world.artifacts.image("a", &[b"small"]);
    world.artifacts.tag("a", "1", &small);
    let layer = vec![7_u8; 400];
    let big = world.artifacts.image("b", &[&layer]);
    world.artifacts.tag("b", "1", &big);
    let one = with(|_, settings| settings.parallelism = 1);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let task = runtime.block_on(world.task(one));
    let _gate = world.target.gate(60);

    let id = crash_when(&world, &task, |world| world.target.state.lock().chunks == 60);
    let before = runtime.block_on(world.run(&id));
    assert_eq!(before.status, i32::from(ExecutionStatus::Running));
    world.target.open();

    let ended = runtime.block_on(async {
        let server = world.server().start();
        let ended = world.wait_for_end(&id).await;
        server.stop().await;
        ended
    });

    assert!(is_success(&ended), "{ended:?}");
    assert_eq!((ended.attempt, ended.success), (2, 2));
    assert_eq!((world.target.count(&small), world.target.count(&big)), (1, 1));
    assert_eq!(world.target.digest("b", "1"), Some(big));
    let results = runtime.block_on(world.results(&id));
    assert_eq!(results.len(), 2);
    let resumed = results.iter().find(|result| result.artifact == "docker://b").unwrap();
    assert!(resumed.resumed_from > 0, "{resumed:?}");
    // What was acknowledged before the crash is not sent again: at most one chunk is.
    assert!(resumed.sent + resumed.resumed_from <= resumed.size, "{resumed:?}");
}

#[tokio::test]
async fn a_run_that_another_server_takes_over_stops_at_once() {
    let world = World::new();
    let digest = world.artifacts.image("a", &[&[1_u8; 100]]);
    world.artifacts.tag("a", "1", &digest);
    let task = world.task(config()).await;
    let gate = world.target.gate(3);
    let first = world.server().start();
    let id = first.queue(&task, Cause::Manual).await;
    world.wait(&id, |record| record.attempt == 1).await;
    while gate.available_permits() > 0 {
        tokio::task::yield_now().await;
    }

    let second = world.server().start();
    // A new server looks at what is active as it starts.
    world.wait(&id, |record| record.attempt == 2).await;
    while first.replication.runs.of(&id).is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.target.open();

    let ended = world.wait_for_end(&id).await;
    assert!(is_success(&ended), "{ended:?}");
    assert_eq!(world.results(&id).await.len(), 1);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_run_is_stopped_in_the_middle_of_a_blob_and_the_next_one_does_what_is_left() {
    let world = World::new();
    let small = world.artifacts.image("a", &[b"small"]);
    world.artifacts.tag("a", "1", &small);
    let big = world.artifacts.image("b", &[&[5_u8; 400]]);
    world.artifacts.tag("b", "1", &big);
    let task = world.task(with(|_, settings| settings.parallelism = 1)).await;
    let _gate = world.target.gate(60);
    let server = world.server().start();
    let id = server.queue(&task, Cause::Manual).await;
    world.wait(&id, |record| record.results == 1).await;

    let asked = server.replication.cancel_execution(&id).await.unwrap();
    assert!(asked.cancel);
    let ended = world.wait_for_end(&id).await;

    assert_eq!(ended.status, i32::from(ExecutionStatus::Cancelled));
    assert_eq!(world.target.digest("b", "1"), None);
    let again = server.replication.cancel_execution(&id).await;
    assert!(matches!(again, Err(Error::ExecutionEnded(_))), "{again:?}");

    world.target.open();
    let resumed = server.replication.resume_execution(&id).await.unwrap();
    let ended = world.wait_for_end(&resumed.id).await;
    assert!(is_success(&ended), "{ended:?}");
    assert_eq!(world.outcomes(&resumed.id).await, [named("docker://b", "1", Copied)]);
    let refused = server.replication.resume_execution(&resumed.id).await;
    assert!(matches!(refused, Err(Error::NotResumable(_))), "{refused:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_task_that_is_deleted_while_it_runs_leaves_no_run_behind() {
    let world = World::new();
    for (image, layer) in [("a", &[4_u8; 4][..]), ("b", &[5_u8; 400])] {
        let digest = world.artifacts.image(image, &[layer]);
        world.artifacts.tag(image, "1", &digest);
    }
    let task = world.task(with(|_, settings| settings.parallelism = 1)).await;
    let _gate = world.target.gate(60);
    let server = world.server().start();
    let id = server.queue(&task, Cause::Manual).await;
    world.wait(&id, |record| record.results == 1).await;

    server.replication.delete_task(&task).await.unwrap();

    let ended = world.wait_for_end(&id).await;
    assert_eq!(ended.status, i32::from(ExecutionStatus::Cancelled));
    assert!(world.store.get(&keys::execution_active(&id)).await.unwrap().is_none());
    let again = server.replication.queue_execution(&task, Cause::Manual).await;
    assert!(matches!(again, Err(Error::TaskNotFound(_))), "{again:?}");
    world.target.open();
    server.stop().await;
    assert_eq!(world.target.digest("b", "1"), None);
}

#[tokio::test]
async fn a_run_that_waits_is_stopped_at_once_and_its_task_may_run_again() {
    let world = World::new();
    let task = world.task(config()).await;
    let server = world.server();
    let id = server.queue(&task, Cause::Manual).await;
    let busy = server.replication.queue_execution(&task, Cause::Manual).await;
    assert!(matches!(busy, Err(Error::TaskRunning(_))), "{busy:?}");

    let cancelled = server.replication.cancel_execution(&id).await.unwrap();

    assert_eq!(cancelled.status, i32::from(ExecutionStatus::Cancelled));
    assert_eq!(world.head(&task).await.active_execution, "");
    server.queue(&task, Cause::Manual).await;
    server.stop().await;
}

#[tokio::test]
async fn a_run_goes_on_after_the_server_was_stopped() {
    let world = World::new();
    let digest = world.artifacts.image("a", &[&[5_u8; 400]]);
    world.artifacts.tag("a", "1", &digest);
    let task = world.task(config()).await;
    let gate = world.target.gate(10);
    let server = world.server().start();
    let id = server.queue(&task, Cause::Manual).await;
    while gate.available_permits() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    server.stop().await;

    assert_eq!(world.run(&id).await.status, i32::from(ExecutionStatus::Running));
    assert!(world.results(&id).await.is_empty());
    world.target.open();
    let server = world.server().start();
    let ended = world.wait_for_end(&id).await;
    assert!(is_success(&ended), "{ended:?}");
    server.stop().await;
}

#[tokio::test]
async fn an_image_that_is_deleted_while_it_is_copied_is_never_half_there() {
    let world = World::new();
    let layer = vec![3_u8; 200];
    let digest = world.artifacts.image("a", &[&layer]);
    world.artifacts.tag("a", "1", &digest);
    let other = world.artifacts.image("b", &[b"other"]);
    world.artifacts.tag("b", "1", &other);
    let task = world.task(with(|_, settings| settings.parallelism = 1)).await;
    let gate = world.target.gate(20);
    let server = world.server().start();
    let id = server.queue(&task, Cause::Manual).await;
    while gate.available_permits() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    world.artifacts.untag("a", "1");
    world.artifacts.forget_blob(&world.artifacts.blob(&layer));
    world.target.open();

    let ended = world.wait_for_end(&id).await;
    assert_eq!(world.target.digest("a", "1"), None);
    assert_eq!(world.target.count(&digest), 0);
    // It is not there any more, so nobody misses it.
    assert!(is_success(&ended), "{ended:?}");
    assert_eq!(world.outcomes(&id).await, [named("docker://b", "1", Copied)]);
    server.stop().await;
}

#[tokio::test]
async fn runs_of_one_task_follow_each_other_and_others_run_beside_them_up_to_the_limit() {
    let world = World::new();
    let digest = world.artifacts.image("a", &[b"layer"]);
    world.artifacts.tag("a", "1", &digest);
    let task = world.task(config()).await;
    let settings = crate::replication::Settings { running_executions: 1, ..crate::replication::Settings::default() };
    let server = world.server_with(settings).start();
    for _ in 0..3 {
        let id = server.queue(&task, Cause::Manual).await;
        assert!(is_success(&world.wait_for_end(&id).await));
    }
    assert_eq!(world.target.count(&digest), 1);
    server.stop().await;
}

//! Tasks in real time are queued when something changes that concerns them.

use std::time::Duration;

use steward_proto::artifact::v1::ArtifactChange;
use steward_proto::replication::v1::{self as api, Config, ExecutionStatus};

use super::world::{World, config, id, package, path};
use crate::engine::Engine as _;
use crate::replication::queue::Cause;
use crate::replication::realtime_engine::RealtimeEngine;

async fn look(world: &World) {
    let engines =
        [RealtimeEngine::by_changes(world.replication.clone()), RealtimeEngine::by_tasks(world.replication.clone())];
    for mut engine in engines {
        engine.activate().await.expect("looked");
    }
}

/// Something changes now. Answers its stamp.
fn change(world: &World, change: ArtifactChange) -> u64 {
    world.pass(1);
    let stamp = world.now_us();
    let stamp_of_change = i64::try_from(stamp).unwrap();
    world.artifacts.changes.lock().push(ArtifactChange { stamp: stamp_of_change, ..change });
    *world.artifacts.settled.lock() = Some(stamp_of_change);
    stamp
}

fn tag() -> ArtifactChange {
    let (image, tag, digest) = ("nginx".to_owned(), "1.1".to_owned(), "sha256:0".to_owned());
    ArtifactChange { image, tag, digest, ..ArtifactChange::default() }
}

fn file() -> ArtifactChange {
    ArtifactChange { path: "/a.txt".to_owned(), digest: "sha256:0".to_owned(), ..ArtifactChange::default() }
}

fn gone() -> ArtifactChange {
    ArtifactChange { digest: String::new(), before: "sha256:0".to_owned(), ..tag() }
}

/// The ranges of all runs so far.
async fn ranges(world: &World) -> Vec<(u64, u64)> {
    world.executions().await.iter().map(|run| (run.from_stamp, run.to_stamp)).collect()
}

#[tokio::test]
async fn a_change_makes_a_run_and_what_was_there_before_makes_none() {
    let world = World::new();
    change(&world, tag());
    world.pass(1);
    *world.artifacts.settled.lock() = None;
    world.create_one(config("mirror")).await.unwrap();
    let created = world.now_us();
    look(&world).await;
    assert!(ranges(&world).await.is_empty());
    let first = change(&world, tag());
    look(&world).await;
    assert_eq!(ranges(&world).await, [(created, first)]);
    assert_eq!(world.executions().await[0].trigger, "change");
    let second = change(&world, tag());
    let third = change(&world, file());
    look(&world).await;
    assert_eq!(ranges(&world).await.len(), 1, "it still runs");
    world.end_run("mirror", ExecutionStatus::Success).await;
    look(&world).await;
    assert_eq!(ranges(&world).await, [(created, first), (first, third)]);
    assert!(second > first);
    world.end_run("mirror", ExecutionStatus::Success).await;
    look(&world).await;
    assert_eq!(ranges(&world).await.len(), 2);
}

#[tokio::test]
async fn changes_of_another_kind_make_no_run() {
    let world = World::new();
    let deletes = Some(api::Settings { propagate_deletes: true, ..api::Settings::default() });
    let packages = vec![package("docker://nginx", &[], &[])];
    let tasks = [
        Config { package_constraints: packages.clone(), ..config("tags") },
        Config { path_constraints: vec![path("/a.txt")], ..config("files") },
        Config { package_constraints: packages, settings: deletes, ..config("deletes") },
    ];
    for (what, concerned) in [(tag(), vec!["deletes", "tags"]), (file(), vec!["files"]), (gone(), vec!["deletes"])] {
        let world = World::new();
        world.create(tasks.to_vec()).await.unwrap();
        change(&world, what);
        look(&world).await;
        let mut names: Vec<_> = world.executions().await.into_iter().map(|run| run.name).collect();
        names.sort();
        assert_eq!(names, concerned);
    }
    drop(world);
}

#[tokio::test]
async fn a_task_that_is_off_catches_up_when_it_is_on_again() {
    let world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    let created = world.now_us();
    world.replication.toggle_task(&id("mirror"), Some(false)).await.unwrap();
    change(&world, tag());
    let last = change(&world, tag());
    look(&world).await;
    assert!(ranges(&world).await.is_empty());
    world.replication.toggle_task(&id("mirror"), Some(true)).await.unwrap();
    look(&world).await;
    assert_eq!(ranges(&world).await, [(created, last)]);
}

#[tokio::test]
async fn changes_that_are_no_longer_kept_make_a_run_for_everything() {
    let world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    change(&world, tag());
    world.pass(1);
    forget_changes(&world);
    look(&world).await;
    assert_eq!(ranges(&world).await, [(0, 0)]);
    world.end_run("mirror", ExecutionStatus::Success).await;
    look(&world).await;
    assert_eq!(ranges(&world).await.len(), 1, "it was for all up to now");
}

/// Time goes by, until the changes so far are no longer kept.
fn forget_changes(world: &World) {
    *world.artifacts.compacted.lock() = i64::try_from(world.now_us()).unwrap();
    world.pass(3600);
    *world.artifacts.settled.lock() = None;
}

#[tokio::test]
async fn a_change_that_comes_up_while_a_run_for_everything_is_queued_makes_one_more() {
    let world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    change(&world, tag());
    forget_changes(&world);
    // Its stamp was given before the run was queued, and it is committed when the run has read everything.
    let pending = world.now_us() - 5;
    *world.artifacts.settled.lock() = Some(i64::try_from(pending - 1).unwrap());
    look(&world).await;
    assert_eq!(ranges(&world).await, [(0, 0)]);
    let stamp = i64::try_from(pending).unwrap();
    world.artifacts.changes.lock().push(ArtifactChange { stamp, ..tag() });
    *world.artifacts.settled.lock() = None;
    world.end_run("mirror", ExecutionStatus::Success).await;
    world.pass(1);
    look(&world).await;
    assert_eq!(ranges(&world).await, [(0, 0), (pending - 1, world.now_us())]);
}

#[tokio::test]
async fn a_run_for_everything_waits_for_a_change_that_has_been_on_its_way_for_long() {
    let world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    change(&world, tag());
    forget_changes(&world);
    *world.artifacts.settled.lock() = Some(i64::try_from(world.now_us() - 600_000_000).unwrap());
    let mut engine = RealtimeEngine::by_changes(world.replication.clone());
    let soon = world.replication.clock.now().plus(Duration::from_secs(1));
    assert!(engine.activate().await.unwrap().expect("another look") < soon);
    assert!(ranges(&world).await.is_empty());
    *world.artifacts.settled.lock() = None;
    look(&world).await;
    assert_eq!(ranges(&world).await, [(0, 0)]);
}

#[tokio::test]
async fn a_change_that_is_committed_after_a_task_was_created_is_one_for_it() {
    let world = World::new();
    let pending = world.now_us() - 5;
    *world.artifacts.settled.lock() = Some(i64::try_from(pending - 1).unwrap());
    world.create_one(config("mirror")).await.unwrap();
    world.artifacts.changes.lock().push(ArtifactChange { stamp: i64::try_from(pending).unwrap(), ..tag() });
    *world.artifacts.settled.lock() = None;
    look(&world).await;
    assert_eq!(ranges(&world).await, [(pending - 1, world.now_us())]);
}

#[tokio::test]
async fn while_stamps_are_ahead_of_the_clock_changes_are_looked_for_every_second() {
    let world = World::new();
    *world.artifacts.settled.lock() = Some(i64::try_from(world.now_us() + 60_000_000).unwrap());
    world.create_one(config("mirror")).await.unwrap();
    let mut engine = RealtimeEngine::by_changes(world.replication.clone());
    let soon = world.replication.clock.now().plus(Duration::from_secs(2));
    assert!(engine.activate().await.unwrap().expect("another look") < soon);
}

#[tokio::test]
async fn the_stamp_keeps_up_while_nothing_concerns_the_task() {
    let world = World::new();
    world.create_one(Config { path_constraints: vec![path("/a.txt")], ..config("mirror") }).await.unwrap();
    let before = world.record("mirror").await.change_stamp;
    change(&world, tag());
    look(&world).await;
    assert_eq!(world.record("mirror").await.change_stamp, before, "not with every change");
    world.pass(3600);
    let last = change(&world, tag());
    look(&world).await;
    assert_eq!(world.record("mirror").await.change_stamp, last);
    assert!(ranges(&world).await.is_empty());
}

#[tokio::test]
async fn a_change_whose_stamp_is_still_pending_is_looked_for_again_soon() {
    let world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    *world.artifacts.settled.lock() = Some(i64::try_from(world.now_us()).unwrap());
    world.pass(1);
    let mut engine = RealtimeEngine::by_changes(world.replication.clone());
    let soon = world.replication.clock.now().plus(Duration::from_secs(1));
    assert!(engine.activate().await.unwrap().expect("another look") < soon);
    *world.artifacts.settled.lock() = None;
    assert!(engine.activate().await.unwrap().expect("another look") > soon);
}

#[tokio::test]
async fn many_changes_are_read_to_their_end() {
    let world = World::new();
    world.create_one(Config { path_constraints: vec![path("/a.txt")], ..config("mirror") }).await.unwrap();
    for _ in 0..2500 {
        change(&world, tag());
    }
    let last = change(&world, file());
    look(&world).await;
    assert_eq!(ranges(&world).await.last().map(|range| range.1), Some(last));
}

#[tokio::test]
async fn a_run_that_failed_is_tried_again_later_and_with_the_next_change() {
    let world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    let created = world.now_us();
    let first = change(&world, tag());
    look(&world).await;
    world.end_run("mirror", ExecutionStatus::Failed).await;
    look(&world).await;
    assert_eq!(ranges(&world).await.len(), 1, "not at once");
    world.pass(31);
    look(&world).await;
    assert_eq!(ranges(&world).await[1], (created, first));
    world.end_run("mirror", ExecutionStatus::Failed).await;
    world.pass(31);
    look(&world).await;
    assert_eq!(ranges(&world).await.len(), 2, "the second time it takes longer");
    let second = change(&world, tag());
    look(&world).await;
    assert_eq!(ranges(&world).await[2], (created, second), "a change brings what was left along");
    world.end_run("mirror", ExecutionStatus::Success).await;
    world.pass(7200);
    look(&world).await;
    assert_eq!(ranges(&world).await.len(), 3);
    // What somebody has stopped stays so.
    change(&world, tag());
    look(&world).await;
    world.end_run("mirror", ExecutionStatus::Cancelled).await;
    world.pass(7200);
    look(&world).await;
    assert_eq!(ranges(&world).await.len(), 4);
}

#[tokio::test]
async fn changes_of_a_run_that_was_stopped_come_along_with_the_next_one() {
    let world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    let created = world.now_us();
    change(&world, tag());
    look(&world).await;
    world.end_run("mirror", ExecutionStatus::Cancelled).await;
    let second = change(&world, tag());
    look(&world).await;
    assert_eq!(ranges(&world).await[1], (created, second));
    world.end_run("mirror", ExecutionStatus::Success).await;
    let third = change(&world, tag());
    look(&world).await;
    assert_eq!(ranges(&world).await[2], (second, third), "what is done is not done again");
}

#[tokio::test]
async fn a_run_by_hand_or_a_resumed_one_that_fails_does_not_make_changes_forgotten() {
    let world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    let created = world.now_us();
    let first = change(&world, tag());
    look(&world).await;
    let id_of_first = world.record("mirror").await.active_execution;
    world.end_run("mirror", ExecutionStatus::Failed).await;
    world.pass(1);
    world.replication.queue_execution(&id("mirror"), Cause::Manual).await.unwrap();
    world.end_run("mirror", ExecutionStatus::Failed).await;
    world.pass(1);
    let resumed = world.replication.resume_execution(&id_of_first).await.unwrap();
    assert_eq!((resumed.from_stamp, resumed.to_stamp), (created, first));
    world.end_run("mirror", ExecutionStatus::Failed).await;
    world.pass(3600);
    look(&world).await;
    assert_eq!(ranges(&world).await[3], (created, first));
    world.end_run("mirror", ExecutionStatus::Failed).await;
    world.pass(1);
    world.replication.queue_execution(&id("mirror"), Cause::Manual).await.unwrap();
    world.end_run("mirror", ExecutionStatus::Success).await;
    world.pass(36_000);
    look(&world).await;
    assert_eq!(ranges(&world).await.len(), 5, "a run for everything has done them");
}

#[tokio::test]
async fn a_resumed_run_does_not_answer_for_later_changes() {
    let world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    let first = change(&world, tag());
    look(&world).await;
    let id_of_first = world.record("mirror").await.active_execution;
    world.end_run("mirror", ExecutionStatus::Failed).await;
    let second = change(&world, tag());
    look(&world).await;
    world.end_run("mirror", ExecutionStatus::Failed).await;
    world.pass(1);
    world.replication.resume_execution(&id_of_first).await.unwrap();
    world.end_run("mirror", ExecutionStatus::Success).await;
    world.pass(31);
    look(&world).await;
    assert_eq!(ranges(&world).await.last(), Some(&(first, second)));
}

#[tokio::test]
async fn a_run_that_keeps_failing_is_given_up_in_the_end() {
    let world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    change(&world, tag());
    for _ in 0..30 {
        look(&world).await;
        if !world.record("mirror").await.active_execution.is_empty() {
            world.end_run("mirror", ExecutionStatus::Failed).await;
        }
        world.pass(3600);
    }
    assert_eq!(ranges(&world).await.len(), 11);
    world.replication.queue_execution(&id("mirror"), Cause::Manual).await.expect("by hand it runs");
}

//! What is removed, and that no number is given out twice for it.

use std::time::Duration;

use super::{World, calm};
use crate::engine::Engine as _;
use crate::transcode::index::{LogFilter, LogSort};
use crate::transcode::model::{LogLevel, TaskId, TaskStatus};
use crate::transcode::retention::RetentionEngine;
use crate::transcode::settings::Settings;

/// Ended tasks and entries are kept for an hour.
fn an_hour() -> Settings {
    Settings { task_retention: Duration::from_hours(1), log_retention: Duration::from_hours(1), ..calm() }
}

async fn clean(world: &World) {
    RetentionEngine::new(world.farm.clone()).activate().await.expect("a look");
}

fn logs(world: &World) -> Vec<i32> {
    let logs = world.farm.index.logs.read();
    logs.matching(&LogFilter::default(), LogSort::Id).into_iter().map(|row| row.number).collect()
}

#[tokio::test]
async fn numbers_are_not_given_out_again_when_the_highest_was_removed_and_the_server_started_anew() {
    let mut world = World::with(an_hour()).await;
    world.add_videos(2).await;
    let worker = world.worker("w").await;
    let (number, task) = world.task(worker).await;
    world.says(worker, task, TaskStatus::Completed).await;
    world.farm.delete_worker(worker).await.expect("a deletion");
    let last_log = *logs(&world).last().expect("entries");
    world.pass(3601);
    clean(&world).await;
    assert_eq!(world.farm.index.tasks.read().len(), 0);
    assert!(logs(&world).is_empty());

    world.restart().await;

    let other = world.worker("w").await;
    assert!(other > worker, "{other:?} after {worker:?}");
    let (next, _) = world.task(other).await;
    assert!(next > number, "{next:?} after {number:?}");
    assert!(logs(&world).first().is_some_and(|first| *first > last_log));
}

#[tokio::test]
async fn tasks_in_progress_are_kept_however_old_they_are() {
    let world = World::with(Settings { max_tasks: 1, ..an_hour() }).await;
    let (_, worker) = (world.add_videos(3).await, world.worker("w").await);
    let (_, open) = world.task(worker).await;
    let ((_, first), (_, second)) = (world.task(worker).await, world.task(worker).await);
    world.says(worker, first, TaskStatus::Completed).await;
    world.says(worker, second, TaskStatus::Completed).await;
    clean(&world).await;
    assert!(world.farm.get_task(first).await.is_err(), "one too many");
    assert_eq!(world.task_status(second).await, TaskStatus::Completed);
    world.pass(3601);
    clean(&world).await;
    assert!(world.farm.get_task(second).await.is_err(), "too old");
    assert_eq!(world.task_status(open).await, TaskStatus::Created);
}

#[tokio::test]
async fn a_task_is_as_old_as_its_end() {
    let world = World::with(an_hour()).await;
    let (_, worker) = (world.add_videos(2).await, world.worker("w").await);
    let ((_, late), (_, early)) = (world.task(worker).await, world.task(worker).await);
    world.says(worker, early, TaskStatus::Completed).await;
    world.pass(1800);
    world.says(worker, late, TaskStatus::Completed).await;
    world.pass(1801);
    clean(&world).await;
    assert!(world.farm.get_task(early).await.is_err());
    assert_eq!(world.task_status(late).await, TaskStatus::Completed);
}

#[tokio::test]
async fn of_too_many_entries_the_newest_stay() {
    let world = World::with(Settings { max_logs: 3, ..calm() }).await;
    let (_, worker) = (world.add_videos(1).await, world.worker("w").await);
    let (_, task) = world.task(worker).await;
    for number in 0..200 {
        world.farm.log_task(task, LogLevel::Info, format!("line {number}")).await.expect("an entry");
    }
    let before = logs(&world);
    clean(&world).await;
    assert_eq!(logs(&world), before[before.len() - 3..]);
}

#[tokio::test]
async fn of_too_many_ended_tasks_those_that_began_last_stay() {
    let world = World::with(Settings { max_tasks: 1, ..calm() }).await;
    let (_, worker) = (world.add_videos(2).await, world.worker("w").await);
    let ((first, one), (second, two)) = (world.task(worker).await, world.task(worker).await);
    assert_eq!((first, second), (TaskId(1), TaskId(2)));
    world.says(worker, two, TaskStatus::Completed).await;
    world.says(worker, one, TaskStatus::Completed).await;
    clean(&world).await;
    assert_eq!(world.farm.index.tasks.read().len(), 1);
    assert_eq!(world.task_status(two).await, TaskStatus::Completed);
}

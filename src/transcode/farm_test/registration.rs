//! Who may be a worker of a name, and what becomes of what it had.

use super::{World, wish_to_be};
use crate::transcode::error::Error;
use crate::transcode::model::{OfflineAction, RegisterOutcome, TaskStatus};
use crate::transcode::workers::REGISTERED_ANEW;

#[tokio::test]
async fn a_second_worker_of_a_name_is_refused_until_the_first_is_silent() {
    let world = World::new().await;
    let (_, worker) = (world.add_videos(1).await, world.worker("w").await);
    let (_, task) = world.task(worker).await;
    world.pass(30);
    let refused = world.try_register("w", None).await;
    assert!(matches!(&refused, Err(Error::WorkerOnline(name)) if name == "w"), "{refused:?}");
    assert_eq!(world.task_status(task).await, TaskStatus::Created);
    world.pass(1);
    let again = world.try_register("w", None).await.expect("a worker");
    assert_eq!((again.id, again.outcome), (worker, RegisterOutcome::TookOverStale));
    let record = world.record(task).await;
    assert_eq!((record.status, record.error_message.as_str()), (TaskStatus::Failed as i32, REGISTERED_ANEW));
}

#[tokio::test]
async fn a_worker_that_was_offline_is_as_new_under_its_old_id() {
    let world = World::new().await;
    let worker = world.worker("w").await;
    world.pass(31);
    world.sweep().await;
    world.farm.set_offline(worker, OfflineAction::Shutdown, None).await.expect("a command");
    let again = world.try_register("w", None).await.expect("a worker");
    assert_eq!((again.id, again.outcome), (worker, RegisterOutcome::Reactivated));
    let view = world.farm.worker(worker).expect("the worker");
    assert!(!view.is_offline && view.heartbeat == world.now());
    assert_eq!(view.record.offline_action, OfflineAction::Unspecified as i32);
}

#[tokio::test]
async fn a_worker_that_connects_again_keeps_the_tasks_that_it_names() {
    let world = World::new().await;
    world.add_videos(2).await;
    let registered = world.try_register("w", None).await.expect("a worker");
    let ((_, kept), (_, forgotten)) = (world.task(registered.id).await, world.task(registered.id).await);
    let again = world.farm.register(wish_to_be("w", Some(registered.token)), vec![kept]).await.expect("it is itself");
    assert_eq!((again.outcome, again.token), (RegisterOutcome::Resumed, registered.token));
    assert_eq!(world.task_status(kept).await, TaskStatus::Created);
    assert_eq!(world.task_status(forgotten).await, TaskStatus::Failed);
}

#[tokio::test]
async fn two_registrations_of_one_new_name_at_once_make_one_worker() {
    let world = World::new().await;
    let (first, second) = tokio::join!(world.try_register("w", None), world.try_register("w", None));
    let refusals = [&first, &second].into_iter().filter(|result| matches!(result, Err(Error::WorkerOnline(_)))).count();
    assert_eq!(refusals, 1, "{first:?} {second:?}");
    assert_eq!(world.farm.all_workers().len(), 1);
}

#[tokio::test]
async fn after_a_start_the_heartbeat_that_was_kept_says_whether_a_name_is_taken() {
    let mut world = World::new().await;
    let worker = world.worker("w").await;
    world.pass(20);
    world.beat(worker).await;
    world.sweep().await;
    world.restart().await;
    world.pass(30);
    assert!(matches!(world.try_register("w", None).await, Err(Error::WorkerOnline(_))));
    world.pass(1);
    let again = world.try_register("w", None).await.expect("a worker");
    assert_eq!((again.id, again.outcome), (worker, RegisterOutcome::TookOverStale));
}

#[tokio::test]
async fn the_tasks_of_a_deleted_worker_are_for_others_and_its_name_is_free() {
    let world = World::new().await;
    let (_, worker) = (world.add_videos(1).await, world.worker("w").await);
    let (_, task) = world.task(worker).await;
    world.farm.delete_worker(worker).await.expect("a deletion");
    assert_eq!(world.task_status(task).await, TaskStatus::Failed);
    let other = world.worker("w").await;
    assert_ne!(other, worker);
    world.task(other).await;
}

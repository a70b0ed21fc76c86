//! Runs that break off, are stopped, go on, or meet others.

use super::*;

/// A server that is at work in a world of its own, which ends without a word.
fn crash_when(world: &World, task: &TaskId, is_there: impl Fn(&World) -> bool) -> String {
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

//! Runs that end with a failure, and targets that are down.

use super::*;

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
    let task = TaskId { project: "p".into(), repository: "r".into(), name: "task".into() };
    let head = world.head(&task).await;
    assert_eq!((head.failures, &*head.active_execution), (1, ""));

    world.target.state.lock().is_down = false;
    let run = run_for(&world, config(), Cause::Change { from_stamp: 0, to_stamp }).await;
    let head = world.head(&task).await;
    assert!(is_success(&run));
    assert_eq!((head.change_stamp, head.failures, head.last_success_us), (to_stamp, 0, run.end_us));
}

//! Scheduled tasks are queued when they are due, once.

use steward_proto::replication::v1::{self as api, Config, ExecutionStatus, schedule::When};

use super::world::{World, config, id, scheduled};
use crate::engine::Engine as _;
use crate::replication::access::Maker;
use crate::replication::queue::Cause;
use crate::replication::schedule_engine::ScheduleEngine;

/// The clock of tests starts at 2023-11-14T22:13:20Z.
const TO_THE_NEXT_HOUR: u64 = 46 * 60 + 40;

async fn look(world: &World) {
    ScheduleEngine::new(world.replication.clone()).activate().await.expect("looked");
}

fn hourly() -> Config {
    scheduled("mirror", When::Cron("0 0 * * * ?".to_owned()))
}

async fn runs(world: &World) -> usize {
    world.executions().await.len()
}

#[tokio::test]
async fn a_task_that_is_to_run_at_once_runs_once() {
    let mut world = World::new();
    world.create_one(scheduled("mirror", When::Immediately(api::Immediately {}))).await.unwrap();
    look(&world).await;
    look(&world).await;
    world.end_run("mirror", ExecutionStatus::Success).await;
    world.pass(1_000_000);
    world.restart();
    look(&world).await;
    assert_eq!(runs(&world).await, 1);
    let again = scheduled("mirror", When::Immediately(api::Immediately {}));
    world.create_one(Config { description: "another word".to_owned(), ..again }).await.unwrap();
    look(&world).await;
    assert_eq!(runs(&world).await, 1, "the same schedule is not due again");
}

#[tokio::test]
async fn a_task_that_is_to_run_at_a_time_runs_then() {
    let world = World::new();
    let seconds = i64::try_from(world.now_us() / 1_000_000).unwrap() + 3600;
    let at = When::At(prost_types::Timestamp { seconds, nanos: 0 });
    let task = world.create_one(scheduled("mirror", at.clone())).await.unwrap();
    assert_eq!(task.next_time.unwrap().seconds, seconds);
    look(&world).await;
    assert_eq!(runs(&world).await, 0);
    world.pass(3600);
    look(&world).await;
    assert_eq!(runs(&world).await, 1);
    assert_eq!(world.executions().await[0].trigger, "schedule");
    let task = world.create_one(scheduled("mirror", at)).await.expect("the same time may be over by now");
    assert!(task.next_time.is_none());
}

#[tokio::test]
async fn a_tick_is_one_run_however_many_look_and_whenever_they_start() {
    let mut world = World::new();
    world.create_one(hourly()).await.unwrap();
    for round in 1..=5 {
        world.pass(if round == 1 { TO_THE_NEXT_HOUR } else { 3600 });
        let all = (0..4).map(|_| look(&world));
        futures::future::join_all(all).await;
        world.restart();
        look(&world).await;
        assert_eq!(runs(&world).await, round);
        world.end_run("mirror", ExecutionStatus::Success).await;
        look(&world).await;
        assert_eq!(runs(&world).await, round);
    }
}

#[tokio::test]
async fn ticks_that_were_missed_make_one_run() {
    let mut world = World::new();
    world.create_one(hourly()).await.unwrap();
    world.pass(TO_THE_NEXT_HOUR + 10 * 3600 + 5);
    world.restart();
    look(&world).await;
    world.end_run("mirror", ExecutionStatus::Success).await;
    look(&world).await;
    assert_eq!(runs(&world).await, 1);
    let next_us = world.record("mirror").await.next_us;
    assert!(next_us > world.now_us() && next_us < world.now_us() + 3_600_000_000);
}

#[tokio::test]
async fn a_tick_while_the_task_runs_is_left_out() {
    let world = World::new();
    world.create_one(hourly()).await.unwrap();
    world.pass(TO_THE_NEXT_HOUR);
    look(&world).await;
    world.pass(3600);
    look(&world).await;
    assert_eq!(runs(&world).await, 1);
    world.end_run("mirror", ExecutionStatus::Success).await;
    look(&world).await;
    assert_eq!(runs(&world).await, 1, "it is not made up for");
    world.pass(3600);
    look(&world).await;
    assert_eq!(runs(&world).await, 2);
}

#[tokio::test]
async fn a_task_that_runs_only_once_waits_for_the_run_before() {
    let world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    world.replication.queue_execution(&id("mirror"), Cause::Manual).await.unwrap();
    let update = scheduled("mirror", When::Immediately(api::Immediately {}));
    world.replication.update_task(update, &Maker::default()).await.unwrap();
    let mut engine = ScheduleEngine::new(world.replication.clone());
    assert_eq!(engine.activate().await.unwrap(), None, "the end of the run wakes it");
    assert_eq!(runs(&world).await, 1);
    world.end_run("mirror", ExecutionStatus::Success).await;
    engine.activate().await.unwrap();
    assert_eq!(runs(&world).await, 2);
}

#[tokio::test]
async fn what_was_due_while_a_task_was_off_is_not_made_up_for() {
    let world = World::new();
    world.create_one(hourly()).await.unwrap();
    world.replication.toggle_task(&id("mirror"), Some(false)).await.unwrap();
    world.pass(TO_THE_NEXT_HOUR + 60);
    look(&world).await;
    let on = world.replication.toggle_task(&id("mirror"), Some(true)).await.unwrap();
    assert!(on.next_time.is_some());
    look(&world).await;
    assert_eq!(runs(&world).await, 0);
    world.pass(3600);
    look(&world).await;
    assert_eq!(runs(&world).await, 1);
}

#[tokio::test]
async fn a_cron_expression_is_read_in_its_zone() {
    let world = World::new();
    let mut at_eight = scheduled("mirror", When::Cron("0 0 8 * * ?".to_owned()));
    let schedule = at_eight.settings.as_mut().unwrap().schedule.as_mut().unwrap();
    schedule.time_zone = "Asia/Shanghai".to_owned();
    let task = world.create_one(at_eight).await.unwrap();
    // 2023-11-15T00:00:00Z.
    assert_eq!(task.next_time.unwrap().seconds, 1_700_006_400);
}

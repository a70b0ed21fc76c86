//! Listing, switching, queueing, deleting and sweeping tasks.

use steward_proto::replication::v1::{Config, ExecutionStatus, ReplicaType};

use super::world::{World, config, id, package, refusal};
use crate::auth::Grants;
use crate::engine::Engine as _;
use crate::replication::access::Maker;
use crate::replication::error::Error;
use crate::replication::keys;
use crate::replication::queue::Cause;
use crate::replication::sweep_engine::SweepEngine;
use crate::store::tx::Tx;
use crate::store::{Key, Table};

async fn names(world: &World, after: Option<Key>, limit: usize) -> (Vec<String>, usize, Option<Key>) {
    let page = world.replication.list_tasks("p", "img", after, limit, &Grants::everything()).await.expect("a page");
    let names = page.tasks.into_iter().map(|task| task.config.unwrap().name).collect();
    (names, page.total, page.next)
}

#[tokio::test]
async fn tasks_are_listed_by_pages_in_the_order_of_their_names() {
    let world = World::new();
    world.create(["b1", "a1", "c1"].map(config).to_vec()).await.unwrap();
    let (first, total, next) = names(&world, None, 2).await;
    assert_eq!((first, total), (vec!["a1".to_owned(), "b1".to_owned()], 3));
    let (second, _, next) = names(&world, next, 2).await;
    assert_eq!((second, next), (vec!["c1".to_owned()], None));
    assert_eq!(world.replication.list_tasks("", "", None, 10, &Grants::everything()).await.unwrap().total, 3);
    assert_eq!(world.replication.list_tasks("p", "", None, 10, &Grants::everything()).await.unwrap().total, 3);
    assert_eq!(world.replication.list_tasks("p", "gen", None, 10, &Grants::everything()).await.unwrap().total, 0);
    let missing = world.replication.list_tasks("p", "nowhere", None, 10, &Grants::everything()).await;
    assert_eq!(refusal(missing), ("REPOSITORY_NOT_FOUND".into(), "nowhere".into()));
    let get = world.replication.get_task(&id("nothing")).await;
    assert_eq!(refusal(get), ("TASK_NOT_FOUND".into(), "nothing".into()));
}

#[tokio::test]
async fn a_task_has_one_run_at_a_time_and_none_while_it_is_off() {
    let world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    let queue = async || world.replication.queue_execution(&id("mirror"), Cause::Manual).await;
    let both = tokio::join!(queue(), queue());
    let (queued, refused) = match both {
        (Ok(queued), Err(refused)) | (Err(refused), Ok(queued)) => (queued, refused),
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal::<()>(Err(refused)), ("TASK_RUNNING".into(), "mirror".into()));
    assert_eq!(queued.id.len(), 24);
    assert!(queued.id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!((queued.status, queued.trigger.as_str()), (ExecutionStatus::Queued.into(), "manual"));
    assert_eq!(world.rows(Table::ReplicaExecutionActive).await.len(), 1);
    let task = world.replication.get_task(&id("mirror")).await.unwrap();
    assert_eq!((task.last_execution_id, task.last_status), (queued.id, ExecutionStatus::Queued.into()));

    world.end_run("mirror", ExecutionStatus::Success).await;
    let off = world.replication.toggle_task(&id("mirror"), None).await.unwrap();
    assert_eq!(off.config.unwrap().enabled, Some(false));
    assert_eq!(refusal(queue().await), ("TASK_DISABLED".into(), "mirror".into()));
    let off = world.replication.toggle_task(&id("mirror"), Some(false)).await.unwrap();
    assert_eq!(off.config.unwrap().enabled, Some(false));
    world.replication.toggle_task(&id("mirror"), None).await.unwrap();
    queue().await.expect("queued");
    let resumed = Cause::Resume { of: "x".to_owned(), from_stamp: 0, to_stamp: 0 };
    assert!(matches!(world.replication.queue_execution(&id("nothing"), resumed).await, Err(Error::TaskNotFound(_))));
}

#[tokio::test]
async fn a_task_that_is_deleted_takes_all_of_its_records_with_it() {
    let world = World::new();
    world.create(vec![config("mirror"), config("other")]).await.unwrap();
    let first = world.replication.queue_execution(&id("mirror"), Cause::Manual).await.unwrap();
    world.end_run("mirror", ExecutionStatus::Failed).await;
    world.pass(5);
    let queued = world.replication.queue_execution(&id("mirror"), Cause::Manual).await.unwrap();
    let (run, key) = (&first.id, &first.task_key);
    let wrote = world.replication.decide("results", |mut tx: Tx<'_>| async move {
        for number in 1..=45 {
            tx.put_bytes(keys::result(run, number), "r");
            tx.put_bytes(keys::log_line(run, number), "l");
        }
        tx.put_bytes(keys::blob_session(key, "image", "sha256:0"), "s");
        Ok::<_, Error>(tx.answer(()))
    });
    wrote.await.unwrap();
    let other = world.replication.queue_execution(&id("other"), Cause::Manual).await.unwrap();

    world.replication.delete_task(&id("mirror")).await.expect("deleted");
    assert_eq!(refusal(world.replication.delete_task(&id("mirror")).await), ("TASK_NOT_FOUND".into(), "mirror".into()));
    let stopped = world.execution(&queued.id).await.expect("not swept yet");
    assert_eq!((stopped.status, stopped.cancel), (ExecutionStatus::Cancelled.into(), true));
    SweepEngine::new(world.replication.clone()).activate().await.expect("swept");
    assert_eq!(world.executions().await, [other]);
    for (table, left) in [
        (Table::ReplicaTask, 1),
        (Table::ReplicaTaskKey, 1),
        (Table::ReplicaConfig, 1),
        (Table::ReplicaExecutionTime, 1),
        (Table::ReplicaExecutionActive, 1),
        (Table::ReplicaResult, 0),
        (Table::ReplicaLog, 0),
        (Table::ReplicaBlobSession, 0),
        (Table::ReplicaDeletedExecution, 0),
    ] {
        assert_eq!(world.rows(table).await.len(), left, "{table:?}");
    }
}

#[tokio::test]
async fn a_run_that_is_under_way_is_told_to_stop_and_is_swept_when_it_has() {
    let world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    world.replication.queue_execution(&id("mirror"), Cause::Manual).await.unwrap();
    let run = world.begin_run("mirror").await;
    // So that the deletion waits for nobody.
    world.replication.shutdown.cancel();
    world.replication.delete_task(&id("mirror")).await.expect("deleted");
    assert!(world.execution(&run).await.expect("a run").cancel);
    let mut engine = SweepEngine::new(world.replication.clone());
    engine.activate().await.expect("looked");
    assert!(world.execution(&run).await.is_some(), "it may still be at work");
    assert_eq!(world.rows(Table::ReplicaDeletedExecution).await.len(), 1);
    world.pass(61);
    engine.activate().await.expect("swept");
    assert!(world.execution(&run).await.is_none(), "it took too long");
    assert!(world.rows(Table::ReplicaExecutionActive).await.is_empty());
    assert!(world.rows(Table::ReplicaDeletedExecution).await.is_empty());
}

#[tokio::test]
async fn only_what_runs_once_and_does_not_run_is_deleted_as_such() {
    let world = World::new();
    let once = Config {
        replica_type: ReplicaType::RunOnce.into(),
        package_constraints: vec![package("docker://nginx", &["1.1"], &[])],
        ..config("once")
    };
    world.replication.create_run_once(once, &Maker::default()).await.unwrap();
    world.create_one(config("standing")).await.unwrap();
    let delete = async |name: &str| world.replication.delete_run_once(&id(name)).await;
    delete("nothing").await.expect("nothing to do");
    assert_eq!(refusal(delete("standing").await), ("NOT_RUN_ONCE".into(), "standing".into()));
    world.replication.queue_execution(&id("once"), Cause::Manual).await.unwrap();
    assert_eq!(refusal(delete("once").await), ("TASK_RUNNING".into(), "once".into()));
    world.end_run("once", ExecutionStatus::Success).await;
    delete("once").await.expect("deleted");
    delete("once").await.expect("nothing to do");
}

#[tokio::test]
async fn what_nothing_refers_to_is_swept_when_it_is_old() {
    let mut world = World::new();
    world.create_one(config("mirror")).await.unwrap();
    let orphan = crate::replication::tasks::new_config_id(&config("mirror"), world.now_us());
    let key = &keys::config_pieces(&orphan);
    let wrote = world.replication.decide("a config", |mut tx: Tx<'_>| async move {
        crate::replication::pieces::write(&mut tx, key, b"left by a crash").await?;
        Ok::<_, Error>(tx.answer(()))
    });
    wrote.await.unwrap();
    world.restart();
    SweepEngine::new(world.replication.clone()).activate().await.unwrap();
    assert_eq!(world.rows(Table::ReplicaConfig).await.len(), 2, "somebody may be about to refer to it");
    world.pass(2 * 60 * 60);
    SweepEngine::new(world.replication.clone()).activate().await.unwrap();
    assert_eq!(world.rows(Table::ReplicaConfig).await.len(), 1);
    world.replication.get_task(&id("mirror")).await.expect("what is in use stays");
}

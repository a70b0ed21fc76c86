use std::sync::Arc;

use futures::StreamExt as _;
use steward_proto::replication::v1::ArtifactOutcome;
use steward_proto::replication::v1::plan_execution_response::Part;
use steward_proto::replication::v1::watch_execution_response::Event;

use super::*;
use crate::auth::rights::Table as RightsTable;
use crate::auth::{Grants, Identity};
use crate::replication::testing::{World, config, package, with};

fn tagged(world: &World, tags: &[&str]) {
    let digest = world.artifacts.image("app", &[b"a layer"]);
    for tag in tags {
        world.artifacts.tag("app", tag, &digest);
    }
}

async fn events(replication: &Replication, id: &str, after: i64) -> Vec<api::WatchExecutionResponse> {
    let events = replication.watch_execution(id, after).await.expect("a watch");
    events.map(|event| event.expect("an event")).collect().await
}

fn is_recorded(event: &api::WatchExecutionResponse) -> bool {
    match &event.event {
        Some(Event::Artifact(artifact)) => artifact.sequence > 0,
        Some(Event::Log(_)) => true,
        Some(Event::State(_)) | None => false,
    }
}

#[tokio::test]
async fn a_watch_tells_the_state_first_and_last_and_each_result_and_line_once_in_order() {
    let world = World::new();
    tagged(&world, &["1", "2", "3"]);
    let task = world.task(config()).await;
    let server = world.server().start();
    let gate = world.target.gate(1);
    let id = server.queue(&task, Cause::Manual).await;
    let replication = server.replication.clone();
    let watched = id.clone();
    let watching = tokio::spawn(async move { events(&replication, &watched, 0).await });
    gate.add_permits(1_000);
    world.wait_for_end(&id).await;

    let live = watching.await.unwrap();

    assert!(matches!(live.first().unwrap().event, Some(Event::State(_))));
    let Some(Event::State(last)) = &live.last().unwrap().event else { panic!("the state is told last") };
    assert_eq!(last.status(), api::ExecutionStatus::Success);
    let numbers: Vec<i64> = live.iter().filter(|event| is_recorded(event)).map(|event| event.sequence).collect();
    let count = i64::try_from(numbers.len()).unwrap();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
    let results = live.iter().filter(|event| matches!(&event.event, Some(Event::Artifact(a)) if a.sequence > 0));
    assert_eq!(results.count(), 3);

    let rest = events(&server.replication, &id, count - 2).await;
    let rest: Vec<i64> = rest.iter().filter(|event| is_recorded(event)).map(|event| event.sequence).collect();
    assert_eq!(rest, [count - 1, count]);
    server.stop().await;
}

#[tokio::test]
async fn a_run_that_may_not_be_seen_makes_no_further_page() {
    let world = World::new();
    let server = world.server();
    for name in ["theirs", "mine-1", "mine-2"] {
        let task = world.task(with(|config, _| config.name = name.to_owned())).await;
        server.queue(&task, Cause::Manual).await;
    }
    let caller = Identity { user: Some("ann".to_owned()), ..Identity::default() };
    let grants = Grants::new(caller, Arc::new(RightsTable::parse("ann replication p/r/mine-* read").unwrap()));
    for (page_size, has_next) in [(1, true), (2, false)] {
        let request = api::ListExecutionsRequest { page_size, ..Default::default() };
        let listed = server.replication.list_executions(&request, &grants).await.unwrap();
        assert_eq!((listed.found.len(), listed.total), (usize::try_from(page_size).unwrap(), 2));
        assert_eq!(!listed.next.is_empty(), has_next, "{page_size} of a page");
    }
    server.stop().await;
}

#[tokio::test]
async fn runs_and_results_are_listed_in_pages() {
    let world = World::new();
    tagged(&world, &["1", "2", "3"]);
    let task = world.task(config()).await;
    let server = world.server().start();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = server.queue(&task, Cause::Manual).await;
        world.wait_for_end(&id).await;
        ids.insert(0, id);
    }
    let mut request = api::ListExecutionsRequest { page_size: 2, project: "p".into(), ..Default::default() };
    let first = server.replication.list_executions(&request, &Grants::everything()).await.unwrap();
    request.page_token.clone_from(&first.next);
    let second = server.replication.list_executions(&request, &Grants::everything()).await.unwrap();
    let listed: Vec<String> = first.found.iter().chain(&second.found).map(|run| run.id.clone()).collect();
    assert_eq!((listed, first.total, &*second.next), (ids.clone(), 3, ""));
    let failed =
        api::ListExecutionsRequest { statuses: vec![api::ExecutionStatus::Failed.into()], ..Default::default() };
    assert_eq!(server.replication.list_executions(&failed, &Grants::everything()).await.unwrap().total, 0);
    let other = api::ListExecutionsRequest { project: "other".into(), ..Default::default() };
    assert_eq!(server.replication.list_executions(&other, &Grants::everything()).await.unwrap().total, 0);

    let mut request =
        api::ListArtifactResultsRequest { execution_id: ids[2].clone(), page_size: 2, ..Default::default() };
    let first = server.replication.list_results(&request).await.unwrap();
    request.page_token.clone_from(&first.next);
    let second = server.replication.list_results(&request).await.unwrap();
    assert_eq!((first.found.len(), second.found.len(), second.total, &*second.next), (2, 1, 3, ""));
    request.page_token = String::new();
    request.outcomes = vec![ArtifactOutcome::Failed.into()];
    assert_eq!(server.replication.list_results(&request).await.unwrap().total, 0);
    let lines = api::ListLogLinesRequest { execution_id: ids[2].clone(), ..Default::default() };
    assert!(server.replication.list_log(&lines).await.unwrap().total >= 2);
    let nonsense = api::ListExecutionsRequest { page_token: "nonsense".into(), ..Default::default() };
    assert!(matches!(
        server.replication.list_executions(&nonsense, &Grants::everything()).await,
        Err(Error::Invalid { .. })
    ));
    server.stop().await;
}

#[tokio::test]
async fn a_dry_run_tells_what_would_be_done_and_does_nothing() {
    let world = World::new();
    tagged(&world, &["new", "taken"]);
    world.target.put_tag("app", "taken", "sha256:other");
    let constraints = vec![package("docker://app", &["new", "taken", "none"])];
    let task = world.task(with(|config, _| config.package_constraints = constraints)).await;
    let server = world.server();

    let parts: Vec<_> = server.replication.plan_execution(&task).await.unwrap().collect().await;

    let parts: Vec<Part> = parts.into_iter().filter_map(|part| part.expect("a part").part).collect();
    let Some(Part::Summary(summary)) = parts.last() else { panic!("the summary is told last") };
    assert_eq!((summary.copied, summary.skipped, summary.refused), (1, 1, 1));
    let Part::Artifact(new) = &parts[0] else { panic!("artifacts come first") };
    assert_eq!((&*new.version, new.outcome(), new.missing_blobs), ("new", ArtifactOutcome::Copied, 2));
    assert!(new.missing_bytes > 0 && summary.missing_bytes == new.missing_bytes);
    assert!(world.target.state.lock().log.is_empty());
    assert_eq!(world.head(&task).await.last_execution, "");
    world.target.state.lock().is_down = true;
    let parts: Vec<_> = server.replication.plan_execution(&task).await.unwrap().collect().await;
    assert!(matches!(parts.last(), Some(Err(Error::Unreachable { .. }))), "{parts:?}");
    server.stop().await;
}

#[tokio::test]
async fn only_tasks_that_run_once_are_executed_as_such() {
    let world = World::new();
    tagged(&world, &["1"]);
    let task = world.task(config()).await;
    let server = world.server();
    let refused = server.replication.execute_run_once(&task).await;
    assert!(matches!(refused, Err(Error::NotRunOnce(_))), "{refused:?}");
    assert_eq!(server.replication.latest_execution(&task).await.unwrap(), None);
    let id = server.queue(&task, Cause::Manual).await;
    let latest = server.replication.latest_execution(&task).await.unwrap().unwrap();
    assert_eq!((latest.id, latest.total_bytes, &*latest.task_name), (id, -1, "p/r/task"));
    let unknown = TaskId { name: "unknown".into(), ..task };
    assert!(matches!(server.replication.execute_run_once(&unknown).await, Err(Error::TaskNotFound(_))));
    assert!(matches!(server.replication.show_execution("../x").await, Err(Error::ExecutionNotFound(_))));
    server.stop().await;
}

#[tokio::test]
async fn old_runs_are_forgotten_but_for_the_latest_of_each_task() {
    let world = World::new();
    tagged(&world, &["1"]);
    let task = world.task(config()).await;
    let settings = crate::replication::Settings {
        execution_retention: std::time::Duration::ZERO,
        ..crate::replication::Settings::default()
    };
    let server = world.server().start();
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(server.queue(&task, Cause::Manual).await);
        world.wait_for_end(&ids[ids.len() - 1]).await;
    }
    server.stop().await;
    let server = world.server_with(settings);

    server.replication.forget_old_runs().await.unwrap();

    let old = server.replication.show_execution(&ids[0]).await;
    assert!(matches!(old, Err(Error::ExecutionNotFound(_))), "{old:?}");
    assert!(server.replication.show_execution(&ids[1]).await.is_ok());
    assert!(world.store.get(&keys::execution_deleted(&ids[0])).await.unwrap().is_some());
    let all = server
        .replication
        .list_executions(&api::ListExecutionsRequest::default(), &Grants::everything())
        .await
        .unwrap();
    assert_eq!(all.total, 1);
    server.stop().await;
}

//! Runs, as those who look after them see them: plans, histories, logs, cancellation, changes of the target.

use std::time::Instant;

use serde_json::{Value, json};
use steward_proto::replication::v1 as api;
use steward_proto::replication::v1::plan_execution_response::Part;
use steward_proto::replication::v1::replication_service_client::ReplicationServiceClient;
use steward_proto::replication::v1::{ArtifactOutcome, ExecutionStatus};
use tonic::transport::Channel;

use super::common::wait::eventually;
use super::image::{Image, manifest};
use super::proxy::Proxy;
use super::registry::StockRegistry;
use super::steward::{FILES, IMAGES, PROJECT, Steward};

const MIB: usize = 1 << 20;

fn runs(steward: &Steward) -> ReplicationServiceClient<Channel> {
    ReplicationServiceClient::new(steward.server.channel())
}

/// A task that runs when it is told to: its cron expression is due once a year.
async fn create(steward: &Steward, name: &str, cluster: &str, setting: &Value) {
    create_for(steward, name, cluster, PROJECT, setting).await;
}

async fn create_for(steward: &Steward, name: &str, cluster: &str, project: &str, setting: &Value) {
    let mut plan = json!({
        "executionStrategy": "CRON_EXPRESSION",
        "executionPlan": {"executeImmediately": false, "cronExpression": "0 0 0 1 1 ?"},
    });
    plan.as_object_mut().expect("an object").extend(setting.as_object().expect("an object").clone());
    let config = json!({"configs": [{
        "name": name, "clusterId": cluster, "remoteProjectId": project, "remoteRepoName": FILES,
        "pathConstraints": [{"path": "/"}], "replicaType": "SCHEDULED", "setting": plan,
    }]});
    let path = format!("/replication/api/remote/distribution/create/{PROJECT}/{FILES}");
    steward.done("POST", &path, &config).await;
}

async fn run(steward: &Steward, name: &str) -> api::Execution {
    let task = api::RunTaskRequest { project: PROJECT.into(), repository: FILES.into(), name: name.into() };
    let queued = runs(steward).run_task(task).await.expect("queued").into_inner().execution.expect("a run");
    let look = || async {
        let request = api::GetExecutionRequest { execution_id: queued.id.clone() };
        let run = runs(steward).get_execution(request).await.expect("known").into_inner().execution.expect("a run");
        run.end_time.is_some().then_some(run)
    };
    eventually(&format!("the run of {name} ends"), look).await
}

async fn plan(steward: &Steward, name: &str) -> (Vec<api::PlannedArtifact>, api::PlanSummary) {
    let task = api::PlanExecutionRequest { project: PROJECT.into(), repository: FILES.into(), name: name.into() };
    let mut parts = runs(steward).plan_execution(task).await.expect("a plan").into_inner();
    let mut planned = Vec::new();
    loop {
        let part = parts.message().await.expect("a part").expect("a summary at the end");
        match part.part.expect("a part") {
            Part::Artifact(artifact) => planned.push(artifact),
            Part::Summary(summary) => return (planned, summary),
        }
    }
}

async fn delete(steward: &Steward, path: &str) {
    let answer = steward.http().request("DELETE", &format!("/generic/{PROJECT}/{FILES}{path}"), &[], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_plan_tells_what_a_run_does_then_and_does_none_of_it() {
    let (steward, west) = (Steward::start().await, Steward::start().await);
    let cluster = steward.add_cluster("west", west.server.grpc_address()).await;
    steward.put_file("/a.txt", b"12345").await;
    steward.put_file("/b.txt", b"123").await;
    create_for(&steward, "copy", &cluster, "new", &json!({})).await;

    let (planned, summary) = plan(&steward, "copy").await;
    assert!(planned.iter().all(|planned| planned.outcome() == ArtifactOutcome::Copied), "{planned:?}");
    assert_eq!((summary.copied, summary.missing_bytes, summary.total_bytes), (2, 8, 8));
    let there = format!("/generic/new/{FILES}/a.txt");
    assert_eq!(west.http().get(&there).await.status, 404, "not even the project is there");

    assert_eq!(run(&steward, "copy").await.status(), ExecutionStatus::Success);
    assert_eq!(west.http().get(&there).await.body, b"12345");
    let (_, summary) = plan(&steward, "copy").await;
    assert_eq!((summary.copied, summary.unchanged, summary.missing_bytes), (0, 2, 0));
}

#[tokio::test]
async fn more_is_not_deleted_there_than_the_task_allows() {
    let (steward, west) = (Steward::start().await, Steward::start().await);
    let cluster = steward.add_cluster("west", west.server.grpc_address()).await;
    for path in ["/a.txt", "/b.txt", "/c.txt"] {
        steward.put_file(path, path.as_bytes()).await;
    }
    create(&steward, "copy", &cluster, &json!({"propagateDeletes": true, "maxDeletes": 1})).await;
    assert_eq!(run(&steward, "copy").await.status(), ExecutionStatus::Success);

    delete(&steward, "/a.txt").await;
    delete(&steward, "/b.txt").await;
    let refused = run(&steward, "copy").await;
    assert_eq!(refused.status(), ExecutionStatus::Failed);
    assert!(refused.error_reason.contains("more than 1 artifacts would be deleted"), "{}", refused.error_reason);
    assert!(west.file("/a.txt").await.is_some() && west.file("/b.txt").await.is_some());

    steward.put_file("/b.txt", b"/b.txt").await;
    let allowed = run(&steward, "copy").await;
    assert_eq!(allowed.status(), ExecutionStatus::Success, "{}", allowed.error_reason);
    assert_eq!(west.file("/a.txt").await, None);
    assert!(west.file("/b.txt").await.is_some() && west.file("/c.txt").await.is_some());
}

#[tokio::test]
async fn a_task_gets_another_target_after_a_restart() {
    let (mut steward, west, east) = (Steward::start().await, Steward::start().await, Steward::start().await);
    let cluster = steward.add_cluster("west", west.server.grpc_address()).await;
    steward.put_file("/a.txt", b"a").await;
    create(&steward, "copy", &cluster, &json!({})).await;
    assert_eq!(run(&steward, "copy").await.status(), ExecutionStatus::Success);

    steward.server.restart().await;
    let cluster = steward.add_cluster("east", east.server.grpc_address()).await;
    let change = json!({
        "clusterId": cluster, "remoteProjectId": PROJECT, "remoteRepoName": FILES, "pathConstraints": [{"path": "/"}],
        "replicaType": "SCHEDULED", "setting": {
            "executionStrategy": "CRON_EXPRESSION",
            "executionPlan": {"executeImmediately": false, "cronExpression": "0 0 0 1 1 ?"},
        },
    });
    let path = format!("/replication/api/remote/distribution/update/{PROJECT}/{FILES}/copy");
    steward.done("POST", &path, &change).await;

    assert_eq!(run(&steward, "copy").await.status(), ExecutionStatus::Success);
    assert_eq!(east.file("/a.txt").await.as_deref(), Some(&b"a"[..]));
}

#[tokio::test]
async fn runs_their_results_and_their_logs_are_listed_page_by_page() {
    let (steward, west) = (Steward::start().await, Steward::start().await);
    let cluster = steward.add_cluster("west", west.server.grpc_address()).await;
    for number in 0..30 {
        steward.put_file(&format!("/{number}.txt"), b"same").await;
    }
    create(&steward, "copy", &cluster, &json!({})).await;
    let (first, second) = (run(&steward, "copy").await, run(&steward, "copy").await);

    let mut request = api::ListExecutionsRequest {
        project: PROJECT.into(),
        repository: FILES.into(),
        name: "copy".into(),
        page_size: 1,
        ..api::ListExecutionsRequest::default()
    };
    let newest = runs(&steward).list_executions(request.clone()).await.expect("a page").into_inner();
    request.page_token.clone_from(&newest.next_page_token);
    let oldest = runs(&steward).list_executions(request).await.expect("a page").into_inner();
    assert_eq!((newest.total_size, oldest.next_page_token.as_str()), (2, ""));
    assert_eq!((&newest.executions[0].id, &oldest.executions[0].id), (&second.id, &first.id));

    let mut copied = Vec::new();
    let mut request = api::ListArtifactResultsRequest {
        execution_id: first.id.clone(),
        page_size: 7,
        ..api::ListArtifactResultsRequest::default()
    };
    loop {
        let page = runs(&steward).list_artifact_results(request.clone()).await.expect("a page").into_inner();
        assert_eq!(page.total_size, 30);
        copied.extend(page.results);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert!(copied.is_sorted_by_key(|result| result.sequence));
    copied.sort_by(|a, b| a.artifact.cmp(&b.artifact));
    copied.dedup_by(|a, b| a.artifact == b.artifact);
    assert_eq!(copied.len(), 30);
    assert!(copied.iter().all(|result| result.outcome() == ArtifactOutcome::Copied));

    let request = api::ListLogLinesRequest { execution_id: first.id, ..api::ListLogLinesRequest::default() };
    let log = runs(&steward).list_log_lines(request).await.expect("a page").into_inner();
    assert!(log.lines.iter().any(|line| line.text.contains("copies to")), "{log:?}");
    assert!(log.lines.last().is_some_and(|line| line.text.contains("succeeded")), "{log:?}");
}

#[tokio::test]
async fn a_run_is_cancelled_in_the_middle_of_a_layer() {
    let Some(registry) = StockRegistry::start("cancelled copies").await else { return };
    let steward = Steward::start().await;
    let proxy = Proxy::start(registry.address()).await;
    let image = Image::new(40, &[64 * MIB]);
    image.push(steward.http(), &format!("{PROJECT}/{IMAGES}/big"), "1").await;
    let task = json!({
        "name": "slow", "registry": format!("http://{}/mirror", proxy.address()), "packageName": "big",
        "versions": ["1"], "setting": {"rateLimit": 8 * MIB},
    });
    steward.create_once(IMAGES, &task).await;
    steward.execute(IMAGES, "slow").await;
    eventually("some of the layer was sent", || async { (proxy.sent() > 6 * MIB as u64).then_some(()) }).await;

    let asked = Instant::now();
    let cancel = format!("/replication/api/remote/distribution/cancel/runOnceTask/{PROJECT}/{IMAGES}?name=slow");
    steward.done("POST", &cancel, &Value::Null).await;
    let run = steward.ended(IMAGES, "slow").await;
    println!("a run ended {:?} after it was cancelled", asked.elapsed());

    let task =
        api::GetRunOnceTaskStatusRequest { project: PROJECT.into(), repository: IMAGES.into(), name: "slow".into() };
    let known = runs(&steward).get_run_once_task_status(task).await.expect("known").into_inner();
    let status = known.execution.map(|run| run.status());
    assert_eq!(status, Some(ExecutionStatus::Cancelled), "{run}");
    assert_eq!(manifest(registry.port(), "mirror/big", "1").await, None);
    assert!(proxy.sent() < 32 * MIB as u64, "{} bytes were sent all the same", proxy.sent());
}

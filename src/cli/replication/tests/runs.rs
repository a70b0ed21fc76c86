//! Runs.

use serde_json::json;
use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::plan_execution_response::Part;
use steward_proto::replication::v1::watch_execution_response::Event;

use super::*;

const TASK: &str = "p1/images/mirror";

fn event(sequence: i64, event: Event) -> pb::WatchExecutionResponse {
    pb::WatchExecutionResponse { sequence, event: Some(event) }
}

fn result(version: &str, outcome: pb::ArtifactOutcome) -> pb::ArtifactResult {
    pb::ArtifactResult {
        artifact: "docker://nginx".to_owned(),
        version: version.to_owned(),
        size: 2048,
        sent: 1024,
        outcome: outcome.into(),
        end_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        target_versions: vec!["1.2".to_owned()],
        error: if outcome == pb::ArtifactOutcome::Failed { "it is full".to_owned() } else { String::new() },
        ..pb::ArtifactResult::default()
    }
}

fn log(level: &str, text: &str) -> pb::LogLine {
    let time = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
    pb::LogLine { sequence: 1, time, level: level.to_owned(), text: text.to_owned() }
}

#[tokio::test]
async fn a_status_is_an_exit_code() {
    let fake = Fake::with(with_mirror);
    for (status, exit) in [
        (pb::ExecutionStatus::Success, Exit::DONE),
        (pb::ExecutionStatus::Failed, Exit::FAILED),
        (pb::ExecutionStatus::Cancelled, Exit::CANCELLED),
        (pb::ExecutionStatus::Running, Exit::UNFINISHED),
        (pb::ExecutionStatus::Queued, Exit::UNFINISHED),
    ] {
        fake.change(|state| state.executions = vec![execution(status)]);
        assert_eq!(run(&fake, &["status", TASK]).await.0, exit, "{status:?}");
        assert_eq!(run(&fake, &["status", RUN, "--json"]).await.0, exit, "{status:?}");
    }
}

#[tokio::test]
async fn a_run_is_told_over_several_lines() {
    let fake = Fake::with(|state| {
        with_mirror(state);
        state.executions = vec![execution(pb::ExecutionStatus::Failed)];
    });
    let (_, text) = run(&fake, &["status", TASK]).await;
    for line in [
        "p1/images/mirror\n  run            63043f3ff0cad86bddf5e215\n  status         failed, 75%\n",
        "  took           1m 2s\n",
        "  bytes          3.0 MiB of 4.0 MiB, 2.0 MiB sent\n",
        "  versions       3 at the target, 1 not\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let (_, text) = run(&fake, &["status", TASK, "--json"]).await;
    assert_eq!(
        (&objects_of(&text)[0]["status"], &objects_of(&text)[0]["total_bytes"]),
        (&json!("failed"), &json!(4 << 20))
    );
}

#[tokio::test]
async fn a_task_that_never_ran_has_no_status() {
    let fake = Fake::with(|state| state.tasks.push(pb::Task { last_execution_id: String::new(), ..mirror() }));
    let expected = (Exit::UNFINISHED, "p1/images/mirror has never run\n".to_owned());
    assert_eq!(run(&fake, &["status", TASK]).await, expected);
    assert_eq!(run(&fake, &["status", TASK, "--watch", "--json"]).await, (Exit::UNFINISHED, "null\n".to_owned()));
    assert_eq!(failure(&fake, &["log", TASK]).await, "p1/images/mirror has never run");
}

#[tokio::test]
async fn a_watch_goes_on_behind_what_it_has_told() {
    let mut fake = Fake::with(|state| {
        with_mirror(state);
        state.events = vec![
            event(0, Event::State(execution(pb::ExecutionStatus::Running))),
            event(0, Event::Artifact(result("1.0", pb::ArtifactOutcome::Unspecified))),
            event(1, Event::Artifact(result("1.0", pb::ArtifactOutcome::Copied))),
            event(2, Event::Log(log("INFO", "all is usual"))),
            event(3, Event::Log(log("WARN", "it is slow"))),
        ];
    });
    let (url, output) = (fake.url(), Output::new());
    let steps = async {
        output.until(|text| text.contains("slow")).await;
        fake.change(|state| {
            state.events.push(event(4, Event::Artifact(result("1.1", pb::ArtifactOutcome::Failed))));
            state.events.push(event(4, Event::State(execution(pb::ExecutionStatus::Success))));
        });
        fake.restart();
    };
    let (exit, ()) = tokio::join!(execute(&url, &["status", TASK, "--watch"], &output), steps);
    assert_eq!(exit.unwrap(), Exit::DONE);
    let text = output.text();
    let (first, rest) = text.split_once('\n').unwrap();
    assert!(first.ends_with("  running    p1/images/mirror"), "{first}");
    assert_eq!(
        rest,
        "2023-11-14T22:13:20Z  copied     docker://nginx:1.0 as 1.2  2.0 KiB, 1.0 KiB sent\n\
         2023-11-14T22:13:20Z  WARN   it is slow\n\
         2023-11-14T22:13:20Z  failed     docker://nginx:1.1 as 1.2  2.0 KiB, 1.0 KiB sent: it is full\n\
         p1/images/mirror: success, 3 at the target, 1 not, 3.0 MiB of 4.0 MiB, 2.0 MiB sent, in 1m 2s\n"
    );
    let asked = fake.asked::<pb::WatchExecutionRequest>();
    assert_eq!((asked[0].after_sequence, asked.last().unwrap().after_sequence), (0, 3));
}

#[tokio::test]
async fn a_run_that_has_ended_is_told_to_its_end() {
    let fake = Fake::with(|state| {
        with_mirror(state);
        state.events = vec![
            event(0, Event::State(execution(pb::ExecutionStatus::Success))),
            event(1, Event::Artifact(result("1.0", pb::ArtifactOutcome::Copied))),
            event(1, Event::State(execution(pb::ExecutionStatus::Success))),
        ];
    });
    let told = objects_of(&said(&fake, &["run", TASK, "--wait", "--json"]).await);
    assert_eq!(told.len(), 3);
    assert_eq!((&told[0]["state"]["status"], &told[1]["artifact"]["outcome"]), (&json!("success"), &json!("copied")));
}

#[tokio::test]
async fn runs_are_queued_stopped_and_resumed() {
    let fake = Fake::with(|state| {
        with_mirror(state);
        state.executions = vec![execution(pb::ExecutionStatus::Cancelled)];
    });
    assert_eq!(said(&fake, &["run", TASK]).await, format!("{TASK}: queued as {RUN}\n"));
    assert_eq!(said(&fake, &["cancel", TASK]).await, format!("{TASK}: {RUN} is stopped\n"));
    assert_eq!(fake.asked::<pb::CancelExecutionRequest>()[0].execution_id, RUN);
    assert_eq!(objects_of(&said(&fake, &["resume", RUN, "--json"]).await)[0]["status"], "queued");
    assert!(failure(&fake, &["run", "p1/images/none"]).await.contains("TASK_NOT_FOUND"));
}

#[tokio::test]
async fn a_plan_is_a_table_and_a_summary() {
    let artifact = |outcome: pb::ArtifactOutcome, reason: &str| pb::PlannedArtifact {
        artifact: "/a.txt".to_owned(),
        size: 2048,
        missing_bytes: 1024,
        outcome: outcome.into(),
        reason: reason.to_owned(),
        ..pb::PlannedArtifact::default()
    };
    let part = |part| pb::PlanExecutionResponse { part: Some(part) };
    let fake = Fake::with(|state| {
        state.plan = vec![
            part(Part::Artifact(artifact(pb::ArtifactOutcome::Copied, ""))),
            part(Part::Artifact(artifact(pb::ArtifactOutcome::Failed, "it is too long"))),
        ];
    });
    assert!(failure(&fake, &["plan", TASK]).await.contains("before its end"));
    let summary =
        pb::PlanSummary { copied: 1, refused: 1, total_bytes: 4096, missing_bytes: 1024, ..Default::default() };
    fake.change(|state| state.plan.push(part(Part::Summary(summary))));
    let expected = "\
WOULD BE  ARTIFACT  SIZE     MISSING  WHY
copied    /a.txt    2.0 KiB  1.0 KiB  -
refused   /a.txt    2.0 KiB  1.0 KiB  it is too long
1 copied, 0 unchanged, 0 skipped, 1 refused, 0 deleted; 1.0 KiB of 4.0 KiB to send
";
    assert_eq!(run(&fake, &["plan", TASK]).await, (Exit::FAILED, expected.to_owned()));
    let told = objects_of(&run(&fake, &["plan", TASK, "--json"]).await.1);
    assert_eq!((&told[0]["artifact"]["outcome"], &told[2]["summary"]["refused"]), (&json!("copied"), &json!(1)));
}

#[tokio::test]
async fn the_runs_of_a_task_are_listed() {
    let fake = Fake::with(|state| {
        with_mirror(state);
        state.executions = vec![execution(pb::ExecutionStatus::Failed); 3];
    });
    assert_eq!(said(&fake, &["history", TASK]).await.lines().count(), 4);
    let listed = said(&fake, &["history", TASK, "--limit", "1"]).await;
    assert_eq!(listed.lines().count(), 2);
    assert!(listed.contains("  1m 2s  manual  3      1    3.0 MiB of 4.0 MiB, 2.0 MiB sent\n"), "{listed}");
}

#[tokio::test]
async fn results_and_logs_go_through_all_pages() {
    let fake = Fake::with(|state| {
        with_mirror(state);
        let failed = result("1.1", pb::ArtifactOutcome::Failed);
        state.results = vec![result("1.0", pb::ArtifactOutcome::Copied), failed.clone(), failed];
        state.log = vec![log("INFO", "a"), log("WARN", "b\x1b[2J"), log("ERROR", "c")];
    });
    assert_eq!(said(&fake, &["results", TASK]).await.lines().count(), 4);
    let failed = said(&fake, &["results", RUN, "--failed"]).await;
    assert_eq!(failed.lines().count(), 3);
    assert!(failed.contains("\nfailed   docker://nginx:1.1 as 1.2  2.0 KiB  1.0 KiB  it is full\n"), "{failed}");
    let log = said(&fake, &["log", TASK]).await;
    assert_eq!(log.lines().nth(1), Some("2023-11-14T22:13:20Z  WARN   b\\u{1b}[2J"));
    assert_eq!(log.lines().count(), 3);
}

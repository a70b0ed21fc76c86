//! Runs as they are watched.

use axum::Router;
use steward_proto::replication::v1::watch_execution_response::Event;
use steward_proto::replication::v1::*;

use super::fake::Events;
use super::once::execution;
use super::{BASE, TIME};
use crate::artifact::fake::Fake;
use crate::enveloped::{ask, refused};
use crate::http::written;
use crate::restic::send;

fn watched() -> Fake {
    let event = |sequence, event| WatchExecutionResponse { sequence, event: Some(event) };
    let line = LogLine { level: "INFO".to_owned(), text: "it\nbegins".to_owned(), time: Some(TIME), sequence: 1 };
    let result = ArtifactResult {
        artifact: "nginx".to_owned(),
        version: "1.1".to_owned(),
        size: 7,
        sent: 5,
        outcome: ArtifactOutcome::Copied.into(),
        ..ArtifactResult::default()
    };
    let run = || Some(execution(ExecutionStatus::Success));
    let events: Events =
        vec![event(1, Event::Log(line)), event(2, Event::Artifact(result)), event(3, Event::State(run().unwrap()))];
    Fake::default().answering(GetRunOnceTaskStatusResponse { execution: run() }).answering(events)
}

async fn watch(router: &Router, query: &str, headers: &[&str]) -> String {
    written(send(router, "GET", &format!("{BASE}/watch/runOnceTask/p/r?name=t{query}"), headers, "").await).await
}

const LOG: &str = r#"{"sequence":1,"log":{"time":"2022-08-23T10:45:19.79","level":"INFO","text":"it\nbegins"}}"#;
const ARTIFACT: &str = concat!(
    r#"{"sequence":2,"artifact":{"artifact":"nginx","version":"1.1","digest":"","size":7,"sent":5,"#,
    r#""resumedFrom":0,"outcome":"COPIED","error":""}}"#,
);
const STATE: &str = concat!(
    r#"{"sequence":3,"state":{"id":"63043f3ff0cad86bddf5e215","taskKey":"a39012fb57564d13b5c5c237d67f01dc","#,
    r#""status":"SUCCESS","startTime":"2022-08-23T10:45:19.79","endTime":null,"errorReason":null,"#,
    r#""replicatedBytes":1234,"totalBytes":1234,"replicaOverview":{"success":1,"failed":0,"conflict":0,"#,
    r#""fileSuccess":3,"fileFailed":0}}}"#,
);

#[tokio::test]
async fn events_are_sent_by_the_server() {
    let events = format!(
        "id: 1\nevent: log\ndata: {LOG}\n\nid: 2\nevent: artifact\ndata: {ARTIFACT}\n\nid: 3\nevent: state\ndata: {STATE}\n\n"
    );
    let expected = format!("200\ncache-control: no-cache\ncontent-type: text/event-stream\n\n{events}");
    assert_eq!(watch(&watched().router(), "", &[]).await, expected);
}

#[tokio::test]
async fn or_are_lines() {
    let lines = format!("{LOG}\n{ARTIFACT}\n{STATE}\n");
    let expected = format!("200\ncache-control: no-cache\ncontent-type: application/x-ndjson\n\n{lines}");
    assert_eq!(watch(&watched().router(), "", &["Accept: application/x-ndjson"]).await, expected);
}

#[tokio::test]
async fn watch_goes_on_where_another_one_ended() {
    for (query, headers, after) in [
        ("", &[][..], 0),
        ("&after=7", &[], 7),
        ("", &["Last-Event-ID: 8"], 8),
        ("&after=7", &["Last-Event-ID: 8"], 8),
        ("&after=7", &["Last-Event-ID: x"], 7),
    ] {
        let fake = watched();
        watch(&fake.router(), query, headers).await;
        let execution_id = "63043f3ff0cad86bddf5e215".to_owned();
        fake.expect(&[WatchExecutionRequest { execution_id, after_sequence: after }]);
    }
}

#[tokio::test]
async fn task_that_has_not_run_is_not_watched() {
    let path = format!("{BASE}/watch/runOnceTask/p/r?name=t");
    let answer = ask(&Fake::default().router(), "GET", &path, "").await;
    assert_eq!(answer, refused(400, 250_108, "Resource [t] not found"));
    let answer = ask(&Fake::default().router(), "GET", &format!("{path}&after=x"), "").await;
    assert_eq!(answer, refused(400, 250_105, "Parameter [after] is invalid"));
}

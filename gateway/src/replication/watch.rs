//! `GET …/watch/runOnceTask/…`: how the latest run of a task goes on, as server-sent events or as lines of JSON.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::StreamExt as _;
use http::HeaderMap;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::watch_execution_response::Event;
use tonic::{Status, Streaming};

use super::Copies;
use super::execution::ShownExecution;
use super::once::latest;
use crate::envelope::{Asked, Code, LocalTimes, Path, Query, Refusal};

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Events,
    Lines,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownEvent {
    sequence: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<ShownExecution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact: Option<ShownArtifact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<ShownLine>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownArtifact {
    artifact: String,
    version: String,
    digest: String,
    size: i64,
    sent: i64,
    resumed_from: i64,
    outcome: &'static str,
    error: String,
}

#[derive(Serialize)]
struct ShownLine {
    time: Option<String>,
    level: String,
    text: String,
}

/// Handles `GET …/watch/runOnceTask/{project}/{repository}?name=&after=`.
pub(super) async fn watch(
    State(copies): State<Copies>,
    Path((project, repository)): Path<(String, String)>,
    asked: Asked,
    query: Query,
    headers: HeaderMap,
) -> Response {
    match open(&copies, &asked, (project, repository), &query, &headers).await {
        Ok(stream) => answer(stream, style(&headers), copies),
        Err(refusal) => asked.answer::<()>(&copies.times, Err(refusal)),
    }
}

async fn open(
    copies: &Copies,
    asked: &Asked,
    (project, repository): (String, String),
    query: &Query,
    headers: &HeaderMap,
) -> Result<Streaming<pb::WatchExecutionResponse>, Refusal> {
    let name = query.required("name")?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let after_sequence = last.or(query.number("after")?).unwrap_or_default();
    let latest = latest(copies, asked, (project, repository, name.clone())).await?;
    let execution_id = latest.ok_or_else(|| Refusal::new(&Code::RESOURCE_NOT_FOUND, name))?.id;
    let message = pb::WatchExecutionRequest { execution_id, after_sequence };
    let call = Copies::call(asked, "WatchExecution");
    let stream = call.run(copies.tasks.clone().watch_execution(call.request(message))).await;
    stream.map_err(|failure| Refusal::of(&failure))
}

fn style(headers: &HeaderMap) -> Style {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepts.contains("application/x-ndjson") { Style::Lines } else { Style::Events }
}

fn answer(stream: Streaming<pb::WatchExecutionResponse>, style: Style, copies: Copies) -> Response {
    let shutdown = copies.shutdown.clone();
    let written = stream.map(move |event| Ok::<_, Status>(write(event?, style, &copies.times)));
    let body = Body::from_stream(written.take_until(shutdown.cancelled_owned()));
    let content_type = match style {
        Style::Events => "text/event-stream",
        Style::Lines => "application/x-ndjson",
    };
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")], body).into_response()
}

fn write(event: pb::WatchExecutionResponse, style: Style, times: &LocalTimes) -> Bytes {
    let sequence = event.sequence;
    let mut shown = ShownEvent { sequence, state: None, artifact: None, log: None };
    let kind = match event.event {
        Some(Event::State(execution)) => {
            shown.state = Some(ShownExecution::of(execution, times));
            "state"
        }
        Some(Event::Artifact(result)) => {
            shown.artifact = Some(artifact(result));
            "artifact"
        }
        Some(Event::Log(line)) => {
            shown.log = Some(ShownLine { time: times.text(line.time), level: line.level, text: line.text });
            "log"
        }
        None => return Bytes::new(),
    };
    let json = serde_json::to_string(&shown).expect("structs of texts and numbers");
    match style {
        Style::Events => format!("id: {sequence}\nevent: {kind}\ndata: {json}\n\n").into(),
        Style::Lines => (json + "\n").into(),
    }
}

fn artifact(result: pb::ArtifactResult) -> ShownArtifact {
    let outcome = match result.outcome() {
        pb::ArtifactOutcome::Unspecified => "RUNNING",
        pb::ArtifactOutcome::Copied => "COPIED",
        pb::ArtifactOutcome::Unchanged => "UNCHANGED",
        pb::ArtifactOutcome::SkippedConflict => "SKIPPED_CONFLICT",
        pb::ArtifactOutcome::Failed => "FAILED",
        pb::ArtifactOutcome::Deleted => "DELETED",
    };
    ShownArtifact {
        artifact: result.artifact,
        version: result.version,
        digest: result.digest,
        size: result.size,
        sent: result.sent,
        resumed_from: result.resumed_from,
        outcome,
        error: result.error,
    }
}

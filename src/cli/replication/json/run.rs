//! Runs, and what they come to.

use serde::Serialize;
use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::watch_execution_response::Event;

use crate::cli::json::word;
use crate::cli::time;

#[derive(Debug, Serialize)]
pub(in crate::cli::replication) struct Execution {
    id: String,
    task_key: String,
    task_name: String,
    status: String,
    start_time: Option<String>,
    end_time: Option<String>,
    error_reason: String,
    replicated_bytes: i64,
    /// Nothing as long as it is not known.
    total_bytes: Option<i64>,
    sent_bytes: i64,
    overview: Overview,
    attempt: u32,
    trigger: String,
}

#[derive(Debug, Serialize)]
struct Overview {
    success: i64,
    failed: i64,
    conflict: i64,
    file_success: i64,
    file_failed: i64,
}

#[derive(Debug, Serialize)]
pub(in crate::cli::replication) struct Finished {
    sequence: i64,
    artifact: String,
    version: String,
    digest: String,
    size: i64,
    sent: i64,
    resumed_from: i64,
    mounted: i32,
    /// Nothing as long as it is under way.
    outcome: Option<String>,
    error: String,
    end_time: Option<String>,
    target_versions: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(in crate::cli::replication) struct LogLine {
    sequence: i64,
    time: Option<String>,
    level: String,
    text: String,
}

/// An event of a run: one of `state`, `artifact` and `log`.
#[derive(Debug, Serialize)]
pub(in crate::cli::replication) struct Watched {
    sequence: i64,
    #[serde(flatten)]
    event: WatchedEvent,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum WatchedEvent {
    State(Execution),
    Artifact(Finished),
    Log(LogLine),
}

/// A part of a plan: one of `artifact` and, at the end, `summary`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli::replication) enum Planned {
    Artifact(PlannedArtifact),
    Summary(PlanSummary),
}

#[derive(Debug, Serialize)]
pub(in crate::cli::replication) struct PlannedArtifact {
    artifact: String,
    version: String,
    digest: String,
    size: i64,
    missing_bytes: i64,
    missing_blobs: i32,
    outcome: String,
    reason: String,
    target_versions: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(in crate::cli::replication) struct PlanSummary {
    copied: i64,
    unchanged: i64,
    skipped: i64,
    refused: i64,
    deleted: i64,
    total_bytes: i64,
    missing_bytes: i64,
}

impl From<pb::Execution> for Execution {
    fn from(execution: pb::Execution) -> Self {
        let pb::Overview { success, failed, conflict, file_success, file_failed } =
            execution.overview.unwrap_or_default();
        Execution {
            status: word(execution.status().as_str_name(), "EXECUTION_STATUS_"),
            id: execution.id,
            task_key: execution.task_key,
            task_name: execution.task_name,
            start_time: time::json(execution.start_time),
            end_time: time::json(execution.end_time),
            error_reason: execution.error_reason,
            replicated_bytes: execution.replicated_bytes,
            total_bytes: Some(execution.total_bytes).filter(|bytes| *bytes >= 0),
            sent_bytes: execution.sent_bytes,
            overview: Overview { success, failed, conflict, file_success, file_failed },
            attempt: execution.attempt,
            trigger: execution.trigger,
        }
    }
}

impl From<pb::ArtifactResult> for Finished {
    fn from(result: pb::ArtifactResult) -> Self {
        let outcome = match result.outcome() {
            pb::ArtifactOutcome::Unspecified => None,
            outcome => Some(word(outcome.as_str_name(), "ARTIFACT_OUTCOME_")),
        };
        Finished {
            sequence: result.sequence,
            artifact: result.artifact,
            version: result.version,
            digest: result.digest,
            size: result.size,
            sent: result.sent,
            resumed_from: result.resumed_from,
            mounted: result.mounted,
            outcome,
            error: result.error,
            end_time: time::json(result.end_time),
            target_versions: result.target_versions,
        }
    }
}

impl From<pb::LogLine> for LogLine {
    fn from(line: pb::LogLine) -> Self {
        LogLine { sequence: line.sequence, time: time::json(line.time), level: line.level, text: line.text }
    }
}

impl Watched {
    pub(in crate::cli::replication) fn new(sequence: i64, event: Event) -> Self {
        let event = match event {
            Event::State(execution) => WatchedEvent::State(execution.into()),
            Event::Artifact(result) => WatchedEvent::Artifact(result.into()),
            Event::Log(line) => WatchedEvent::Log(line.into()),
        };
        Watched { sequence, event }
    }
}

impl From<pb::PlannedArtifact> for Planned {
    fn from(planned: pb::PlannedArtifact) -> Self {
        Planned::Artifact(PlannedArtifact {
            outcome: word(planned.outcome().as_str_name(), "ARTIFACT_OUTCOME_"),
            artifact: planned.artifact,
            version: planned.version,
            digest: planned.digest,
            size: planned.size,
            missing_bytes: planned.missing_bytes,
            missing_blobs: planned.missing_blobs,
            reason: planned.reason,
            target_versions: planned.target_versions,
        })
    }
}

impl From<pb::PlanSummary> for Planned {
    fn from(summary: pb::PlanSummary) -> Self {
        let pb::PlanSummary { copied, unchanged, skipped, refused, deleted, total_bytes, missing_bytes } = summary;
        Planned::Summary(PlanSummary { copied, unchanged, skipped, refused, deleted, total_bytes, missing_bytes })
    }
}

//! A run as JSON.

use serde::Serialize;
use steward_proto::replication::v1 as pb;

use super::config::some_text;
use crate::envelope::LocalTimes;

/// A run, as a client reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownExecution {
    id: String,
    task_key: String,
    status: &'static str,
    start_time: Option<String>,
    end_time: Option<String>,
    error_reason: Option<String>,
    replicated_bytes: i64,
    total_bytes: i64,
    replica_overview: ShownOverview,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownOverview {
    success: i64,
    failed: i64,
    conflict: i64,
    file_success: i64,
    file_failed: i64,
}

impl ShownExecution {
    pub(super) fn of(execution: pb::Execution, times: &LocalTimes) -> Self {
        let status = match execution.status() {
            pb::ExecutionStatus::Success => "SUCCESS",
            // Quirk: there are only three; one that was stopped has not succeeded, and one that waits is about to run.
            pb::ExecutionStatus::Failed | pb::ExecutionStatus::Cancelled => "FAILED",
            pb::ExecutionStatus::Unspecified | pb::ExecutionStatus::Queued | pb::ExecutionStatus::Running => "RUNNING",
        };
        let overview = execution.overview.unwrap_or_default();
        ShownExecution {
            id: execution.id,
            task_key: execution.task_key,
            status,
            start_time: times.text(execution.start_time),
            end_time: times.text(execution.end_time),
            error_reason: some_text(execution.error_reason),
            replicated_bytes: execution.replicated_bytes,
            total_bytes: execution.total_bytes,
            replica_overview: ShownOverview {
                success: overview.success,
                failed: overview.failed,
                conflict: overview.conflict,
                file_success: overview.file_success,
                file_failed: overview.file_failed,
            },
        }
    }
}

//! The JSON of `--json`: field names as in the protocol, times in RFC 3339, enums as lowercase words.
//!
//! These types are the promise to scripts; the generated messages may change without it.

use serde::Serialize;
use steward_proto::transcode::v1 as pb;

use crate::cli::json::word;
use crate::cli::time;

#[derive(Debug, Serialize)]
pub(super) struct LogEntry {
    id: i32,
    task_number: i32,
    task_id: String,
    log_time: Option<String>,
    log_level: String,
    log_message: String,
    worker_id: i32,
}

#[derive(Debug, Serialize)]
pub(super) struct Watched {
    pub(super) revision: i64,
    pub(super) log: LogEntry,
}

impl From<pb::LogEntry> for LogEntry {
    fn from(entry: pb::LogEntry) -> Self {
        let log_level = word(entry.log_level().as_str_name(), "LOG_LEVEL_");
        LogEntry {
            id: entry.id,
            task_number: entry.task_number,
            task_id: entry.task_id,
            log_time: time::json(entry.log_time),
            log_level,
            log_message: entry.log_message,
            worker_id: entry.worker_id,
        }
    }
}

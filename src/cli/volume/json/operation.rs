//! Operations.

use serde::Serialize;
use steward_proto::volume::v1 as pb;

use crate::cli::json::word;
use crate::cli::time;

#[derive(Debug, Serialize)]
pub(in crate::cli::volume) struct Operation {
    uuid: String,
    r#type: String,
    state: String,
    owner: String,
    source: String,
    source_is_volume: bool,
    target: String,
    target_id: u64,
    lazy: bool,
    bytes_done: u64,
    bytes_total: u64,
    progress_percent: u32,
    bytes_per_second: u64,
    error_message: String,
    create_time: Option<String>,
    end_time: Option<String>,
}

impl From<pb::Operation> for Operation {
    fn from(operation: pb::Operation) -> Self {
        Operation {
            r#type: word(operation.r#type().as_str_name(), "OPERATION_TYPE_"),
            state: word(operation.state().as_str_name(), "OPERATION_STATE_"),
            uuid: operation.uuid,
            owner: operation.owner,
            source: operation.source,
            source_is_volume: operation.source_is_volume,
            target: operation.target,
            target_id: operation.target_id,
            lazy: operation.lazy,
            bytes_done: operation.bytes_done,
            bytes_total: operation.bytes_total,
            progress_percent: operation.progress_percent,
            bytes_per_second: operation.bytes_per_second,
            error_message: operation.error_message,
            create_time: time::json(operation.create_time),
            end_time: time::json(operation.end_time),
        }
    }
}

//! The JSON of `--json`: field names as in the protocol, times in RFC 3339, enums as lowercase words.
//!
//! These types are the promise to scripts; the generated messages may change without it.

mod config;
mod run;

use serde::Serialize;
use steward_proto::replication::v1 as pb;

pub(super) use self::config::Config;
pub(super) use self::run::{Execution, Finished, LogLine, Planned, Watched};
use crate::cli::json::word;
use crate::cli::time;

#[derive(Debug, Serialize)]
pub(super) struct Task {
    config: Config,
    key: String,
    last_execution_id: String,
    last_status: String,
    next_time: Option<String>,
    last_success_time: Option<String>,
    create_time: Option<String>,
    created_by: String,
    modify_time: Option<String>,
    has_password: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Cluster {
    id: String,
    name: String,
    r#type: String,
    url: String,
    username: String,
    has_password: bool,
    certificate: String,
    status: String,
    error_reason: String,
    last_report_time: Option<String>,
    created_by: String,
    create_time: Option<String>,
    modified_by: String,
    modify_time: Option<String>,
}

impl From<pb::Task> for Task {
    fn from(task: pb::Task) -> Self {
        Task {
            last_status: word(task.last_status().as_str_name(), "EXECUTION_STATUS_"),
            config: Config::from(task.config.unwrap_or_default()),
            key: task.key,
            last_execution_id: task.last_execution_id,
            next_time: time::json(task.next_time),
            last_success_time: time::json(task.last_success_time),
            create_time: time::json(task.create_time),
            created_by: task.created_by,
            modify_time: time::json(task.modify_time),
            has_password: task.has_password,
        }
    }
}

impl From<pb::Cluster> for Cluster {
    fn from(cluster: pb::Cluster) -> Self {
        Cluster {
            r#type: word(cluster.r#type().as_str_name(), "CLUSTER_TYPE_"),
            status: word(cluster.status().as_str_name(), "CLUSTER_STATUS_"),
            id: cluster.id,
            name: cluster.name,
            url: cluster.url,
            username: cluster.username,
            has_password: cluster.has_password,
            certificate: cluster.certificate,
            error_reason: cluster.error_reason,
            last_report_time: time::json(cluster.last_report_time),
            created_by: cluster.created_by,
            create_time: time::json(cluster.create_time),
            modified_by: cluster.modified_by,
            modify_time: time::json(cluster.modify_time),
        }
    }
}

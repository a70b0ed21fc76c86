//! The JSON of `--json`: field names as in the protocol, times in RFC 3339, enums as lowercase words, windows as people
//! write them.
//!
//! These types are the promise to scripts; the generated messages may change without it.

use std::collections::BTreeMap;

use serde::Serialize;
use steward_proto::transcode::v1::{self as pb, watch_workers_response as step};

use crate::cli::farm::schedule::Schedule;
use crate::cli::json::word;
use crate::cli::time;

#[expect(clippy::struct_field_names, reason = "the names are the protocol's")]
#[derive(Debug, Serialize)]
pub(super) struct Worker {
    worker_id: i32,
    worker_name: String,
    worker_type: String,
    support_vr: bool,
    state: String,
    offline_action: Option<String>,
    last_heartbeat_time: Option<String>,
    task_ids: Vec<String>,
    labels: BTreeMap<String, String>,
    constraints: Constraints,
    max_concurrent: i32,
    version: String,
    schedule: Schedule,
    paused: bool,
    drain_deadline_time: Option<String>,
    offline_time: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Constraints {
    max_height: i32,
    codecs: Vec<String>,
    libraries: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Watched {
    revision: i64,
    #[serde(flatten)]
    update: Update,
}

/// A step of a watch: one of its fields.
#[expect(clippy::large_enum_variant, reason = "it is written at once")]
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Update {
    Worker(Worker),
    DeletedWorkerId(i32),
    SnapshotEnd {},
}

/// What was done to a worker that has nothing more to say.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    worker_id: i32,
    worker_name: String,
    done: &'static str,
}

impl From<pb::Worker> for Worker {
    fn from(worker: pb::Worker) -> Self {
        let action = worker.offline_action();
        let action = (action != pb::OfflineAction::Unspecified).then(|| word(action.as_str_name(), "OFFLINE_ACTION_"));
        Worker {
            worker_type: word(worker.worker_type().as_str_name(), "WORKER_TYPE_"),
            state: word(worker.state().as_str_name(), "WORKER_STATE_"),
            offline_action: action,
            worker_id: worker.worker_id,
            worker_name: worker.worker_name,
            support_vr: worker.support_vr,
            last_heartbeat_time: time::json(worker.last_heartbeat_time),
            task_ids: worker.task_ids,
            labels: worker.labels.into_iter().collect(),
            constraints: worker.constraints.map(Constraints::from).unwrap_or_default(),
            max_concurrent: worker.max_concurrent,
            version: worker.version,
            schedule: worker.schedule.map(Schedule::from).unwrap_or_default(),
            paused: worker.paused,
            drain_deadline_time: time::json(worker.drain_deadline_time),
            offline_time: time::json(worker.offline_time),
        }
    }
}

impl From<pb::Constraints> for Constraints {
    fn from(constraints: pb::Constraints) -> Self {
        let pb::Constraints { max_height, codecs, libraries } = constraints;
        Constraints { max_height, codecs, libraries }
    }
}

impl Watched {
    pub(super) fn new(revision: i64, update: step::Update) -> Self {
        let update = match update {
            step::Update::Worker(worker) => Update::Worker(worker.into()),
            step::Update::DeletedWorkerId(id) => Update::DeletedWorkerId(id),
            step::Update::SnapshotEnd(_) => Update::SnapshotEnd {},
        };
        Watched { revision, update }
    }
}

impl Outcome {
    pub(super) fn new(worker: pb::Worker, done: &'static str) -> Self {
        Outcome { worker_id: worker.worker_id, worker_name: worker.worker_name, done }
    }
}

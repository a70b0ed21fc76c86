//! Snapshots, and what differs between them.

use std::collections::BTreeMap;

use serde::Serialize;
use steward_proto::volume::v1 as pb;

use crate::cli::json::word;
use crate::cli::time;
use crate::cli::volume::labels;

#[derive(Debug, Serialize)]
pub(in crate::cli::volume) struct Snapshot {
    uuid: String,
    name: String,
    volume_path: String,
    volume_id: u64,
    owner: String,
    seq: u64,
    state: String,
    progress_percent: u32,
    size_bytes: u64,
    child_count: u32,
    protected: bool,
    locked_until: Option<String>,
    create_time: Option<String>,
    expire_time: Option<String>,
    labels: BTreeMap<String, String>,
    group: String,
    policy: String,
    unique_bytes: u64,
    hidden: bool,
    pool: String,
}

#[derive(Debug, Serialize)]
pub(in crate::cli::volume) struct Extent {
    offset: u64,
    length: u64,
    is_zero: bool,
}

impl From<pb::Snapshot> for Snapshot {
    fn from(snapshot: pb::Snapshot) -> Self {
        Snapshot {
            state: word(snapshot.state().as_str_name(), "SNAPSHOT_STATE_"),
            uuid: snapshot.uuid,
            name: snapshot.name,
            volume_path: snapshot.volume_path,
            volume_id: snapshot.volume_id,
            owner: snapshot.owner,
            seq: snapshot.seq,
            progress_percent: snapshot.progress_percent,
            size_bytes: snapshot.size_bytes,
            child_count: snapshot.child_count,
            protected: snapshot.protected,
            locked_until: time::json(snapshot.locked_until),
            create_time: time::json(snapshot.create_time),
            expire_time: time::json(snapshot.expire_time),
            labels: labels::sorted(snapshot.labels),
            group: snapshot.group,
            policy: snapshot.policy,
            unique_bytes: snapshot.unique_bytes,
            hidden: snapshot.hidden,
            pool: snapshot.pool,
        }
    }
}

impl From<pb::Extent> for Extent {
    fn from(extent: pb::Extent) -> Self {
        Extent { offset: extent.offset, length: extent.length, is_zero: extent.is_zero }
    }
}

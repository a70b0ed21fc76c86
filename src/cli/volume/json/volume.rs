//! Volumes and directories.

use std::collections::BTreeMap;

use serde::Serialize;
use steward_proto::volume::v1 as pb;

use crate::cli::json::word;
use crate::cli::time;
use crate::cli::volume::labels;

#[derive(Debug, Serialize)]
pub(in crate::cli::volume) struct Volume {
    id: u64,
    path: String,
    kind: String,
    owner: String,
    state: String,
    size_bytes: u64,
    used_bytes: u64,
    unique_bytes: u64,
    shared_bytes: u64,
    stripe_unit: u64,
    stripe_count: u64,
    pool: String,
    read_only: bool,
    seq: u64,
    parent_snapshot: String,
    progress_percent: u32,
    current_operation: String,
    open_sessions: u32,
    labels: BTreeMap<String, String>,
    create_time: Option<String>,
    purge_time: Option<String>,
    original_path: String,
    etag: String,
    protected: bool,
    checksums: bool,
    snapshot_count: u32,
    entry_count: u64,
    policies: Vec<String>,
}

impl From<pb::Volume> for Volume {
    fn from(volume: pb::Volume) -> Self {
        Volume {
            kind: word(volume.kind().as_str_name(), "VOLUME_KIND_"),
            state: word(volume.state().as_str_name(), "VOLUME_STATE_"),
            id: volume.id,
            path: volume.path,
            owner: volume.owner,
            size_bytes: volume.size_bytes,
            used_bytes: volume.used_bytes,
            unique_bytes: volume.unique_bytes,
            shared_bytes: volume.shared_bytes,
            stripe_unit: volume.stripe_unit,
            stripe_count: volume.stripe_count,
            pool: volume.pool,
            read_only: volume.read_only,
            seq: volume.seq,
            parent_snapshot: volume.parent_snapshot,
            progress_percent: volume.progress_percent,
            current_operation: volume.current_operation,
            open_sessions: volume.open_sessions,
            labels: labels::sorted(volume.labels),
            create_time: time::json(volume.create_time),
            purge_time: time::json(volume.purge_time),
            original_path: volume.original_path,
            etag: volume.etag,
            protected: volume.protected,
            checksums: volume.checksums,
            snapshot_count: volume.snapshot_count,
            entry_count: volume.entry_count,
            policies: volume.policies,
        }
    }
}

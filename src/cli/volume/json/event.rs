//! What a watch tells.

use serde::Serialize;
use steward_proto::volume::v1 as pb;

use super::{Snapshot, Volume};
use crate::cli::json::word;

#[derive(Debug, Serialize)]
pub(in crate::cli::volume) struct VolumeEvent {
    revision: u64,
    r#type: String,
    volume: Option<Volume>,
}

#[derive(Debug, Serialize)]
pub(in crate::cli::volume) struct SnapshotEvent {
    revision: u64,
    r#type: String,
    snapshot: Option<Snapshot>,
}

impl From<pb::VolumeEvent> for VolumeEvent {
    fn from(event: pb::VolumeEvent) -> Self {
        let r#type = word(event.r#type().as_str_name(), "VOLUME_EVENT_TYPE_");
        VolumeEvent { revision: event.revision, r#type, volume: event.volume.map(Volume::from) }
    }
}

impl From<pb::SnapshotEvent> for SnapshotEvent {
    fn from(event: pb::SnapshotEvent) -> Self {
        let r#type = word(event.r#type().as_str_name(), "SNAPSHOT_EVENT_TYPE_");
        SnapshotEvent { revision: event.revision, r#type, snapshot: event.snapshot.map(Snapshot::from) }
    }
}

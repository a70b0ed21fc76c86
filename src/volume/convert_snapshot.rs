//! Snapshots as messages.

use steward_proto::volume::v1 as api;

use super::convert::when;
use super::snapshots::ShownSnapshot;

/// A snapshot.
pub(super) fn snapshot(shown: ShownSnapshot) -> api::Snapshot {
    let ShownSnapshot { record, path, pool, deleted_percent, unique_bytes } = shown;
    let (state, progress_percent) = if record.is_deleting {
        (api::SnapshotState::Deleting, deleted_percent)
    } else {
        (api::SnapshotState::Done, 100)
    };
    api::Snapshot {
        uuid: record.uuid,
        name: record.name,
        volume_path: path.to_string(),
        volume_id: record.volume_id,
        owner: record.owner,
        seq: record.seq,
        state: state.into(),
        progress_percent,
        size_bytes: record.size_bytes,
        child_count: record.child_count,
        protected: record.protected,
        locked_until: when(record.locked_until_us),
        create_time: when(record.create_us),
        expire_time: when(record.expire_us),
        labels: record.labels,
        group: record.group,
        policy: record.policy,
        unique_bytes: unique_bytes.unwrap_or(0),
        hidden: record.hidden,
        pool,
    }
}

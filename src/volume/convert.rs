//! Volumes as messages.

use steward_proto::volume::v1 as api;

use super::lookup::ShownVolume;
use crate::store::Revision;

/// A time of a record; nothing for 0.
pub(super) fn when(micros: u64) -> Option<prost_types::Timestamp> {
    let seconds = i64::try_from(micros / 1_000_000).ok()?;
    let nanos = i32::try_from(micros % 1_000_000).ok()? * 1000;
    (micros != 0).then_some(prost_types::Timestamp { seconds, nanos })
}

/// The etag of something: the revision of its last change.
pub(super) fn etag(revision: Revision) -> String {
    revision.to_string()
}

/// A volume or directory.
pub(super) fn volume(shown: ShownVolume) -> api::Volume {
    let (state, kind) = (state(&shown), kind(&shown));
    let ShownVolume { record, revision, path, progress_percent, open_sessions, space } = shown;
    let (trash, space) = (record.trash.unwrap_or_default(), space.unwrap_or_default());
    api::Volume {
        id: record.id,
        path: path.to_string(),
        kind: kind.into(),
        owner: record.owner,
        state: state.into(),
        size_bytes: record.size_bytes,
        used_bytes: space.used_bytes(),
        unique_bytes: space.unique_bytes,
        shared_bytes: space.shared_bytes,
        stripe_unit: record.stripe_unit,
        stripe_count: record.stripe_count,
        pool: record.pool,
        read_only: record.read_only,
        seq: record.seq,
        parent_snapshot: record.parent_snapshot,
        progress_percent,
        current_operation: record.operation,
        open_sessions,
        labels: record.labels,
        create_time: when(record.create_us),
        purge_time: when(trash.purge_us),
        original_path: trash.original_path,
        etag: etag(revision),
        protected: record.protected,
        checksums: record.checksums,
        snapshot_count: record.snapshot_count,
        entry_count: record.entry_count,
        policies: record.policies,
    }
}

fn kind(shown: &ShownVolume) -> api::VolumeKind {
    if shown.record.is_directory { api::VolumeKind::Directory } else { api::VolumeKind::Volume }
}

fn state(shown: &ShownVolume) -> api::VolumeState {
    if shown.record.trash.is_some() {
        api::VolumeState::Trashed
    } else if shown.is_flattening() {
        api::VolumeState::Flattening
    } else if !shown.record.parent_snapshot.is_empty() {
        api::VolumeState::Unflattened
    } else {
        api::VolumeState::Ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_a_record_keeps_its_microseconds() {
        assert_eq!(when(0), None);
        assert_eq!(
            when(1_696_761_378_914_477),
            Some(prost_types::Timestamp { seconds: 1_696_761_378, nanos: 914_477_000 })
        );
    }
}

//! Operations, exports and what is found by a scrub as messages.

use steward_proto::volume::v1 as api;

use super::catalog::micros;
use super::convert::when;
use super::driver::FindingKind;
use super::exports::ShownExport;
use super::operations::ShownOperation;
use super::scrub::{LayerFinding, ScrubStep, Wrong};

/// An operation.
pub(super) fn operation(shown: ShownOperation) -> api::Operation {
    let ShownOperation { record, bytes_done, bytes_total, percent } = shown;
    api::Operation {
        uuid: record.uuid,
        r#type: record.r#type,
        state: record.state,
        owner: record.owner,
        source: record.source,
        source_is_volume: record.source_is_volume,
        target: record.target,
        target_id: record.target_id,
        lazy: record.lazy,
        bytes_done,
        bytes_total,
        progress_percent: percent,
        bytes_per_second: record.bytes_per_second,
        error_message: record.error_message,
        create_time: when(record.create_us),
        end_time: when(record.end_us),
    }
}

/// An export or a session.
pub(super) fn export(shown: ShownExport) -> api::Export {
    api::Export {
        uuid: shown.uuid.to_string(),
        volume_id: shown.volume,
        volume_path: shown.path,
        snapshot: shown.snapshot.map_or_else(String::new, |uuid| uuid.to_string()),
        read_only: shown.is_read_only,
        exclusive: shown.is_exclusive,
        user: shown.user,
        uris: shown.uris,
        expire_time: shown.expires.and_then(|time| when(micros(time))),
        peer: shown.peer,
        create_time: when(micros(shown.created)),
        read_bytes: shown.read_bytes,
        written_bytes: shown.written_bytes,
    }
}

/// How far a scrub has come.
pub(super) fn scrub_step(step: ScrubStep) -> api::ScrubVolumesResponse {
    let ScrubStep { layers_done, layers_total, blocks, verified, findings, more_findings, is_done } = step;
    api::ScrubVolumesResponse {
        layers_done,
        layers_total,
        blocks,
        verified,
        findings: findings.iter().map(finding).collect(),
        more_findings,
        done: is_done,
    }
}

fn finding(finding: &LayerFinding) -> api::ScrubFinding {
    let LayerFinding { kind, layer, offset, length, is_repaired } = *finding;
    api::ScrubFinding { kind: word(kind).to_owned(), layer: layer.0, offset, length, is_repaired }
}

fn word(kind: Wrong) -> &'static str {
    match kind {
        Wrong::Bytes(FindingKind::MissingFile) => "missing_file",
        Wrong::Bytes(FindingKind::MapLost) => "map_lost",
        Wrong::Bytes(FindingKind::MapCopyDamaged) => "map_copy_damaged",
        Wrong::Bytes(FindingKind::BeyondEnd) => "beyond_end",
        Wrong::Bytes(FindingKind::UnmappedData) => "unmapped_data",
        Wrong::Bytes(FindingKind::ChecksumMismatch) => "checksum_mismatch",
        Wrong::OrphanLayer => "orphan_layer",
        Wrong::ReferenceCount => "reference_count",
    }
}

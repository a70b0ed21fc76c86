//! Volumes, snapshots and tasks as rows of lists. Every key is always there: clients read them without looking.

use prost_types::Timestamp;
use steward_proto::volume::v1::{
    Operation, OperationState, OperationType, Snapshot, SnapshotState, Volume, VolumeKind, VolumeState,
};

use super::styled::{Object, Value};

/// The states of snapshots in the order of their numbers.
pub(super) const SNAPSHOT_STATES: [SnapshotState; 6] = [
    SnapshotState::Done,
    SnapshotState::Pending,
    SnapshotState::Deleting,
    SnapshotState::ErrorDeleting,
    SnapshotState::Canceling,
    SnapshotState::Error,
];

/// What a clone that reads from its parent has, whatever it copied.
const INSTALLED_PROGRESS: u64 = 5;
const FULL: u64 = 100;

/// A volume or directory.
pub(super) fn file(volume: &Volume) -> Object {
    let r#type = match volume.kind() {
        VolumeKind::Volume => 0,
        VolumeKind::Directory => 1,
        VolumeKind::Unspecified => 2,
    };
    let (status, progress) = match volume.state() {
        VolumeState::Flattening => (1, u64::from(volume.progress_percent).min(FULL - 1)),
        VolumeState::Unflattened => (2, 0),
        VolumeState::Ready | VolumeState::Trashed | VolumeState::Unspecified => (0, FULL),
    };
    Object::from([
        ("File", Value::from(volume.path.as_str())),
        ("FileLength", Value::Number(volume.size_bytes)),
        ("Progress", Value::Number(progress)),
        ("Readonly", Value::Flag(volume.read_only)),
        ("Status", Value::Number(status)),
        ("StripeCount", Value::Number(volume.stripe_count)),
        ("StripeUnit", Value::Number(volume.stripe_unit)),
        ("Time", Value::Number(micros(volume.create_time))),
        ("Type", Value::Number(r#type)),
        ("User", Value::from(volume.owner.as_str())),
    ])
}

/// A snapshot.
pub(super) fn snapshot(snapshot: &Snapshot) -> Object {
    let place = SNAPSHOT_STATES.iter().position(|state| *state == snapshot.state());
    // A state that nobody knows is an error.
    let status = place.unwrap_or(SNAPSHOT_STATES.len() - 1);
    let is_done = snapshot.state() == SnapshotState::Done;
    let progress = if is_done { FULL } else { u64::from(snapshot.progress_percent).min(FULL) };
    Object::from([
        ("File", Value::from(snapshot.volume_path.as_str())),
        ("FileLength", Value::Number(snapshot.size_bytes)),
        ("Name", Value::from(snapshot.name.as_str())),
        ("Progress", Value::Number(progress)),
        ("SeqNum", Value::Number(snapshot.seq)),
        ("Status", Value::Number(status as u64)),
        ("Time", Value::Number(micros(snapshot.create_time))),
        ("UUID", Value::from(snapshot.uuid.as_str())),
        ("User", Value::from(snapshot.owner.as_str())),
    ])
}

/// A clone or a rollback.
pub(super) fn task(operation: &Operation) -> Object {
    let is_rollback = operation.r#type() == OperationType::Rollback;
    Object::from([
        ("File", Value::from(operation.target.as_str())),
        ("FileType", Value::Number(u64::from(!operation.source_is_volume))),
        ("IsLazy", Value::Flag(operation.lazy)),
        ("NextStep", Value::Number(next_step(operation))),
        ("Progress", Value::Number(task_progress(operation))),
        ("Src", Value::from(operation.source.as_str())),
        ("TaskStatus", Value::Number(task_status(operation))),
        ("TaskType", Value::Number(u64::from(is_rollback))),
        ("Time", Value::Number(micros(operation.create_time))),
        ("UUID", Value::from(operation.uuid.as_str())),
        ("User", Value::from(operation.owner.as_str())),
    ])
}

fn task_status(operation: &Operation) -> u64 {
    match operation.state() {
        OperationState::Succeeded => 0,
        OperationState::Queued | OperationState::Running | OperationState::Paused => {
            if operation.r#type() == OperationType::Rollback { 2 } else { 1 }
        }
        OperationState::Canceling => 3,
        OperationState::Failed | OperationState::Cancelled | OperationState::Unspecified => 5,
        OperationState::Retrying => 6,
        OperationState::MetaInstalled => 7,
    }
}

/// The step that a task of the original would take next: 8 is the end, 4 copies what a clone in use still lacks, and 2
/// what one lacks that cannot be used yet.
fn next_step(operation: &Operation) -> u64 {
    match operation.state() {
        OperationState::Succeeded => 8,
        OperationState::MetaInstalled => 4,
        _ if operation.lazy => 4,
        _ => 2,
    }
}

fn task_progress(operation: &Operation) -> u64 {
    match operation.state() {
        OperationState::Succeeded => FULL,
        OperationState::MetaInstalled => INSTALLED_PROGRESS,
        _ => u64::from(operation.progress_percent).min(FULL),
    }
}

/// Microseconds since 1970; 0 for what has no time.
fn micros(time: Option<Timestamp>) -> u64 {
    let time = time.unwrap_or_default();
    let seconds = u64::try_from(time.seconds).unwrap_or_default();
    let micros = u64::try_from(time.nanos / 1000).unwrap_or_default();
    seconds.saturating_mul(1_000_000).saturating_add(micros)
}

//! Clones and what becomes of them: `Clone`, `Recover`, `Flatten` and `GetCloneRefStatus`.
//!
//! Quirk: `Clone` has two forms. With `File` and `Name` it is of that snapshot; with `Source` and `Lazy` of a snapshot
//! by its UUID, or of a volume by its path. The first wins.
//! Quirk: a task is the operation of the same UUID, of either form.

use steward_proto::volume::v1::clone_snapshot_request::Source;
use steward_proto::volume::v1::{
    CloneSnapshotRequest, FlattenVolumeRequest, GetOperationRequest, ListChildrenRequest, ListChildrenResponse,
    OperationState, OperationType, RollbackVolumeRequest, SnapshotName, Volume, VolumeName, VolumeState,
};

use super::answer::Answer;
use super::code::Code;
use super::query::Query;
use super::refusal::Refusal;
use super::styled::{Object, Value};
use super::{Asked, at};

/// Handles `Clone`. The same clone again is no error.
pub(super) async fn clone(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let query = &asked.query;
    let user = query.required("User")?;
    let destination = query.required("Destination")?;
    let form = form(query)?;
    // Without a value it is no request, but it need not be there.
    let pool = if query.has("Poolset") { query.required("Poolset")? } else { String::new() };
    let message = CloneSnapshotRequest { user, destination, pool, ..form };
    let call = asked.call("CloneSnapshot");
    let cloned = call.run(asked.storage.snapshots.clone().clone_snapshot(call.request(message))).await;
    let cloned = cloned.map_err(|failure| Refusal::of(&failure, asked.action))?;
    let operation = cloned.operation.ok_or_else(|| Refusal::broken(&call, "no operation"))?;
    Ok(Answer::done().with("UUID", Value::Text(operation.uuid)))
}

/// What the form of a request says: of what the clone is, and how.
fn form(query: &Query<'_>) -> Result<CloneSnapshotRequest, Refusal> {
    let volume_path = query.text("File")?;
    let name = query.text("Name")?;
    if !volume_path.is_empty() && !name.is_empty() {
        return Ok(CloneSnapshotRequest {
            source: Some(Source::Snapshot(SnapshotName { volume_path, name, ..SnapshotName::default() })),
            read_only: query.flag("Readonly")?.unwrap_or(false),
            ..CloneSnapshotRequest::default()
        });
    }
    let source = match named(query.required("Source")?) {
        Named::Volume(volume) => Source::Volume(volume),
        Named::Snapshot(snapshot) => Source::Snapshot(snapshot),
    };
    let is_lazy = query.flag("Lazy")?.ok_or(Refusal::malformed("Lazy"))?;
    Ok(CloneSnapshotRequest { source: Some(source), full_copy: !is_lazy, ..CloneSnapshotRequest::default() })
}

/// What `Source` names: paths start with a slash, UUIDs do not.
enum Named {
    Volume(VolumeName),
    Snapshot(SnapshotName),
}

fn named(source: String) -> Named {
    if source.starts_with('/') {
        Named::Volume(VolumeName { path: source, ..VolumeName::default() })
    } else {
        Named::Snapshot(SnapshotName { uuid: source, ..SnapshotName::default() })
    }
}

/// Handles `Recover`, which is documented as not supported yet.
pub(super) async fn recover(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let query = &asked.query;
    let user = query.required("User")?;
    let snapshot = query.required("Source")?;
    let destination = query.required("Destination")?;
    // A rollback takes but a moment, lazy or not.
    query.flag("Lazy")?.ok_or(Refusal::malformed("Lazy"))?;
    if !asked.storage.options.volumes.rollback {
        return Err(Code::Unsupported.into());
    }
    let call = asked.call("RollbackVolume");
    let message =
        RollbackVolumeRequest { user, volume: at(&destination), snapshot, ..RollbackVolumeRequest::default() };
    let done = call.run(asked.storage.volumes.clone().rollback_volume(call.request(message))).await;
    let done = done.map_err(|failure| Refusal::of(&failure, asked.action))?;
    let operation = done.operation.ok_or_else(|| Refusal::broken(&call, "no operation"))?;
    Ok(Answer::done().with("UUID", Value::Text(operation.uuid)))
}

/// Handles `Flatten` of a volume, or of what a task made. What is flat, or is being flattened, is no error.
pub(super) async fn flatten(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let user = asked.query.required("User")?;
    let path = asked.query.text("File")?;
    let uuid = asked.query.text("UUID")?;
    let volume = match (path.is_empty(), uuid.is_empty()) {
        (false, _) => at(&path),
        (true, false) => target(asked, &user, uuid).await?,
        (true, true) => return Err(Refusal::malformed("File")),
    };
    let Some(volume) = volume else { return Ok(Answer::done()) };
    let call = asked.call("FlattenVolume");
    let message = FlattenVolumeRequest { user, volume: Some(volume), ..FlattenVolumeRequest::default() };
    let flattened = call.run(asked.storage.volumes.clone().flatten_volume(call.request(message))).await;
    flattened.map_err(|failure| Refusal::of(&failure, asked.action))?;
    Ok(Answer::done())
}

/// The volume that a task made; `None` if the task does all there is to do.
async fn target(asked: &Asked<'_>, user: &str, uuid: String) -> Result<Option<VolumeName>, Refusal> {
    let call = asked.call("GetOperation");
    let message = GetOperationRequest { user: user.to_owned(), uuid };
    let found = call.run(asked.storage.operations.clone().get_operation(call.request(message))).await;
    let found = found.map_err(|failure| Refusal::of(&failure, asked.action))?;
    let operation = found.operation.ok_or_else(|| Refusal::broken(&call, "no operation"))?;
    if !matches!(operation.r#type(), OperationType::Clone | OperationType::Rollback) {
        return Err(Code::NotFound.into());
    }
    match operation.state() {
        OperationState::MetaInstalled => Ok(Some(VolumeName { id: operation.target_id, ..VolumeName::default() })),
        OperationState::Succeeded
        | OperationState::Queued
        | OperationState::Running
        | OperationState::Paused
        | OperationState::Retrying => Ok(None),
        OperationState::Canceling
        | OperationState::Failed
        | OperationState::Cancelled
        | OperationState::Unspecified => Err(Code::BadState.into()),
    }
}

/// Handles `GetCloneRefStatus`: whether clones need a snapshot or a volume.
///
/// Quirk: 0 is no, 1 is yes, and 2 asks the client to look at the clones, which read from it until they are flattened.
pub(super) async fn references(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let user = asked.query.required("User")?;
    let message = match named(asked.query.required("Source")?) {
        Named::Volume(volume) => ListChildrenRequest { user, volume: Some(volume), snapshot: None },
        Named::Snapshot(snapshot) => ListChildrenRequest { user, snapshot: Some(snapshot), volume: None },
    };
    let call = asked.call("ListChildren");
    let listed = call.run(asked.storage.snapshots.clone().list_children(call.request(message))).await;
    let children = match listed.map_err(|failure| Refusal::of(&failure, asked.action)) {
        Ok(ListChildrenResponse { volumes }) => volumes,
        // What is not there is needed by nobody.
        Err(Refusal { code: Code::NotFound | Code::InvalidArgument, .. }) => vec![],
        Err(refusal) => return Err(refusal),
    };
    Ok(reference_status(&children))
}

fn reference_status(children: &[Volume]) -> Answer {
    let is_copied = children.iter().any(|child| child.state() == VolumeState::Flattening);
    let unflattened = children.iter().filter(|child| child.state() == VolumeState::Unflattened);
    let to_look_at: Vec<Object> = if is_copied { vec![] } else { unflattened.map(reference).collect() };
    let status = if is_copied { 1 } else { u64::from(!to_look_at.is_empty()) * 2 };
    let answer = Answer::done().with("RefStatus", Value::Number(status));
    let answer = answer.with("TotalCount", Value::Number(to_look_at.len() as u64));
    if status == 2 { answer.with("CloneFileInfo", Value::List(to_look_at)) } else { answer }
}

fn reference(child: &Volume) -> Object {
    Object::from([
        ("File", Value::from(child.path.as_str())),
        ("Inode", Value::Number(child.id)),
        ("User", Value::from(child.owner.as_str())),
    ])
}

//! Snapshots: `CreateSnapshot`, `DeleteSnapshot`, `CancelSnapshot`, `GetFileSnapshotInfo` and `GetFileSnapshotList`.
//!
//! Quirk: a snapshot is named by its volume and `Name`, or by `UUID`. To delete one the name wins, to read one the UUID.

use steward_proto::volume::v1::{
    CancelSnapshotRequest, ChildPolicy, CreateSnapshotRequest, DeleteSnapshotRequest, GetSnapshotRequest,
    ListSnapshotsRequest, SnapshotName,
};

use super::answer::Answer;
use super::code::Code;
use super::page::{Page, Paging};
use super::refusal::Refusal;
use super::row::SNAPSHOT_STATES;
use super::styled::{Object, Value};
use super::{Asked, at, row};

/// Handles `CreateSnapshot`. A snapshot of that name is answered as it is.
pub(super) async fn create(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let message = CreateSnapshotRequest {
        user: asked.query.required("User")?,
        volume: at(&asked.query.required("File")?),
        name: asked.query.required("Name")?,
        ..CreateSnapshotRequest::default()
    };
    let call = asked.call("CreateSnapshot");
    let created = call.run(asked.storage.snapshots.clone().create_snapshot(call.request(message))).await;
    let created = created.map_err(|failure| Refusal::of(&failure, asked.action))?;
    let snapshot = created.snapshot.ok_or_else(|| Refusal::broken(&call, "no snapshot"))?;
    Ok(Answer::done().with("UUID", Value::Text(snapshot.uuid)))
}

/// Handles `DeleteSnapshot`. Its space is given back later.
pub(super) async fn delete(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let user = asked.query.required("User")?;
    let volume_path = asked.query.required("File")?;
    let name = asked.query.text("Name")?;
    let uuid = if name.is_empty() { asked.query.text("UUID")? } else { String::new() };
    if name.is_empty() && uuid.is_empty() {
        return Err(Refusal::malformed("Name"));
    }
    let message = DeleteSnapshotRequest {
        user,
        snapshot: Some(SnapshotName { uuid, volume_path, name }),
        child_policy: ChildPolicy::Fail.into(),
    };
    let call = asked.call("DeleteSnapshot");
    let deleted = call.run(asked.storage.snapshots.clone().delete_snapshot(call.request(message))).await;
    match deleted.map_err(|failure| Refusal::of(&failure, asked.action)) {
        Ok(_) | Err(Refusal { code: Code::NotFound, .. }) => Ok(Answer::done()),
        Err(refusal) => Err(refusal),
    }
}

/// Handles `CancelSnapshot`.
pub(super) async fn cancel(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let user = asked.query.required("User")?;
    let volume_path = asked.query.required("File")?;
    let uuid = asked.query.required("UUID")?;
    let snapshot = Some(SnapshotName { uuid, volume_path, ..SnapshotName::default() });
    let call = asked.call("CancelSnapshot");
    let message = CancelSnapshotRequest { user, snapshot };
    let cancelled = call.run(asked.storage.snapshots.clone().cancel_snapshot(call.request(message))).await;
    cancelled.map_err(|failure| Refusal::of(&failure, asked.action))?;
    Ok(Answer::done())
}

/// Handles `GetFileSnapshotInfo`: one snapshot, or those of a volume.
pub(super) async fn info(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let query = &asked.query;
    let user = query.required("User")?;
    let uuid = query.text("UUID")?;
    let volume_path = if uuid.is_empty() { query.required("File")? } else { query.text("File")? };
    let name = if uuid.is_empty() { query.text("Name")? } else { String::new() };
    let paging = Paging::of(query)?;
    let page = if uuid.is_empty() && name.is_empty() {
        let message = ListSnapshotsRequest { user, volume: at(&volume_path), ..ListSnapshotsRequest::default() };
        let page = gather(asked, paging, message).await;
        // A volume that cannot be has no snapshots.
        page.or_else(|refusal| or_empty(refusal, &[Code::NotFound, Code::InvalidArgument]))?
    } else {
        paging.of_one(get(asked, user, SnapshotName { uuid, volume_path, name }).await?)
    };
    Ok(page.answer("Snapshots"))
}

/// Handles `GetFileSnapshotList`: the snapshots of everybody, as far as they match.
pub(super) async fn list(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let query = &asked.query;
    let path = query.text("File")?;
    let status = query.text("Status")?;
    let states = states(&status);
    let message = ListSnapshotsRequest {
        volume: if path.is_empty() { None } else { at(&path) },
        owner: query.text("User")?,
        uuid: query.text("UUID")?,
        states: states.iter().copied().collect(),
        ..ListSnapshotsRequest::default()
    };
    let page = gather(asked, Paging::of(query)?, message).await;
    // A volume that cannot be has no snapshots.
    let page = page.or_else(|refusal| or_empty(refusal, &[Code::NotFound, Code::InvalidArgument]))?;
    // Asked all the same, because only the service knows who may ask.
    let can_match = status.is_empty() || states.is_some();
    Ok(if can_match { page } else { Page::empty() }.answer("Snapshots"))
}

/// The state of a number, which has to be written as it is answered.
fn states(status: &str) -> Option<i32> {
    let mut numbered = SNAPSHOT_STATES.iter().enumerate();
    numbered.find(|(number, _)| number.to_string() == status).map(|(_, state)| i32::from(*state))
}

/// Takes refusals that only say that there is nothing for a list without rows.
pub(super) fn or_empty(refusal: Refusal, nothing: &[Code]) -> Result<Page, Refusal> {
    if nothing.contains(&refusal.code) { Ok(Page::empty()) } else { Err(refusal) }
}

async fn get(asked: &Asked<'_>, user: String, name: SnapshotName) -> Result<Object, Refusal> {
    let call = asked.call("GetSnapshot");
    let message = GetSnapshotRequest { user, snapshot: Some(name), ..GetSnapshotRequest::default() };
    let found = call.run(asked.storage.snapshots.clone().get_snapshot(call.request(message))).await;
    let found = found.map_err(|failure| Refusal::of(&failure, asked.action))?;
    let snapshot = found.snapshot.ok_or_else(|| Refusal::broken(&call, "no snapshot"))?;
    Ok(row::snapshot(&snapshot))
}

async fn gather(asked: &Asked<'_>, paging: Paging, message: ListSnapshotsRequest) -> Result<Page, Refusal> {
    let gathering = paging.gather(async |window| {
        let call = asked.call("ListSnapshots");
        let message = ListSnapshotsRequest { page_size: window.page_size, skip: window.skip, ..message.clone() };
        let listed = call.run(asked.storage.snapshots.clone().list_snapshots(call.request(message))).await;
        let listed = listed.map_err(|failure| Refusal::of(&failure, asked.action))?;
        Ok(Page { rows: listed.snapshots.iter().map(row::snapshot).collect(), total: listed.total_size })
    });
    gathering.await
}

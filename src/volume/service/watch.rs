//! Watches as streams of messages.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use steward_proto::volume::v1 as api;
use tonic::Status;

use super::VolumeServer;
use super::rights::Asker;
use crate::error::Failure;
use crate::store::Revision;
use crate::volume::convert;
use crate::volume::convert_snapshot;
use crate::volume::error::Error;
use crate::volume::keys;
use crate::volume::lookup::ShownVolume;
use crate::volume::snapshots::ShownSnapshot;
use crate::volume::watch::{Step, Steps};

type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// The changes of volumes behind a revision; 0: begin with all as they are.
pub(super) fn volumes(
    server: &VolumeServer,
    asker: Asker,
    revision: u64,
) -> Result<Answers<api::WatchVolumesResponse>, Error> {
    let place = server.watcher(asker.reach.caller())?;
    let steps = server.catalog.watch_volumes(asker.reach, begin(revision), place);
    Ok(answers(steps, |step| api::WatchVolumesResponse { event: Some(volume_event(step)) }))
}

/// The changes of the snapshots of a user behind a revision; 0: begin with all as they are.
pub(super) fn snapshots(
    server: &VolumeServer,
    asker: Asker,
    revision: u64,
) -> Result<Answers<api::WatchSnapshotsResponse>, Error> {
    let place = server.watcher(asker.reach.caller())?;
    let steps = server.catalog.watch_snapshots(asker.user, asker.reach, begin(revision), place);
    Ok(answers(steps, |step| api::WatchSnapshotsResponse { event: Some(snapshot_event(step)) }))
}

fn begin(revision: u64) -> Option<Revision> {
    (revision != 0).then_some(Revision(revision))
}

fn answers<T: Send + 'static, M: 'static>(steps: Steps<T>, message: fn(Step<T>) -> M) -> Answers<M> {
    let steps = stream::unfold(steps, |mut steps| async move { Some((steps.recv().await?, steps)) });
    steps.map(move |step| step.map(message).map_err(|error| Status::from(Failure::from(error)))).boxed()
}

fn volume_event(step: Step<ShownVolume>) -> api::VolumeEvent {
    use api::VolumeEventType as Type;
    let (event, volume, revision) = match step {
        Step::Current(volume) => (Type::Current, Some(convert::volume(volume)), Revision(0)),
        Step::Changed(volume, revision) => (Type::Changed, Some(convert::volume(volume)), revision),
        Step::Gone(key, revision) => {
            let id = keys::first_number(&key).unwrap_or(0);
            (Type::Purged, Some(api::Volume { id, ..api::Volume::default() }), revision)
        }
        Step::Progress(revision) => (Type::Progress, None, revision),
    };
    api::VolumeEvent { r#type: event.into(), volume, revision: revision.0 }
}

fn snapshot_event(step: Step<ShownSnapshot>) -> api::SnapshotEvent {
    use api::SnapshotEventType as Type;
    let (event, snapshot, revision) = match step {
        Step::Current(shown) => (Type::Current, Some(convert_snapshot::snapshot(shown)), Revision(0)),
        Step::Changed(shown, revision) => (Type::Changed, Some(convert_snapshot::snapshot(shown)), revision),
        Step::Gone(key, revision) => {
            let uuid = keys::active_uuid(&key).map(|uuid| uuid.to_string()).unwrap_or_default();
            (Type::Deleted, Some(api::Snapshot { uuid, ..api::Snapshot::default() }), revision)
        }
        Step::Progress(revision) => (Type::Progress, None, revision),
    };
    api::SnapshotEvent { r#type: event.into(), snapshot, revision: revision.0 }
}

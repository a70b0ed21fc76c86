//! Snapshots.

use futures::{StreamExt as _, stream};
use steward_proto::volume::v1 as pb;
use steward_proto::volume::v1::snapshot_service_server::SnapshotService;
use tonic::{Code, Request, Response, Status};

use super::{Sent, Service, page, sent};
use crate::cli::testing::{Answer, not_here, refusal};

fn snapshot(volume: &pb::VolumeName, name: &str) -> pb::Snapshot {
    pb::Snapshot {
        uuid: format!("uuid of {}@{name}", volume.path),
        name: name.to_owned(),
        volume_path: volume.path.clone(),
        state: pb::SnapshotState::Done.into(),
        ..pb::Snapshot::default()
    }
}

#[tonic::async_trait]
impl SnapshotService for Service {
    type DiffSnapshotsStream = Sent<pb::DiffSnapshotsResponse>;
    type WatchSnapshotsStream = Sent<pb::WatchSnapshotsResponse>;

    async fn create_snapshot(&self, request: Request<pb::CreateSnapshotRequest>) -> Answer<pb::CreateSnapshotResponse> {
        let request = request.into_inner();
        let snapshot = snapshot(request.volume.as_ref().unwrap(), &request.name);
        self.take(&request, |state| state.snapshots.push(snapshot.clone()));
        let pause = Some(prost_types::Duration { seconds: 0, nanos: 3_000_000 });
        Ok(Response::new(pb::CreateSnapshotResponse { snapshot: Some(snapshot), created: true, pause }))
    }

    async fn create_group_snapshot(
        &self,
        request: Request<pb::CreateGroupSnapshotRequest>,
    ) -> Answer<pb::CreateGroupSnapshotResponse> {
        let request = request.into_inner();
        let snapshots: Vec<_> = request.volumes.iter().map(|volume| snapshot(volume, &request.name)).collect();
        self.take(&request, |state| state.snapshots.extend(snapshots.clone()));
        Ok(Response::new(pb::CreateGroupSnapshotResponse { group: "g".to_owned(), snapshots, pause: None }))
    }

    async fn get_snapshot(&self, request: Request<pb::GetSnapshotRequest>) -> Answer<pb::GetSnapshotResponse> {
        let request = request.into_inner();
        let snapshot = self.take(&request, |state| state.snapshot(request.snapshot.as_ref()).cloned())?;
        Ok(Response::new(pb::GetSnapshotResponse { snapshot: Some(snapshot) }))
    }

    async fn list_snapshots(&self, request: Request<pb::ListSnapshotsRequest>) -> Answer<pb::ListSnapshotsResponse> {
        let request = request.into_inner();
        let (snapshots, next_page_token) = self.take(&request, |state| {
            let is_of = |snapshot: &&pb::Snapshot| {
                request.volume.as_ref().is_none_or(|volume| snapshot.volume_path == volume.path)
            };
            page(&state.snapshots.iter().filter(is_of).cloned().collect::<Vec<_>>(), &request.page_token)
        });
        Ok(Response::new(pb::ListSnapshotsResponse { snapshots, next_page_token, total_size: 0 }))
    }

    async fn list_children(&self, request: Request<pb::ListChildrenRequest>) -> Answer<pb::ListChildrenResponse> {
        let request = request.into_inner();
        let volumes = self.take(&request, |state| {
            let uuid = state.snapshot(request.snapshot.as_ref())?.uuid.clone();
            let clones = state.volumes.iter().filter(|volume| volume.parent_snapshot == uuid);
            Ok::<_, Status>(clones.cloned().collect())
        })?;
        Ok(Response::new(pb::ListChildrenResponse { volumes }))
    }

    async fn delete_snapshot(&self, request: Request<pb::DeleteSnapshotRequest>) -> Answer<pb::DeleteSnapshotResponse> {
        let request = request.into_inner();
        let operation = self.take(&request, |state| {
            let snapshot = state.snapshot(request.snapshot.as_ref())?;
            if snapshot.child_count > 0 && request.child_policy() == pb::ChildPolicy::Fail {
                return Err(refusal(Code::FailedPrecondition, "SNAPSHOT_IN_USE"));
            }
            Ok(state.operation())
        })?;
        Ok(Response::new(pb::DeleteSnapshotResponse { operation }))
    }

    async fn cancel_snapshot(&self, _: Request<pb::CancelSnapshotRequest>) -> Answer<pb::CancelSnapshotResponse> {
        Err(not_here())
    }

    async fn update_snapshot(&self, request: Request<pb::UpdateSnapshotRequest>) -> Answer<pb::UpdateSnapshotResponse> {
        let request = request.into_inner();
        let snapshot = self.take(&request, |state| {
            let snapshot = state.snapshot(request.snapshot.as_ref())?;
            snapshot.protected = request.protected.unwrap_or(snapshot.protected);
            Ok::<_, Status>(snapshot.clone())
        })?;
        Ok(Response::new(pb::UpdateSnapshotResponse { snapshot: Some(snapshot) }))
    }

    async fn clone_snapshot(&self, request: Request<pb::CloneSnapshotRequest>) -> Answer<pb::CloneSnapshotResponse> {
        let operation = self.take(&request.into_inner(), |state| state.operation.first().cloned());
        Ok(Response::new(pb::CloneSnapshotResponse { operation, volume: None, created: true }))
    }

    async fn diff_snapshots(&self, request: Request<pb::DiffSnapshotsRequest>) -> Answer<Self::DiffSnapshotsStream> {
        Ok(sent(self.take(&request.into_inner(), |state| state.diff.clone())))
    }

    async fn watch_snapshots(&self, request: Request<pb::WatchSnapshotsRequest>) -> Answer<Self::WatchSnapshotsStream> {
        let events = self.take(&request.into_inner(), |state| state.snapshot_events.clone());
        let events = stream::iter(events).map(|event| Ok(pb::WatchSnapshotsResponse { event: Some(event) }));
        Ok(Response::new(events.chain(stream::pending()).boxed()))
    }
}

//! What every command needs: clients of the services, and on whose behalf they ask.

use steward_proto::volume::v1 as pb;
use steward_proto::volume::v1::export_service_client::ExportServiceClient;
use steward_proto::volume::v1::operation_service_client::OperationServiceClient;
use steward_proto::volume::v1::policy_service_client::PolicyServiceClient;
use steward_proto::volume::v1::snapshot_service_client::SnapshotServiceClient;
use steward_proto::volume::v1::volume_service_client::VolumeServiceClient;
use tonic::{Response, Status};

use super::name::VolumePath;
use crate::cli::connect::{Channel, Server};
use crate::cli::error::{self, Error};

/// How many items of a list the server is asked for at a time. A page of volumes with all their labels fits into a
/// message.
const PAGE_SIZE: u32 = 200;
/// How often a change is tried that others get in the way of.
const CHANGE_TRIES: u32 = 5;

/// A connection to a server, and a user.
pub(super) struct Session<'a> {
    server: &'a Server,
    channel: Channel,
    user: String,
}

impl<'a> Session<'a> {
    pub(super) async fn open(server: &'a Server, user: String) -> Result<Self, Error> {
        Ok(Session { server, channel: server.connect().await?, user })
    }

    /// On whose behalf; empty: the server decides.
    pub(super) fn user(&self) -> String {
        self.user.clone()
    }

    pub(super) fn server(&self) -> &'a Server {
        self.server
    }

    pub(super) fn volumes(&self) -> VolumeServiceClient<Channel> {
        VolumeServiceClient::new(self.channel.clone())
    }

    pub(super) fn snapshots(&self) -> SnapshotServiceClient<Channel> {
        SnapshotServiceClient::new(self.channel.clone())
    }

    pub(super) fn operations(&self) -> OperationServiceClient<Channel> {
        OperationServiceClient::new(self.channel.clone())
    }

    pub(super) fn policies(&self) -> PolicyServiceClient<Channel> {
        PolicyServiceClient::new(self.channel.clone())
    }

    pub(super) fn exports(&self) -> ExportServiceClient<Channel> {
        ExportServiceClient::new(self.channel.clone())
    }

    /// The answer of a call, or why there is none.
    pub(super) fn take<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, Error> {
        answer.map(Response::into_inner).map_err(|status| self.failure(status))
    }

    /// The failure of a call.
    pub(super) fn failure(&self, status: Status) -> Error {
        self.server.failure()(status)
    }

    /// A volume or directory as it is.
    pub(super) async fn volume(&self, volume: pb::VolumeName) -> Result<pb::Volume, Error> {
        self.get_volume(volume, false).await
    }

    /// A volume or directory as it is, with the space that it takes.
    pub(super) async fn volume_with_usage(&self, volume: pb::VolumeName) -> Result<pb::Volume, Error> {
        self.get_volume(volume, true).await
    }

    async fn get_volume(&self, volume: pb::VolumeName, with_usage: bool) -> Result<pb::Volume, Error> {
        let request = pb::GetVolumeRequest { user: self.user(), volume: Some(volume), with_usage };
        let answer = self.take(self.volumes().get_volume(request).await)?;
        answer.volume.ok_or(NO_VOLUME)
    }

    /// Changes the field `mask` of a volume to what `change` makes of the volume as it is, and tries again when somebody
    /// else was quicker.
    pub(super) async fn change_volume(
        &self,
        path: &VolumePath,
        mask: &str,
        change: impl Fn(&pb::Volume) -> pb::UpdateVolumeRequest,
    ) -> Result<pb::Volume, Error> {
        let mut tries = 1..=CHANGE_TRIES;
        loop {
            let volume = self.volume(path.to_proto()).await?;
            let request = pb::UpdateVolumeRequest {
                user: self.user(),
                volume: Some(path.to_proto()),
                update_mask: Some(prost_types::FieldMask { paths: vec![mask.to_owned()] }),
                etag: volume.etag.clone(),
                ..change(&volume)
            };
            tries.next();
            match self.take(self.volumes().update_volume(request).await) {
                Ok(answer) => return answer.volume.ok_or(NO_VOLUME),
                Err(error) if is_refused_for(&error, "ETAG_MISMATCH") && !tries.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// All volumes that `request` asks for, page by page.
    pub(super) fn volume_pages(&self, request: pb::ListVolumesRequest) -> VolumePages<'_> {
        VolumePages { session: self, request: Some(pb::ListVolumesRequest { page_size: PAGE_SIZE, ..request }) }
    }

    /// All snapshots that `request` asks for, page by page.
    pub(super) fn snapshot_pages(&self, request: pb::ListSnapshotsRequest) -> SnapshotPages<'_> {
        SnapshotPages { session: self, request: Some(pb::ListSnapshotsRequest { page_size: PAGE_SIZE, ..request }) }
    }
}

/// A list of volumes that comes page by page.
pub(super) struct VolumePages<'a> {
    session: &'a Session<'a>,
    /// Nothing after the last page.
    request: Option<pb::ListVolumesRequest>,
}

impl VolumePages<'_> {
    /// The next page.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<pb::Volume>>, Error> {
        let Some(mut request) = self.request.take() else { return Ok(None) };
        let page = self.session.take(self.session.volumes().list_volumes(request.clone()).await)?;
        if !page.next_page_token.is_empty() {
            request.page_token = page.next_page_token;
            self.request = Some(request);
        }
        Ok(Some(page.volumes))
    }

    /// All that is left.
    pub(super) async fn all(mut self) -> Result<Vec<pb::Volume>, Error> {
        let mut all = Vec::new();
        while let Some(page) = self.next().await? {
            all.extend(page);
        }
        Ok(all)
    }
}

/// A list of snapshots that comes page by page.
pub(super) struct SnapshotPages<'a> {
    session: &'a Session<'a>,
    /// Nothing after the last page.
    request: Option<pb::ListSnapshotsRequest>,
}

impl SnapshotPages<'_> {
    /// The next page.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<pb::Snapshot>>, Error> {
        let Some(mut request) = self.request.take() else { return Ok(None) };
        let page = self.session.take(self.session.snapshots().list_snapshots(request.clone()).await)?;
        if !page.next_page_token.is_empty() {
            request.page_token = page.next_page_token;
            self.request = Some(request);
        }
        Ok(Some(page.snapshots))
    }

    /// All that is left.
    pub(super) async fn all(mut self) -> Result<Vec<pb::Snapshot>, Error> {
        let mut all = Vec::new();
        while let Some(page) = self.next().await? {
            all.extend(page);
        }
        Ok(all)
    }
}

/// The server left out the volume of its answer.
pub(super) const NO_VOLUME: Error = Error::Nonsense("it has no volume");
/// The server left out the snapshot of its answer.
pub(super) const NO_SNAPSHOT: Error = Error::Nonsense("it has no snapshot");
/// The server left out the operation of its answer.
pub(super) const NO_OPERATION: Error = Error::Nonsense("it has no operation");

/// Whether the server refused for `reason`.
pub(super) fn is_refused_for(error: &Error, reason: &str) -> bool {
    matches!(error, Error::Refused(status) if error::reason(status).as_deref() == Some(reason))
}

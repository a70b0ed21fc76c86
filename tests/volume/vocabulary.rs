//! Words in which the tests speak to the services of volumes.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use steward_proto::volume::v1::clone_snapshot_request::Source;
use steward_proto::volume::v1::export_service_client::ExportServiceClient;
use steward_proto::volume::v1::operation_service_client::OperationServiceClient;
use steward_proto::volume::v1::policy_service_client::PolicyServiceClient;
use steward_proto::volume::v1::snapshot_service_client::SnapshotServiceClient;
use steward_proto::volume::v1::volume_service_client::VolumeServiceClient;
use steward_proto::volume::v1::{
    CloneSnapshotRequest, CreateSnapshotRequest, CreateVolumeRequest, DeleteSnapshotRequest, DeleteVolumeRequest,
    FlattenVolumeRequest, GetSnapshotRequest, GetVolumeRequest, ListSnapshotsRequest, ListVolumesRequest,
    MakeDirectoryRequest, Operation, OperationState, Snapshot, SnapshotName, Volume, VolumeName, WaitOperationRequest,
};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::common::server::{Server, Setup};
use crate::common::wait::{eventually, within};

pub(crate) const KIB: u64 = 1024;
pub(crate) const MIB: u64 = 1024 * KIB;
pub(crate) const GIB: u64 = 1024 * MIB;

/// A server that takes small volumes.
pub(crate) fn small() -> Setup {
    Setup::default().config("[volumes]\nmin_size = 4096")
}

/// Which volume, by its path.
#[expect(clippy::unnecessary_wraps, reason = "messages of requests want it so")]
pub(crate) fn named(path: &str) -> Option<VolumeName> {
    Some(VolumeName { path: path.to_owned(), id: 0 })
}

/// Which snapshot, as `/volume@snapshot`.
pub(crate) fn snapshot_named(name: &str) -> SnapshotName {
    let (volume_path, name) = name.rsplit_once('@').expect("a volume and a snapshot");
    SnapshotName { volume_path: volume_path.to_owned(), name: name.to_owned(), uuid: String::new() }
}

/// Clients of a server's volumes, on behalf of somebody.
#[derive(Clone, Debug)]
pub(crate) struct Volumes {
    channel: Channel,
    pub(crate) user: String,
}

impl Volumes {
    /// As `root`, where nobody signs in.
    pub(crate) fn of(server: &Server) -> Self {
        Volumes { channel: server.channel(), user: String::new() }
    }

    pub(crate) fn by(&self, user: &str) -> Self {
        Volumes { channel: self.channel.clone(), user: user.to_owned() }
    }

    pub(crate) fn volumes(&self) -> VolumeServiceClient<Channel> {
        VolumeServiceClient::new(self.channel.clone())
    }

    pub(crate) fn snapshots(&self) -> SnapshotServiceClient<Channel> {
        SnapshotServiceClient::new(self.channel.clone())
    }

    pub(crate) fn operations(&self) -> OperationServiceClient<Channel> {
        OperationServiceClient::new(self.channel.clone())
    }

    pub(crate) fn policies(&self) -> PolicyServiceClient<Channel> {
        PolicyServiceClient::new(self.channel.clone())
    }

    pub(crate) fn exports(&self) -> ExportServiceClient<Channel> {
        ExportServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn create(&self, path: &str, size_bytes: u64) -> Volume {
        let request =
            CreateVolumeRequest { user: self.user.clone(), path: path.to_owned(), size_bytes, ..Default::default() };
        done(self.volumes().create_volume(request)).await.volume.expect("a volume")
    }

    pub(crate) async fn make_directory(&self, path: &str) {
        let request = MakeDirectoryRequest { user: self.user.clone(), path: path.to_owned(), owner: String::new() };
        done(self.volumes().make_directory(request)).await;
    }

    pub(crate) async fn get(&self, path: &str) -> Volume {
        self.find(path).await.unwrap_or_else(|| panic!("there is no {path}"))
    }

    pub(crate) async fn find(&self, path: &str) -> Option<Volume> {
        let request = GetVolumeRequest { user: self.user.clone(), volume: named(path), with_usage: false };
        match within("an answer", self.volumes().get_volume(request)).await {
            Ok(answer) => answer.into_inner().volume,
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => panic!("{status:?}"),
        }
    }

    /// With the space that it takes.
    pub(crate) async fn usage(&self, path: &str) -> Volume {
        let request = GetVolumeRequest { user: self.user.clone(), volume: named(path), with_usage: true };
        done(self.volumes().get_volume(request)).await.volume.expect("a volume")
    }

    /// The paths below a directory, by their order.
    pub(crate) async fn paths(&self, directory: &str) -> Vec<String> {
        let request =
            ListVolumesRequest { user: self.user.clone(), directory: directory.to_owned(), ..Default::default() };
        let listed = done(self.volumes().list_volumes(request)).await.volumes;
        listed.into_iter().map(|volume| volume.path).collect()
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), Status> {
        let request = DeleteVolumeRequest { user: self.user.clone(), volume: named(path) };
        within("an answer", self.volumes().delete_volume(request)).await.map(drop)
    }

    /// Makes a snapshot, as `/volume@snapshot`.
    pub(crate) async fn snapshot(&self, name: &str) -> Snapshot {
        self.try_snapshot(name).await.unwrap_or_else(|status| panic!("{name}: {status:?}"))
    }

    pub(crate) async fn try_snapshot(&self, name: &str) -> Result<Snapshot, Status> {
        let SnapshotName { volume_path, name, .. } = snapshot_named(name);
        let request =
            CreateSnapshotRequest { user: self.user.clone(), volume: named(&volume_path), name, ..Default::default() };
        let answer = within("an answer", self.snapshots().create_snapshot(request)).await?;
        Ok(answer.into_inner().snapshot.expect("a snapshot"))
    }

    pub(crate) async fn find_snapshot(&self, name: &str) -> Option<Snapshot> {
        let snapshot = Some(snapshot_named(name));
        let request = GetSnapshotRequest { user: self.user.clone(), snapshot, with_usage: false };
        match within("an answer", self.snapshots().get_snapshot(request)).await {
            Ok(answer) => answer.into_inner().snapshot,
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => panic!("{status:?}"),
        }
    }

    /// The names of a volume's snapshots, the oldest first.
    pub(crate) async fn snapshot_names(&self, path: &str) -> Vec<String> {
        let request = ListSnapshotsRequest { user: self.user.clone(), volume: named(path), ..Default::default() };
        let listed = done(self.snapshots().list_snapshots(request)).await.snapshots;
        listed.into_iter().map(|snapshot| snapshot.name).collect()
    }

    /// Deletes a snapshot and waits until nothing of it is there.
    pub(crate) async fn delete_snapshot(&self, name: &str) {
        let snapshot = Some(snapshot_named(name));
        let request = DeleteSnapshotRequest { user: self.user.clone(), snapshot, ..Default::default() };
        let answer = within("an answer", self.snapshots().delete_snapshot(request)).await;
        answer.unwrap_or_else(|status| panic!("{name}: {status:?}"));
        eventually("the snapshot is gone", async || self.find_snapshot(name).await.is_none().then_some(())).await;
    }

    /// Clones a snapshot.
    pub(crate) async fn clone_of(&self, name: &str, destination: &str) -> Volume {
        let answer = done(self.snapshots().clone_snapshot(self.clone_request(name, destination))).await;
        answer.volume.expect("a volume")
    }

    pub(crate) fn clone_request(&self, name: &str, destination: &str) -> CloneSnapshotRequest {
        CloneSnapshotRequest {
            user: self.user.clone(),
            destination: destination.to_owned(),
            source: Some(Source::Snapshot(snapshot_named(name))),
            ..Default::default()
        }
    }

    /// Starts to flatten, at most so fast.
    pub(crate) async fn start_to_flatten(&self, path: &str, bytes_per_second: u64) -> Option<Operation> {
        let request = FlattenVolumeRequest { user: self.user.clone(), volume: named(path), bytes_per_second };
        done(self.volumes().flatten_volume(request)).await.operation
    }

    /// Flattens, and waits for the end.
    pub(crate) async fn flatten(&self, path: &str) {
        if let Some(operation) = self.start_to_flatten(path, 0).await {
            let ended = self.wait(&operation.uuid).await;
            assert_eq!(ended.state(), OperationState::Succeeded, "{ended:?}");
        }
    }

    /// Waits for an operation to end.
    pub(crate) async fn wait(&self, uuid: &str) -> Operation {
        let timeout = Some(duration(Duration::from_secs(50)));
        let request = WaitOperationRequest { user: self.user.clone(), uuid: uuid.to_owned(), timeout };
        let ended = done(self.operations().wait_operation(request)).await.operation.expect("an operation");
        assert!(has_ended(&ended), "it goes on: {ended:?}");
        ended
    }
}

pub(crate) fn has_ended(operation: &Operation) -> bool {
    matches!(operation.state(), OperationState::Succeeded | OperationState::Failed | OperationState::Cancelled)
}

/// The answer to what is expected to be done.
pub(crate) async fn done<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> T {
    within("an answer", call).await.expect("it is done").into_inner()
}

/// The reason of what is expected to be refused.
pub(crate) async fn refusal<T: std::fmt::Debug>(call: impl Future<Output = Result<Response<T>, Status>>) -> String {
    reason(&within("an answer", call).await.expect_err("a refusal"))
}

/// Which reason a status carries.
pub(crate) fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no reason: {status:?}"));
    assert_eq!(info.domain, "steward", "{status:?}");
    info.reason
}

pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().expect("a short time")
}

/// So many bytes that do not repeat soon.
pub(crate) fn noise(seed: u64, length: u64) -> Vec<u8> {
    let length = usize::try_from(length).expect("64 bits");
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The SHA-256 in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

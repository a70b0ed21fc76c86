//! Steward's own server.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use steward_proto::volume::v1::clone_snapshot_request::Source;
use steward_proto::volume::v1::operation_service_client::OperationServiceClient;
use steward_proto::volume::v1::snapshot_service_client::SnapshotServiceClient;
use steward_proto::volume::v1::volume_service_client::VolumeServiceClient;
use steward_proto::volume::v1::{
    CloneSnapshotRequest, CreateSnapshotRequest, CreateVolumeRequest, DeleteSnapshotRequest, DeleteVolumeRequest,
    FlattenVolumeRequest, ListSnapshotsRequest, PurgeTrashRequest, SnapshotName, VolumeName, WaitOperationRequest,
};
use tonic::transport::{Channel, Endpoint};

use crate::BoxError;
use crate::fio::Place;
use crate::process::Process;

/// A server with an empty directory.
#[derive(Debug)]
pub(crate) struct Steward {
    process: Process,
    socket: PathBuf,
    channel: Channel,
}

fn free_address() -> Result<SocketAddr, BoxError> {
    Ok(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?.local_addr()?)
}

#[expect(clippy::unnecessary_wraps, reason = "messages of requests want it so")]
fn named(path: &str) -> Option<VolumeName> {
    Some(VolumeName { path: path.to_owned(), id: 0 })
}

fn snapshot_named(volume: &str, name: &str) -> SnapshotName {
    SnapshotName { volume_path: volume.to_owned(), name: name.to_owned(), uuid: String::new() }
}

impl Steward {
    pub(crate) async fn start(directory: &Path) -> Result<Self, BoxError> {
        std::fs::create_dir_all(directory)?;
        let (grpc, socket) = (free_address()?, directory.join("nbd.sock"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_steward"));
        command.arg("serve").arg("--data").arg(directory.join("data")).args(["--grpc", &grpc.to_string()]);
        command.args(["--http", &free_address()?.to_string()]).args(["--nbd", &format!("unix:{}", socket.display())]);
        let process = Process::start(&mut command, &directory.join("log"), &socket)?;
        let channel = Endpoint::from_shared(format!("http://{grpc}"))?.connect().await?;
        Ok(Steward { process, socket, channel })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where a volume, or a snapshot as `/volume@snapshot`, is to be had.
    pub(crate) fn place(&self, name: &str) -> Place {
        Place { uri: format!("nbd+unix://{name}?socket={}", self.socket.display()), pid: self.pid() }
    }

    fn volumes(&self) -> VolumeServiceClient<Channel> {
        VolumeServiceClient::new(self.channel.clone())
    }

    fn snapshots(&self) -> SnapshotServiceClient<Channel> {
        SnapshotServiceClient::new(self.channel.clone())
    }

    /// Makes a volume, of 1 GiB at least.
    pub(crate) async fn create(&self, path: &str, bytes: u64) -> Result<(), BoxError> {
        let size_bytes = bytes.max(1 << 30);
        let request = CreateVolumeRequest { path: path.to_owned(), size_bytes, ..Default::default() };
        self.volumes().create_volume(request).await?;
        Ok(())
    }

    /// Makes a snapshot, and says how long writers waited.
    pub(crate) async fn snapshot(&self, path: &str, name: &str) -> Result<Duration, BoxError> {
        let request = CreateSnapshotRequest { volume: named(path), name: name.to_owned(), ..Default::default() };
        let pause = self.snapshots().create_snapshot(request).await?.into_inner().pause.ok_or("no pause")?;
        Ok(pause.try_into()?)
    }

    /// Deletes snapshots, and waits until they are gone.
    pub(crate) async fn delete_snapshots(&self, path: &str, names: Vec<String>) -> Result<(), BoxError> {
        for name in names {
            let snapshot = Some(snapshot_named(path, &name));
            let request = DeleteSnapshotRequest { snapshot, ..Default::default() };
            self.snapshots().delete_snapshot(request).await?;
        }
        loop {
            let request = ListSnapshotsRequest { volume: named(path), ..Default::default() };
            if self.snapshots().list_snapshots(request).await?.into_inner().total_size == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn clone(&self, path: &str, name: &str, destination: &str) -> Result<(), BoxError> {
        let source = Some(Source::Snapshot(snapshot_named(path, name)));
        let request = CloneSnapshotRequest { source, destination: destination.to_owned(), ..Default::default() };
        self.snapshots().clone_snapshot(request).await?;
        Ok(())
    }

    /// Flattens, and waits for the end.
    pub(crate) async fn flatten(&self, path: &str) -> Result<(), BoxError> {
        let request = FlattenVolumeRequest { volume: named(path), ..Default::default() };
        let operation = self.volumes().flatten_volume(request).await?.into_inner().operation.ok_or("nothing to do")?;
        let request = WaitOperationRequest { uuid: operation.uuid, ..Default::default() };
        let mut client = OperationServiceClient::new(self.channel.clone());
        let ended = client.wait_operation(request).await?.into_inner().operation.ok_or("no operation")?;
        if ended.progress_percent == 100 { Ok(()) } else { Err(format!("it did not end well: {ended:?}").into()) }
    }

    /// Deletes a volume for good. A client that has hung up may still be on its way out.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), BoxError> {
        let request = DeleteVolumeRequest { volume: named(path), ..Default::default() };
        for attempt in 0.. {
            match self.volumes().delete_volume(request.clone()).await {
                Ok(_) => break,
                Err(status) if attempt == 100 => return Err(status.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        self.volumes().purge_trash(PurgeTrashRequest::default()).await?;
        Ok(())
    }
}

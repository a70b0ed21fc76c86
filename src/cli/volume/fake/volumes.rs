//! Volumes.

use futures::{StreamExt as _, stream};
use steward_proto::volume::v1 as pb;
use steward_proto::volume::v1::volume_service_server::VolumeService;
use tonic::{Code, Request, Response, Streaming};

use super::{Sent, Service, not_found, page, sent};
use crate::cli::testing::{Answer, refusal};

#[tonic::async_trait]
impl VolumeService for Service {
    type ReadVolumeStream = Sent<pb::ReadVolumeResponse>;
    type ScrubVolumesStream = Sent<pb::ScrubVolumesResponse>;
    type WatchVolumesStream = Sent<pb::WatchVolumesResponse>;

    async fn create_volume(&self, request: Request<pb::CreateVolumeRequest>) -> Answer<pb::CreateVolumeResponse> {
        let request = request.into_inner();
        self.take(&request, |state| {
            if request.size_bytes < state.minimum {
                return Err(refusal(Code::FailedPrecondition, "SIZE_OUT_OF_RANGE"));
            }
            if let Some(volume) = state.volumes.iter().find(|volume| volume.path == request.path) {
                return Ok(Response::new(pb::CreateVolumeResponse { volume: Some(volume.clone()), created: false }));
            }
            let volume = pb::Volume {
                id: state.volumes.len() as u64 + 2,
                path: request.path.clone(),
                kind: pb::VolumeKind::Volume.into(),
                state: pb::VolumeState::Ready.into(),
                size_bytes: request.size_bytes,
                labels: request.labels.clone(),
                ..pb::Volume::default()
            };
            state.volumes.push(volume.clone());
            Ok(Response::new(pb::CreateVolumeResponse { volume: Some(volume), created: true }))
        })
    }

    async fn make_directory(&self, request: Request<pb::MakeDirectoryRequest>) -> Answer<pb::MakeDirectoryResponse> {
        let request = request.into_inner();
        let kind = pb::VolumeKind::Directory.into();
        let volume =
            pb::Volume { path: request.path.clone(), owner: request.owner.clone(), kind, ..Default::default() };
        self.take(&request, |_| ());
        Ok(Response::new(pb::MakeDirectoryResponse { volume: Some(volume), created: true }))
    }

    async fn get_volume(&self, request: Request<pb::GetVolumeRequest>) -> Answer<pb::GetVolumeResponse> {
        let request = request.into_inner();
        let volume = self.take(&request, |state| state.volume(request.volume.as_ref()).cloned())?;
        Ok(Response::new(pb::GetVolumeResponse { volume: Some(volume) }))
    }

    async fn list_volumes(&self, request: Request<pb::ListVolumesRequest>) -> Answer<pb::ListVolumesResponse> {
        let request = request.into_inner();
        let (volumes, next_page_token) = self.take(&request, |state| {
            let is_in = |volume: &&pb::Volume| volume.path.starts_with(&request.directory);
            page(&state.volumes.iter().filter(is_in).cloned().collect::<Vec<_>>(), &request.page_token)
        });
        Ok(Response::new(pb::ListVolumesResponse { volumes, next_page_token, total_size: 0 }))
    }

    async fn resize_volume(&self, request: Request<pb::ResizeVolumeRequest>) -> Answer<pb::ResizeVolumeResponse> {
        let request = request.into_inner();
        let volume = self.take(&request, |state| {
            let volume = state.volume(request.volume.as_ref())?;
            volume.size_bytes = request.size_bytes;
            Ok::<_, tonic::Status>(volume.clone())
        })?;
        Ok(Response::new(pb::ResizeVolumeResponse { volume: Some(volume) }))
    }

    async fn rename_volume(&self, request: Request<pb::RenameVolumeRequest>) -> Answer<pb::RenameVolumeResponse> {
        let request = request.into_inner();
        let volume = self.take(&request, |state| {
            let volume = state.volume(request.volume.as_ref())?;
            volume.path.clone_from(&request.new_path);
            Ok::<_, tonic::Status>(volume.clone())
        })?;
        Ok(Response::new(pb::RenameVolumeResponse { volume: Some(volume) }))
    }

    async fn update_volume(&self, request: Request<pb::UpdateVolumeRequest>) -> Answer<pb::UpdateVolumeResponse> {
        let request = request.into_inner();
        let volume = self.take(&request, |state| {
            if state.quicker > 0 {
                state.quicker -= 1;
                return Err(refusal(Code::FailedPrecondition, "ETAG_MISMATCH"));
            }
            let volume = state.volume(request.volume.as_ref())?;
            for field in request.update_mask.iter().flat_map(|mask| &mask.paths) {
                match field.as_str() {
                    "labels" => volume.labels.clone_from(&request.labels),
                    "protected" => volume.protected = request.protected,
                    "policies" => volume.policies.clone_from(&request.policies),
                    other => panic!("{other}"),
                }
            }
            Ok(volume.clone())
        })?;
        Ok(Response::new(pb::UpdateVolumeResponse { volume: Some(volume) }))
    }

    async fn delete_volume(&self, request: Request<pb::DeleteVolumeRequest>) -> Answer<pb::DeleteVolumeResponse> {
        let request = request.into_inner();
        let volume = self.take(&request, |state| {
            let volume = state.volume(request.volume.as_ref())?;
            volume.original_path = std::mem::replace(&mut volume.path, format!("/RecycleBin/{}", volume.id));
            Ok::<_, tonic::Status>(volume.clone())
        })?;
        Ok(Response::new(pb::DeleteVolumeResponse { volume: Some(volume) }))
    }

    async fn restore_volume(&self, request: Request<pb::RestoreVolumeRequest>) -> Answer<pb::RestoreVolumeResponse> {
        let request = request.into_inner();
        let volume = self.take(&request, |state| {
            let volume = state.volume(request.volume.as_ref())?;
            volume.path = std::mem::take(&mut volume.original_path);
            if !request.new_path.is_empty() {
                volume.path.clone_from(&request.new_path);
            }
            Ok::<_, tonic::Status>(volume.clone())
        })?;
        Ok(Response::new(pb::RestoreVolumeResponse { volume: Some(volume) }))
    }

    async fn purge_trash(&self, request: Request<pb::PurgeTrashRequest>) -> Answer<pb::PurgeTrashResponse> {
        self.take(&request.into_inner(), |_| ());
        Ok(Response::new(pb::PurgeTrashResponse { purged: 2 }))
    }

    async fn flatten_volume(&self, request: Request<pb::FlattenVolumeRequest>) -> Answer<pb::FlattenVolumeResponse> {
        let request = request.into_inner();
        self.take(&request, |state| {
            let volume = state.volume(request.volume.as_ref())?.clone();
            // It is further when it is looked at.
            let operation = state.operation.first().cloned();
            Ok(Response::new(pb::FlattenVolumeResponse { operation, volume: Some(volume) }))
        })
    }

    async fn rollback_volume(&self, request: Request<pb::RollbackVolumeRequest>) -> Answer<pb::RollbackVolumeResponse> {
        let operation = self.take(&request.into_inner(), |state| state.operation());
        Ok(Response::new(pb::RollbackVolumeResponse { operation, volume: None }))
    }

    async fn read_volume(&self, request: Request<pb::ReadVolumeRequest>) -> Answer<Self::ReadVolumeStream> {
        Ok(sent(self.take(&request.into_inner(), |state| state.reads.clone())))
    }

    async fn write_volume(
        &self,
        request: Request<Streaming<pb::WriteVolumeRequest>>,
    ) -> Answer<pb::WriteVolumeResponse> {
        let mut stream = request.into_inner();
        let mut parts = Vec::new();
        while let Some(message) = stream.message().await? {
            parts.push(message.part.unwrap());
        }
        let data_bytes = parts.iter().map(data_length).sum();
        self.take(&(), |state| state.written.push(parts));
        Ok(Response::new(pb::WriteVolumeResponse { data_bytes }))
    }

    async fn scrub_volumes(&self, request: Request<pb::ScrubVolumesRequest>) -> Answer<Self::ScrubVolumesStream> {
        let request = request.into_inner();
        let steps = self.take(&request, |state| {
            if let Some(volume) = &request.volume {
                state.volume(Some(volume)).map_err(|_| not_found())?;
            }
            Ok::<_, tonic::Status>(state.scrub.clone())
        })?;
        Ok(sent(steps))
    }

    async fn watch_volumes(&self, request: Request<pb::WatchVolumesRequest>) -> Answer<Self::WatchVolumesStream> {
        let events = self.take(&request.into_inner(), |state| state.volume_events.clone());
        let events = stream::iter(events).map(|event| Ok(pb::WatchVolumesResponse { event: Some(event) }));
        Ok(Response::new(events.chain(stream::pending()).boxed()))
    }
}

fn data_length(part: &pb::write_volume_request::Part) -> u64 {
    match part {
        pb::write_volume_request::Part::Data(data) => data.data.len() as u64,
        _ => 0,
    }
}

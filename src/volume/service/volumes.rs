//! `VolumeService`.

use std::time::Duration;

use futures::stream::BoxStream;
use steward_proto::volume::v1 as api;
use steward_proto::volume::v1::volume_service_server::VolumeService;
use tonic::{Request, Response, Status, Streaming};

use super::{VolumeServer, answer, fields, streams, watch};
use crate::auth::rights::Right;
use crate::error::Failure;
use crate::fields::Fields;
use crate::volume::change::VolumeChange;
use crate::volume::convert;
use crate::volume::convert_operation;
use crate::volume::create::CreateVolume;
use crate::volume::lookup::{Begin, VolumeFilter, WithSpace};
use crate::volume::namespace::User;
use crate::volume::path::VolumePath;

/// The oldest age that a purge may ask for.
const AGES: (Duration, Duration) = (Duration::ZERO, Duration::from_hours(24 * 366 * 100));
/// The longest name of a pool, in bytes.
const MAX_POOL_BYTES: usize = 255;

impl VolumeServer {
    async fn handle_create_volume(
        &self,
        request: Request<api::CreateVolumeRequest>,
    ) -> Result<api::CreateVolumeResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let request = request.into_inner();
        let mut fields = Fields::default();
        fields.volume_labels("labels", &request.labels);
        fields.text("pool", &request.pool, MAX_POOL_BYTES);
        fields.check()?;
        let what = CreateVolume {
            path: fields::path("path", &request.path)?,
            size_bytes: request.size_bytes,
            stripe_unit: request.stripe_unit,
            stripe_count: request.stripe_count,
            pool: request.pool,
            labels: request.labels,
            checksums: request.checksums,
        };
        asker.require_at(Right::Write, &what.path)?;
        let (volume, created) = self.catalog.create_volume(&asker.user, what).await?;
        Ok(api::CreateVolumeResponse { volume: Some(convert::volume(volume)), created })
    }

    async fn handle_make_directory(
        &self,
        request: Request<api::MakeDirectoryRequest>,
    ) -> Result<api::MakeDirectoryResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let request = request.into_inner();
        let path = fields::path("path", &request.path)?;
        let owner = named("owner", request.owner)?;
        asker.require_at(Right::Write, &path)?;
        let (volume, created) = self.catalog.make_directory(&asker.user, &path, owner.as_ref()).await?;
        Ok(api::MakeDirectoryResponse { volume: Some(convert::volume(volume)), created })
    }

    async fn handle_get_volume(
        &self,
        request: Request<api::GetVolumeRequest>,
    ) -> Result<api::GetVolumeResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let request = request.into_inner();
        let which = fields::which("volume", request.volume)?;
        self.require(&asker, Right::Read, &which).await?;
        let volume = self.catalog.get_volume(&asker.user, &which, with_space(request.with_usage)).await?;
        Ok(api::GetVolumeResponse { volume: Some(convert::volume(volume)) })
    }

    async fn handle_list_volumes(
        &self,
        request: Request<api::ListVolumesRequest>,
    ) -> Result<api::ListVolumesResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let request = request.into_inner();
        let mut fields = Fields::default();
        fields.volume_labels("labels", &request.labels);
        let after = fields.volume_page_token(&request.page_token);
        if after.is_some() && request.skip != 0 {
            fields.reject("skip", "is given beside a token");
        }
        fields.check()?;
        let owner = named("owner", request.owner)?.map(|owner| owner.0);
        let directory = fields::optional_path("directory", &request.directory)?.unwrap_or_else(VolumePath::root);
        let filter = VolumeFilter { labels: request.labels, owner, recursive: request.recursive, reach: asker.reach };
        let begin = after.map_or(Begin::Skip(request.skip), Begin::After);
        let limit = Fields::volume_page_size(request.page_size);
        let space = with_space(request.with_usage);
        let page = self.catalog.list_volumes(&asker.user, &directory, &filter, begin, limit, space).await?;
        Ok(api::ListVolumesResponse {
            volumes: page.volumes.into_iter().map(convert::volume).collect(),
            next_page_token: page.next.map_or_else(String::new, |last| fields::page_token(&last)),
            total_size: page.total,
        })
    }

    async fn handle_resize_volume(
        &self,
        request: Request<api::ResizeVolumeRequest>,
    ) -> Result<api::ResizeVolumeResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let request = request.into_inner();
        let which = fields::which("volume", request.volume)?;
        self.require(&asker, Right::Write, &which).await?;
        let volume = self.catalog.resize_volume(&asker.user, &which, request.size_bytes).await?;
        Ok(api::ResizeVolumeResponse { volume: Some(convert::volume(volume)) })
    }

    async fn handle_rename_volume(
        &self,
        request: Request<api::RenameVolumeRequest>,
    ) -> Result<api::RenameVolumeResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let request = request.into_inner();
        let which = fields::which("volume", request.volume)?;
        let to = fields::path("new_path", &request.new_path)?;
        self.require(&asker, Right::Write, &which).await?;
        asker.require_at(Right::Write, &to)?;
        if asker.require_at(Right::Read, &to).is_ok() {
            // What somebody may not read does not come to be where they may.
            self.require(&asker, Right::Read, &which).await?;
        }
        let volume = self.catalog.rename_volume(&asker.user, &which, &to).await?;
        Ok(api::RenameVolumeResponse { volume: Some(convert::volume(volume)) })
    }

    async fn handle_update_volume(
        &self,
        request: Request<api::UpdateVolumeRequest>,
    ) -> Result<api::UpdateVolumeResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let request = request.into_inner();
        let which = fields::which("volume", request.volume.clone())?;
        let mut fields = Fields::default();
        let etag = fields.volume_etag(&request.etag);
        let change = fields.volume_change(request);
        fields.check()?;
        self.require(&asker, Right::Write, &which).await?;
        let volume = self.catalog.update_volume(&asker.user, &which, &change, etag).await?;
        Ok(api::UpdateVolumeResponse { volume: Some(convert::volume(volume)) })
    }

    async fn handle_delete_volume(
        &self,
        request: Request<api::DeleteVolumeRequest>,
    ) -> Result<api::DeleteVolumeResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let which = fields::which("volume", request.into_inner().volume)?;
        self.require(&asker, Right::Write, &which).await?;
        let volume = self.catalog.delete_volume(&asker.user, &which).await?;
        Ok(api::DeleteVolumeResponse { volume: volume.map(convert::volume) })
    }

    async fn handle_restore_volume(
        &self,
        request: Request<api::RestoreVolumeRequest>,
    ) -> Result<api::RestoreVolumeResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let request = request.into_inner();
        let which = fields::which("volume", request.volume)?;
        let to = fields::optional_path("new_path", &request.new_path)?;
        self.require_trashed(&asker, Right::Write, &which).await?;
        if let Some(to) = &to {
            asker.require_at(Right::Write, to)?;
            if asker.require_at(Right::Read, to).is_ok() {
                self.require_trashed(&asker, Right::Read, &which).await?;
            }
        }
        let volume = self.catalog.restore_volume(&asker.user, &which, to.as_ref()).await?;
        Ok(api::RestoreVolumeResponse { volume: Some(convert::volume(volume)) })
    }

    async fn handle_purge_trash(
        &self,
        request: Request<api::PurgeTrashRequest>,
    ) -> Result<api::PurgeTrashResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let request = request.into_inner();
        let mut fields = Fields::default();
        let older_than = fields.duration("older_than", request.older_than, AGES);
        if older_than.is_some() && request.volume.is_some() {
            fields.reject("older_than", "is given beside a volume");
        }
        fields.check()?;
        let purged = if request.volume.is_some() {
            let which = fields::which("volume", request.volume)?;
            self.require_trashed(&asker, Right::Admin, &which).await?;
            self.catalog.purge_volume(&asker.user, &which).await?;
            1
        } else {
            asker.require_all(Right::Admin)?;
            self.catalog.purge_trash(&asker.user, older_than.unwrap_or_default()).await?
        };
        Ok(api::PurgeTrashResponse { purged })
    }

    async fn handle_flatten_volume(
        &self,
        request: Request<api::FlattenVolumeRequest>,
    ) -> Result<api::FlattenVolumeResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let request = request.into_inner();
        let which = fields::which("volume", request.volume)?;
        self.require(&asker, Right::Write, &which).await?;
        let flattened = self.catalog.flatten(&asker.user, &which, request.bytes_per_second).await?;
        let volume = self.catalog.show_volume(flattened.volume.id).await?;
        Ok(api::FlattenVolumeResponse {
            operation: flattened.operation.map(convert_operation::operation),
            volume: Some(convert::volume(volume)),
        })
    }

    async fn handle_rollback_volume(
        &self,
        request: Request<api::RollbackVolumeRequest>,
    ) -> Result<api::RollbackVolumeResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let request = request.into_inner();
        let which = fields::which("volume", request.volume)?;
        let mut fields = Fields::default();
        fields.snapshot_name("snapshot", &request.snapshot);
        if !request.keep_as.is_empty() {
            fields.snapshot_name("keep_as", &request.keep_as);
        }
        fields.check()?;
        self.require(&asker, Right::Write, &which).await?;
        let (operation, volume) = self.catalog.rollback(&asker.user, which, request.snapshot, request.keep_as).await?;
        let volume = self.catalog.show_volume(volume.id).await?;
        let operation = self.catalog.show_operation(operation).await?;
        Ok(api::RollbackVolumeResponse {
            operation: Some(convert_operation::operation(operation)),
            volume: Some(convert::volume(volume)),
        })
    }
}

impl Fields {
    /// The fields that an update names.
    fn volume_change(&mut self, request: api::UpdateVolumeRequest) -> VolumeChange {
        let mut change = VolumeChange::default();
        let mask = request.update_mask.unwrap_or_default();
        if mask.paths.is_empty() {
            self.reject("update_mask", "is required: which of labels, owner, protected and policies to change");
        }
        for path in mask.paths {
            match path.as_str() {
                "labels" => {
                    self.volume_labels("labels", &request.labels);
                    change.labels = Some(request.labels.clone());
                }
                "owner" => {
                    self.volume_user("owner", &request.owner);
                    change.owner = Some(request.owner.clone());
                }
                "protected" => change.protected = Some(request.protected),
                "policies" => change.policies = Some(self.policy_names("policies", request.policies.clone())),
                _ => self.reject("update_mask", "names something else than labels, owner, protected and policies"),
            }
        }
        change
    }
}

/// A user that a field may name.
fn named(field: &'static str, user: String) -> Result<Option<User>, Failure> {
    if user.is_empty() {
        return Ok(None);
    }
    fields::user_name(field, &user)?;
    Ok(Some(User(user)))
}

fn with_space(is_asked: bool) -> WithSpace {
    if is_asked { WithSpace::Yes } else { WithSpace::No }
}

#[tonic::async_trait]
impl VolumeService for VolumeServer {
    async fn create_volume(
        &self,
        request: Request<api::CreateVolumeRequest>,
    ) -> Result<Response<api::CreateVolumeResponse>, Status> {
        answer(self.handle_create_volume(request).await)
    }

    async fn make_directory(
        &self,
        request: Request<api::MakeDirectoryRequest>,
    ) -> Result<Response<api::MakeDirectoryResponse>, Status> {
        answer(self.handle_make_directory(request).await)
    }

    async fn get_volume(
        &self,
        request: Request<api::GetVolumeRequest>,
    ) -> Result<Response<api::GetVolumeResponse>, Status> {
        answer(self.handle_get_volume(request).await)
    }

    async fn list_volumes(
        &self,
        request: Request<api::ListVolumesRequest>,
    ) -> Result<Response<api::ListVolumesResponse>, Status> {
        answer(self.handle_list_volumes(request).await)
    }

    async fn resize_volume(
        &self,
        request: Request<api::ResizeVolumeRequest>,
    ) -> Result<Response<api::ResizeVolumeResponse>, Status> {
        answer(self.handle_resize_volume(request).await)
    }

    async fn rename_volume(
        &self,
        request: Request<api::RenameVolumeRequest>,
    ) -> Result<Response<api::RenameVolumeResponse>, Status> {
        answer(self.handle_rename_volume(request).await)
    }

    async fn update_volume(
        &self,
        request: Request<api::UpdateVolumeRequest>,
    ) -> Result<Response<api::UpdateVolumeResponse>, Status> {
        answer(self.handle_update_volume(request).await)
    }

    async fn delete_volume(
        &self,
        request: Request<api::DeleteVolumeRequest>,
    ) -> Result<Response<api::DeleteVolumeResponse>, Status> {
        answer(self.handle_delete_volume(request).await)
    }

    async fn restore_volume(
        &self,
        request: Request<api::RestoreVolumeRequest>,
    ) -> Result<Response<api::RestoreVolumeResponse>, Status> {
        answer(self.handle_restore_volume(request).await)
    }

    async fn purge_trash(
        &self,
        request: Request<api::PurgeTrashRequest>,
    ) -> Result<Response<api::PurgeTrashResponse>, Status> {
        answer(self.handle_purge_trash(request).await)
    }

    async fn flatten_volume(
        &self,
        request: Request<api::FlattenVolumeRequest>,
    ) -> Result<Response<api::FlattenVolumeResponse>, Status> {
        answer(self.handle_flatten_volume(request).await)
    }

    async fn rollback_volume(
        &self,
        request: Request<api::RollbackVolumeRequest>,
    ) -> Result<Response<api::RollbackVolumeResponse>, Status> {
        answer(self.handle_rollback_volume(request).await)
    }

    type ReadVolumeStream = BoxStream<'static, Result<api::ReadVolumeResponse, Status>>;

    async fn read_volume(
        &self,
        request: Request<api::ReadVolumeRequest>,
    ) -> Result<Response<Self::ReadVolumeStream>, Status> {
        answer(streams::read_volume(self, request).await)
    }

    async fn write_volume(
        &self,
        request: Request<Streaming<api::WriteVolumeRequest>>,
    ) -> Result<Response<api::WriteVolumeResponse>, Status> {
        streams::write_volume(self, request).await.map(Response::new)
    }

    type ScrubVolumesStream = BoxStream<'static, Result<api::ScrubVolumesResponse, Status>>;

    async fn scrub_volumes(
        &self,
        request: Request<api::ScrubVolumesRequest>,
    ) -> Result<Response<Self::ScrubVolumesStream>, Status> {
        answer(streams::scrub_volumes(self, request).await)
    }

    type WatchVolumesStream = BoxStream<'static, Result<api::WatchVolumesResponse, Status>>;

    async fn watch_volumes(
        &self,
        request: Request<api::WatchVolumesRequest>,
    ) -> Result<Response<Self::WatchVolumesStream>, Status> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        answer(watch::volumes(self, asker, request.get_ref().revision))
    }
}

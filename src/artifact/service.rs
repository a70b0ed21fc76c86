//! The gRPC face of artifacts: request, command, answer.

mod blobs;
mod changes;
mod file_requests;
mod files;
mod image_convert;
mod manifests;
mod packages;
mod projects;
mod uploads;

use futures::stream::BoxStream;
use steward_gateway::{Chunks, Direct, Pieces};
use steward_proto::artifact::v1 as api;
use steward_proto::artifact::v1::artifact_service_server::ArtifactService;
use tonic::{Request, Response, Status, Streaming};

use super::artifacts::Artifacts;
use super::error::Error;
use super::sight::Sight;
use super::upload_sessions::Uploader;
use crate::auth::{Grants, message_and_user};
use crate::error::Failure;
use crate::places::Places;

/// What the streaming calls answer.
type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// The service of artifacts.
#[derive(Clone)]
pub struct ArtifactServer {
    artifacts: Artifacts,
    watchers: Places,
}

impl ArtifactServer {
    /// A service for these artifacts.
    pub fn new(artifacts: Artifacts) -> Self {
        let watchers = Places::new(artifacts.settings.max_watchers);
        ArtifactServer { artifacts, watchers }
    }
}

/// The answer of a handler, or its refusal as a status.
fn answer<T>(result: Result<T, Error>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(status)
}

fn status(error: Error) -> Status {
    Failure::from(error).into()
}

/// The message of a request, and the user who sends it; empty: nobody is asked who they are.
fn open<T>(request: Request<T>) -> Result<(T, String), Status> {
    let (message, user) = message_and_user(request)?;
    Ok((message, user.unwrap_or_default()))
}

/// The message of a request, and what its caller gets to see: for the calls that ask for rights themselves.
fn see<T>(request: Request<T>) -> Result<(T, Sight), Status> {
    let grants = Grants::of(&request)?;
    Ok((request.into_inner(), Sight::of(grants)))
}

/// All of that.
fn open_and_see<T>(request: Request<T>) -> Result<(T, String, Sight), Status> {
    let sight = Sight::of(Grants::of(&request)?);
    let (message, user) = open(request)?;
    Ok((message, user, sight))
}

#[tonic::async_trait]
impl ArtifactService for ArtifactServer {
    async fn create_project(
        &self,
        request: Request<api::CreateProjectRequest>,
    ) -> Result<Response<api::CreateProjectResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_create_project(request, &user).await)
    }

    async fn get_project(
        &self,
        request: Request<api::GetProjectRequest>,
    ) -> Result<Response<api::GetProjectResponse>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_get_project(request, &sight).await)
    }

    async fn list_projects(
        &self,
        request: Request<api::ListProjectsRequest>,
    ) -> Result<Response<api::ListProjectsResponse>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_list_projects(request, &sight).await)
    }

    async fn delete_project(
        &self,
        request: Request<api::DeleteProjectRequest>,
    ) -> Result<Response<api::DeleteProjectResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_delete_project(request, &user).await)
    }

    async fn create_repository(
        &self,
        request: Request<api::CreateRepositoryRequest>,
    ) -> Result<Response<api::CreateRepositoryResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_create_repository(request, &user).await)
    }

    async fn get_repository(
        &self,
        request: Request<api::GetRepositoryRequest>,
    ) -> Result<Response<api::GetRepositoryResponse>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_get_repository(request, &sight).await)
    }

    async fn list_repositories(
        &self,
        request: Request<api::ListRepositoriesRequest>,
    ) -> Result<Response<api::ListRepositoriesResponse>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_list_repositories(request, &sight).await)
    }

    async fn delete_repository(
        &self,
        request: Request<api::DeleteRepositoryRequest>,
    ) -> Result<Response<api::DeleteRepositoryResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_delete_repository(request, &user).await)
    }

    async fn put_file(
        &self,
        request: Request<Streaming<api::PutFileRequest>>,
    ) -> Result<Response<api::PutFileResponse>, Status> {
        // Before the first part is asked for, or the chunks come as messages.
        let chunks = request.extensions().get::<Direct<Chunks>>().and_then(Direct::take);
        let (parts, user) = open(request)?;
        self.handle_put_file(parts, chunks, &user).await.map(Response::new)
    }

    async fn commit_file(
        &self,
        request: Request<api::CommitFileRequest>,
    ) -> Result<Response<api::CommitFileResponse>, Status> {
        let (request, user, sight) = open_and_see(request)?;
        answer(self.handle_commit_file(request, &user, &sight).await)
    }

    async fn get_file(&self, request: Request<api::GetFileRequest>) -> Result<Response<api::GetFileResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_get_file(request, &user).await)
    }

    async fn stat_files(
        &self,
        request: Request<api::StatFilesRequest>,
    ) -> Result<Response<api::StatFilesResponse>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_stat_files(request, &sight).await)
    }

    async fn list_files(
        &self,
        request: Request<api::ListFilesRequest>,
    ) -> Result<Response<api::ListFilesResponse>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_list_files(request, &sight).await)
    }

    async fn update_file_metadata(
        &self,
        request: Request<api::UpdateFileMetadataRequest>,
    ) -> Result<Response<api::UpdateFileMetadataResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_update_file_metadata(request, &user).await)
    }

    async fn delete_file(
        &self,
        request: Request<api::DeleteFileRequest>,
    ) -> Result<Response<api::DeleteFileResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_delete_file(request, &user).await)
    }

    async fn start_upload(
        &self,
        request: Request<api::StartUploadRequest>,
    ) -> Result<Response<api::StartUploadResponse>, Status> {
        let address = request.extensions().get::<Grants>().and_then(|grants| grants.caller().address);
        let (request, user, sight) = open_and_see(request)?;
        answer(self.handle_start_upload(request, &Uploader { user, address }, &sight).await)
    }

    async fn write_upload(
        &self,
        request: Request<Streaming<api::WriteUploadRequest>>,
    ) -> Result<Response<api::WriteUploadResponse>, Status> {
        // Before the first part is asked for, or the chunks come as messages.
        let chunks = request.extensions().get::<Direct<Chunks>>().and_then(Direct::take);
        let (parts, user) = open(request)?;
        self.handle_write_upload(parts, chunks, &user).await.map(Response::new)
    }

    async fn get_upload(
        &self,
        request: Request<api::GetUploadRequest>,
    ) -> Result<Response<api::GetUploadResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_get_upload(request, &user).await)
    }

    async fn finish_upload(
        &self,
        request: Request<api::FinishUploadRequest>,
    ) -> Result<Response<api::FinishUploadResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_finish_upload(request, &user).await)
    }

    async fn cancel_upload(
        &self,
        request: Request<api::CancelUploadRequest>,
    ) -> Result<Response<api::CancelUploadResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_cancel_upload(request, &user).await)
    }

    async fn missing_blobs(
        &self,
        request: Request<api::MissingBlobsRequest>,
    ) -> Result<Response<api::MissingBlobsResponse>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_missing_blobs(request, &sight).await)
    }

    async fn get_blob(&self, request: Request<api::GetBlobRequest>) -> Result<Response<api::GetBlobResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_get_blob(request, &user).await)
    }

    type DownloadBlobStream = Answers<api::DownloadBlobResponse>;

    async fn download_blob(
        &self,
        request: Request<api::DownloadBlobRequest>,
    ) -> Result<Response<Self::DownloadBlobStream>, Status> {
        let direct = request.extensions().get::<Direct<Pieces>>().cloned();
        let (request, user) = open(request)?;
        answer(self.handle_download_blob(request, direct, &user).await)
    }

    async fn mount_blob(
        &self,
        request: Request<api::MountBlobRequest>,
    ) -> Result<Response<api::MountBlobResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_mount_blob(request, &user).await)
    }

    async fn delete_blob(
        &self,
        request: Request<api::DeleteBlobRequest>,
    ) -> Result<Response<api::DeleteBlobResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_delete_blob(request, &user).await)
    }

    async fn put_manifest(
        &self,
        request: Request<api::PutManifestRequest>,
    ) -> Result<Response<api::PutManifestResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_put_manifest(request, &user).await)
    }

    async fn get_manifest(
        &self,
        request: Request<api::GetManifestRequest>,
    ) -> Result<Response<api::GetManifestResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_get_manifest(request, &user).await)
    }

    async fn delete_manifest(
        &self,
        request: Request<api::DeleteManifestRequest>,
    ) -> Result<Response<api::DeleteManifestResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_delete_manifest(request, &user).await)
    }

    async fn list_manifests(
        &self,
        request: Request<api::ListManifestsRequest>,
    ) -> Result<Response<api::ListManifestsResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_list_manifests(request, &user).await)
    }

    async fn list_tags(
        &self,
        request: Request<api::ListTagsRequest>,
    ) -> Result<Response<api::ListTagsResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_list_tags(request, &user).await)
    }

    async fn list_referrers(
        &self,
        request: Request<api::ListReferrersRequest>,
    ) -> Result<Response<api::ListReferrersResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_list_referrers(request, &user).await)
    }

    async fn list_images(
        &self,
        request: Request<api::ListImagesRequest>,
    ) -> Result<Response<api::ListImagesResponse>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_list_images(request, &sight).await)
    }

    async fn list_packages(
        &self,
        request: Request<api::ListPackagesRequest>,
    ) -> Result<Response<api::ListPackagesResponse>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_list_packages(request, &sight).await)
    }

    async fn get_package(
        &self,
        request: Request<api::GetPackageRequest>,
    ) -> Result<Response<api::GetPackageResponse>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_get_package(request, &sight).await)
    }

    async fn delete_package(
        &self,
        request: Request<api::DeletePackageRequest>,
    ) -> Result<Response<api::DeletePackageResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_delete_package(request, &user).await)
    }

    async fn list_versions(
        &self,
        request: Request<api::ListVersionsRequest>,
    ) -> Result<Response<api::ListVersionsResponse>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_list_versions(request, &sight).await)
    }

    async fn get_version(
        &self,
        request: Request<api::GetVersionRequest>,
    ) -> Result<Response<api::GetVersionResponse>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_get_version(request, &sight).await)
    }

    async fn update_version_metadata(
        &self,
        request: Request<api::UpdateVersionMetadataRequest>,
    ) -> Result<Response<api::UpdateVersionMetadataResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_update_version_metadata(request, &user).await)
    }

    async fn delete_version(
        &self,
        request: Request<api::DeleteVersionRequest>,
    ) -> Result<Response<api::DeleteVersionResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_delete_version(request, &user).await)
    }

    async fn list_changes(
        &self,
        request: Request<api::ListChangesRequest>,
    ) -> Result<Response<api::ListChangesResponse>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_list_changes(request, &sight).await)
    }

    type WatchArtifactsStream = Answers<api::WatchArtifactsResponse>;

    async fn watch_artifacts(
        &self,
        request: Request<api::WatchArtifactsRequest>,
    ) -> Result<Response<Self::WatchArtifactsStream>, Status> {
        let (request, sight) = see(request)?;
        answer(self.handle_watch_artifacts(request, &sight).await)
    }
}

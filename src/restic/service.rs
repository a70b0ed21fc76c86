//! The gRPC face of repositories: request, command, answer.

mod convert;
mod lists;
mod objects;
mod watch;

use futures::stream::BoxStream;
use steward_gateway::{Chunks, Direct, Pieces};
use steward_proto::restic::v1 as api;
use steward_proto::restic::v1::object_service_server::ObjectService;
use tonic::{Request, Response, Status, Streaming};

use super::error::Error;
use super::name::RepositoryPath;
use super::repositories::Repositories;
use crate::auth::rights::{Area, Right};
use crate::auth::{Grants, message_and_user};
use crate::config::Access;
use crate::error::Failure;
use crate::places::Places;

/// What the streaming calls answer.
type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// The service of repositories and their objects.
#[derive(Clone, Debug)]
pub struct ObjectServer {
    repositories: Repositories,
    watchers: Places,
}

impl ObjectServer {
    /// A service for these repositories.
    pub fn new(repositories: Repositories) -> Self {
        let watchers = Places::new(repositories.0.limits.max_watchers);
        ObjectServer { repositories, watchers }
    }
}

/// The answer of a handler, or its refusal as a status.
fn answer<T>(result: Result<T, Error>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(status)
}

/// Refuses whom the table of rights does not let do what it needs. Whether the caller may read was asked before.
fn require(grants: &Grants, path: &RepositoryPath, needed: Access) -> Result<(), Error> {
    let right = match needed {
        Access::None | Access::Read => Right::Read,
        Access::Append => Right::Append,
        Access::Modify => Right::Write,
        Access::Admin => Right::Admin,
    };
    if grants.allow(Area::Restic, right, path.as_str()) {
        return Ok(());
    }
    if needed == Access::Modify {
        return Err(Error::AppendOnly(path.clone()));
    }
    Err(Error::Forbidden(format!("you may not change repository {path}")))
}

fn status(error: Error) -> Status {
    Failure::from(error).into()
}

#[tonic::async_trait]
impl ObjectService for ObjectServer {
    async fn create_repository(
        &self,
        request: Request<api::CreateRepositoryRequest>,
    ) -> Result<Response<api::CreateRepositoryResponse>, Status> {
        let (request, user) = message_and_user(request)?;
        answer(self.handle_create(request, user.as_deref()).await)
    }

    async fn get_repository(
        &self,
        request: Request<api::GetRepositoryRequest>,
    ) -> Result<Response<api::GetRepositoryResponse>, Status> {
        let (request, user) = message_and_user(request)?;
        answer(self.handle_get_repository(request, user.as_deref()).await)
    }

    async fn list_repositories(
        &self,
        request: Request<api::ListRepositoriesRequest>,
    ) -> Result<Response<api::ListRepositoriesResponse>, Status> {
        let grants = Grants::of(&request)?;
        let (request, user) = message_and_user(request)?;
        answer(self.handle_list_repositories(&request, user.as_deref(), &grants))
    }

    async fn update_repository(
        &self,
        request: Request<api::UpdateRepositoryRequest>,
    ) -> Result<Response<api::UpdateRepositoryResponse>, Status> {
        let (request, user) = message_and_user(request)?;
        answer(self.handle_update(request, user.as_deref()).await)
    }

    async fn delete_repository(
        &self,
        _: Request<api::DeleteRepositoryRequest>,
    ) -> Result<Response<api::DeleteRepositoryResponse>, Status> {
        let why = "a repository is not deleted at somebody's word: remove its directory on the server";
        answer(Err(Error::Unimplemented(why)))
    }

    async fn upload(
        &self,
        request: Request<Streaming<api::UploadRequest>>,
    ) -> Result<Response<api::UploadResponse>, Status> {
        // Before the first part is asked for, or the chunks come as messages.
        let chunks = request.extensions().get::<Direct<Chunks>>().and_then(Direct::take);
        let grants = Grants::of(&request)?;
        let (parts, user) = message_and_user(request)?;
        self.handle_upload(parts, chunks, user.as_deref(), &grants).await.map(Response::new)
    }

    type DownloadStream = Answers<api::DownloadResponse>;

    async fn download(&self, request: Request<api::DownloadRequest>) -> Result<Response<Self::DownloadStream>, Status> {
        let direct = request.extensions().get::<Direct<Pieces>>().cloned();
        let (request, user) = message_and_user(request)?;
        answer(self.handle_download(request, direct, user.as_deref()).await)
    }

    async fn get_object(
        &self,
        request: Request<api::GetObjectRequest>,
    ) -> Result<Response<api::GetObjectResponse>, Status> {
        let (request, user) = message_and_user(request)?;
        answer(self.handle_get_object(request, user.as_deref()).await)
    }

    async fn list_objects(
        &self,
        request: Request<api::ListObjectsRequest>,
    ) -> Result<Response<api::ListObjectsResponse>, Status> {
        let (request, user) = message_and_user(request)?;
        answer(self.handle_list_objects(request, user.as_deref()).await)
    }

    type StreamObjectsStream = Answers<api::StreamObjectsResponse>;

    async fn stream_objects(
        &self,
        request: Request<api::StreamObjectsRequest>,
    ) -> Result<Response<Self::StreamObjectsStream>, Status> {
        let (request, user) = message_and_user(request)?;
        answer(self.handle_stream_objects(request, user.as_deref()).await)
    }

    async fn delete_object(
        &self,
        request: Request<api::DeleteObjectRequest>,
    ) -> Result<Response<api::DeleteObjectResponse>, Status> {
        let grants = Grants::of(&request)?;
        let (request, user) = message_and_user(request)?;
        answer(self.handle_delete(request, user.as_deref(), &grants).await)
    }

    async fn list_deleted_objects(
        &self,
        request: Request<api::ListDeletedObjectsRequest>,
    ) -> Result<Response<api::ListDeletedObjectsResponse>, Status> {
        let (request, user) = message_and_user(request)?;
        answer(self.handle_list_deleted(request, user.as_deref()).await)
    }

    async fn undelete_objects(
        &self,
        request: Request<api::UndeleteObjectsRequest>,
    ) -> Result<Response<api::UndeleteObjectsResponse>, Status> {
        let (request, user) = message_and_user(request)?;
        answer(self.handle_undelete(request, user.as_deref()).await)
    }

    type WatchStream = Answers<api::WatchResponse>;

    async fn watch(&self, request: Request<api::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let grants = Grants::of(&request)?;
        let (request, user) = message_and_user(request)?;
        answer(self.handle_watch(request, user.as_deref(), grants.caller()).await)
    }

    type VerifyRepositoryStream = Answers<api::VerifyRepositoryResponse>;

    async fn verify_repository(
        &self,
        request: Request<api::VerifyRepositoryRequest>,
    ) -> Result<Response<Self::VerifyRepositoryStream>, Status> {
        let grants = Grants::of(&request)?;
        let (request, user) = message_and_user(request)?;
        answer(self.handle_verify(request, user.as_deref(), &grants).await)
    }
}

//! The calls about single repositories and single objects.

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use steward_gateway::{Chunks, Direct, Pieces};
use steward_proto::restic::v1 as api;
use steward_proto::restic::v1::download_response::Part as DownloadPart;
use steward_proto::restic::v1::upload_request::Part as UploadPart;
use tonic::{Status, Streaming};

use super::{Answers, ObjectServer, convert, require, status};
use crate::auth::Grants;
use crate::config::Access;
use crate::restic::create::Missing;
use crate::restic::delete::Which;
use crate::restic::error::Error;
use crate::restic::upload::Upload;
use crate::restic::verify::Mode;

impl ObjectServer {
    pub(super) async fn handle_create(
        &self,
        request: api::CreateRepositoryRequest,
        user: Option<&str>,
    ) -> Result<api::CreateRepositoryResponse, Error> {
        let path = convert::path("path", &request.path)?;
        let (repository, created) = self.repositories.create(user, &path).await?;
        Ok(api::CreateRepositoryResponse { repository: Some(convert::repository(&repository)), created })
    }

    pub(super) async fn handle_get_repository(
        &self,
        request: api::GetRepositoryRequest,
        user: Option<&str>,
    ) -> Result<api::GetRepositoryResponse, Error> {
        let path = convert::path("path", &request.path)?;
        self.repositories.require_access(user, &path, Access::Read)?;
        let repository = self.repositories.require(&path).await?;
        repository.counted().await;
        Ok(api::GetRepositoryResponse { repository: Some(convert::repository(&repository)) })
    }

    pub(super) async fn handle_update(
        &self,
        request: api::UpdateRepositoryRequest,
        user: Option<&str>,
    ) -> Result<api::UpdateRepositoryResponse, Error> {
        let path = convert::path("path", &request.path)?;
        let max_bytes = convert::bytes("max_bytes", request.max_bytes)?;
        let repository = self.repositories.set_quota(user, &path, max_bytes).await?;
        Ok(api::UpdateRepositoryResponse { repository: Some(convert::repository(&repository)) })
    }

    /// An upload that ends without `finish`, in whatever way, is dropped, and with it all that was written.
    pub(super) async fn handle_upload(
        &self,
        mut parts: Streaming<api::UploadRequest>,
        direct: Option<Chunks>,
        user: Option<&str>,
        grants: &Grants,
    ) -> Result<api::UploadResponse, Status> {
        let Some(UploadPart::Start(start)) = next_part(&mut parts).await? else {
            return Err(status(odd_part("the first part has to be `start`")));
        };
        let (path, object) = convert::key(start.key).map_err(status)?;
        require(grants, &path, object.access_to_add()).map_err(status)?;
        let size = start.size.map(|size| convert::bytes("start.size", size)).transpose().map_err(status)?;
        let may_create = require(grants, &path, Access::Append).is_ok();
        let missing = if may_create { Missing::Create } else { Missing::Refuse };
        let begun = self.repositories.begin_upload(user, &path, object, size, missing);
        let mut upload = begun.await.map_err(status)?;
        if let Some(mut chunks) = direct {
            while let Some(chunk) = chunks.next().await {
                upload.accept(chunk).await.map_err(status)?;
            }
        }
        let (upload, size) = receive(upload, &mut parts).await?;
        let stored = upload.finish(size).await.map_err(status)?;
        Ok(api::UploadResponse {
            object: Some(convert::stored_object(&path, object, (stored.size, stored.arrive_time))),
            already_existed: stored.already_existed,
        })
    }

    pub(super) async fn handle_download(
        &self,
        request: api::DownloadRequest,
        direct: Option<Direct<Pieces>>,
        user: Option<&str>,
    ) -> Result<Answers<api::DownloadResponse>, Error> {
        let range = convert::range(request.range)?;
        let (path, object) = convert::key(request.key)?;
        let download = self.repositories.read(user, &path, object, range).await?;
        let start = api::DownloadStart {
            object: Some(convert::stored_object(&path, object, (download.size, download.arrive_time))),
            first: convert::signed(download.extent.first),
            length: convert::signed(download.extent.length),
        };
        let part = |part| api::DownloadResponse { part: Some(part) };
        let start = stream::once(std::future::ready(Ok(part(DownloadPart::Start(start)))));
        let pieces = download.pieces.map(|piece| piece.map_err(status));
        match direct {
            Some(direct) => {
                direct.leave(pieces.boxed());
                Ok(start.boxed())
            }
            None => Ok(start.chain(pieces.map(move |piece| Ok(part(DownloadPart::Chunk(piece?))))).boxed()),
        }
    }

    pub(super) async fn handle_get_object(
        &self,
        request: api::GetObjectRequest,
        user: Option<&str>,
    ) -> Result<api::GetObjectResponse, Error> {
        let (path, object) = convert::key(request.key)?;
        let stored = self.repositories.stat(user, &path, object).await?;
        Ok(api::GetObjectResponse { object: Some(convert::stored_object(&path, object, stored)) })
    }

    pub(super) async fn handle_delete(
        &self,
        request: api::DeleteObjectRequest,
        user: Option<&str>,
        grants: &Grants,
    ) -> Result<api::DeleteObjectResponse, Error> {
        let (path, object) = convert::key(request.key)?;
        require(grants, &path, object.access_to_delete())?;
        let deleted = self.repositories.delete(user, &path, object).await?;
        Ok(api::DeleteObjectResponse { deleted })
    }

    pub(super) async fn handle_undelete(
        &self,
        request: api::UndeleteObjectsRequest,
        user: Option<&str>,
    ) -> Result<api::UndeleteObjectsResponse, Error> {
        let path = convert::path("repository", &request.repository)?;
        let of_type = convert::wanted_type("type", request.r#type)?;
        let object = convert::wanted_object(of_type, &request.name)?;
        let since = convert::time_from("deleted_since", request.deleted_since)?;
        let (count, bytes) = self.repositories.undelete(user, &path, Which { of_type, object, since }).await?;
        Ok(api::UndeleteObjectsResponse {
            restored_count: convert::signed(count),
            restored_bytes: convert::signed(bytes),
        })
    }

    pub(super) async fn handle_verify(
        &self,
        request: api::VerifyRepositoryRequest,
        user: Option<&str>,
        grants: &Grants,
    ) -> Result<Answers<api::VerifyRepositoryResponse>, Error> {
        let path = convert::path("repository", &request.repository)?;
        let mode = if request.repair { Mode::Repair } else { Mode::Look };
        if mode == Mode::Repair {
            require(grants, &path, Access::Modify)?;
        }
        let events = self.repositories.verify(user, &path, mode).await?;
        let events = stream::unfold(events, |mut events| async move { Some((events.recv().await?, events)) });
        let answers = events.map(move |event| convert::verify_event(&path, event).map_err(status));
        Ok(answers.boxed())
    }
}

/// How long an upload may bring nothing. It holds what the quotas have promised it. restic gives up after as long.
const PATIENCE: Duration = Duration::from_mins(5);

async fn next_part(parts: &mut Streaming<api::UploadRequest>) -> Result<Option<UploadPart>, Status> {
    let Ok(message) = tokio::time::timeout(PATIENCE, parts.message()).await else {
        return Err(Status::deadline_exceeded("nothing more of the upload came for five minutes"));
    };
    match message? {
        Some(api::UploadRequest { part: Some(part) }) => Ok(Some(part)),
        Some(api::UploadRequest { part: None }) => Err(status(odd_part("is empty"))),
        None => Ok(None),
    }
}

/// Takes all chunks. Returns what `finish` says the size is.
async fn receive(mut upload: Upload, parts: &mut Streaming<api::UploadRequest>) -> Result<(Upload, u64), Status> {
    loop {
        match next_part(parts).await? {
            Some(UploadPart::Chunk(chunk)) => upload.accept(chunk).await.map_err(status)?,
            Some(UploadPart::Finish(finish)) => {
                let size = convert::bytes("finish.size", finish.size).map_err(status)?;
                return Ok((upload, size));
            }
            Some(UploadPart::Start(_)) => return Err(status(odd_part("`start` comes once"))),
            None => return Err(status(upload.without_end())),
        }
    }
}

fn odd_part(problem: &str) -> Error {
    Error::Invalid { field: "part", problem: problem.to_owned() }
}

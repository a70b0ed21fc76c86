//! The calls about files.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use steward_gateway::Chunks;
use steward_proto::artifact::v1 as api;
use steward_proto::artifact::v1::put_file_request::Part;
use tonic::{Status, Streaming};

use super::file_requests::{self as requests, Expected};
use super::{ArtifactServer, status};
use crate::artifact::bytes::Receiving;
use crate::artifact::convert;
use crate::artifact::error::Error;
use crate::artifact::files::{Found, Place, Same};
use crate::artifact::sight::Sight;

/// How long an upload may bring nothing.
const PATIENCE: Duration = Duration::from_mins(5);

impl ArtifactServer {
    /// An upload that ends without `finish`, in whatever way, is dropped, and with it all that came.
    pub(super) async fn handle_put_file(
        &self,
        mut parts: Streaming<api::PutFileRequest>,
        direct: Option<Chunks>,
        user: &str,
    ) -> Result<api::PutFileResponse, Status> {
        let Some(Part::Start(start)) = next_part(&mut parts).await? else {
            return Err(status(odd_part("the first part has to be `start`")));
        };
        let limit = self.artifacts.settings.max_blob_bytes;
        let (put, expected) = requests::put(start, self.artifacts.now_us(), limit).map_err(status)?;
        self.artifacts.may_put(&put).await.map_err(status)?;
        let mut receiving = self.artifacts.receive(put.place.path.as_str());
        if let Some(mut chunks) = direct {
            while let Some(chunk) = chunks.next().await {
                receiving.accept(chunk).await.map_err(status)?;
            }
        }
        receive(&mut receiving, &expected, &mut parts).await?;
        let place = put.place.clone();
        let what = place.path.to_string();
        let kept = receiving.keep(move |kept| expected.check(&what, kept)).await.map_err(status)?;
        let (record, _) = self.artifacts.put_file(put, kept, Same::Replace, user.to_owned()).await.map_err(status)?;
        Ok(api::PutFileResponse { file: Some(file(&place, record)) })
    }

    pub(super) async fn handle_commit_file(
        &self,
        request: api::CommitFileRequest,
        user: &str,
        sight: &Sight,
    ) -> Result<api::CommitFileResponse, Error> {
        let (put, digest, checksums) = requests::commit(request, self.artifacts.now_us())?;
        if !sight.is_unbounded() {
            let view = sight.on(&put.place.project, &put.place.repository);
            self.artifacts.check_known(&put.place, &digest, (user, &view)).await?;
        }
        let place = put.place.clone();
        let (record, unchanged) = self.artifacts.commit_file(put, digest, checksums, user.to_owned()).await?;
        Ok(api::CommitFileResponse { file: Some(file(&place, record)), unchanged })
    }

    pub(super) async fn handle_get_file(
        &self,
        request: api::GetFileRequest,
        _user: &str,
    ) -> Result<api::GetFileResponse, Error> {
        let place = requests::folder("path", (request.project, request.repository), &request.path)?;
        let found = match self.artifacts.get_file(&place).await? {
            Found::File(record) => file(&place, *record),
            Found::Folder => convert::folder(&place.project, &place.repository, place.path.as_str()),
        };
        Ok(api::GetFileResponse { file: Some(found) })
    }

    pub(super) async fn handle_stat_files(
        &self,
        request: api::StatFilesRequest,
        sight: &Sight,
    ) -> Result<api::StatFilesResponse, Error> {
        let view = sight.repository(&request.project, &request.repository)?;
        let mut paths = requests::paths(&request)?;
        paths.retain(|path| view.has(path.as_str()));
        let (project, repository) = (request.project, request.repository);
        let found = self.artifacts.stat_files(&project, &repository, paths).await?;
        let files = found.into_iter();
        let files = files.map(|(path, record)| convert::file(&project, &repository, path.as_str(), record));
        Ok(api::StatFilesResponse { files: files.collect() })
    }

    pub(super) async fn handle_list_files(
        &self,
        request: api::ListFilesRequest,
        sight: &Sight,
    ) -> Result<api::ListFilesResponse, Error> {
        let include_metadata = request.include_metadata;
        let (which, page) = requests::list(request)?;
        let view = sight.on(&which.place.project, &which.place.repository);
        view.require_folder(which.place.path.as_str())?;
        let part = self.artifacts.list_files(&which, &page, &view).await?;
        let Place { project, repository, .. } = &which.place;
        let files = part.items.into_iter().map(|listed| match listed.file {
            Some(mut record) => {
                if !include_metadata {
                    record.metadata.clear();
                }
                convert::file(project, repository, &listed.path, record)
            }
            None => convert::folder(project, repository, &listed.path),
        });
        Ok(api::ListFilesResponse {
            files: files.collect(),
            next_page_token: part.next,
            total_size: convert::signed(part.total),
        })
    }

    pub(super) async fn handle_update_file_metadata(
        &self,
        request: api::UpdateFileMetadataRequest,
        user: &str,
    ) -> Result<api::UpdateFileMetadataResponse, Error> {
        let (place, written, deleted) = requests::metadata(request)?;
        let at = place.clone();
        let record = self.artifacts.update_file_metadata(at, written, deleted, user.to_owned()).await?;
        Ok(api::UpdateFileMetadataResponse { file: Some(file(&place, record)) })
    }

    pub(super) async fn handle_delete_file(
        &self,
        request: api::DeleteFileRequest,
        _user: &str,
    ) -> Result<api::DeleteFileResponse, Error> {
        let deleted = self.artifacts.delete_file(requests::delete(request)?).await?;
        Ok(api::DeleteFileResponse { deleted: convert::signed(deleted) })
    }
}

fn file(place: &Place, record: steward_proto::store::v1::FileRecord) -> api::File {
    convert::file(&place.project, &place.repository, place.path.as_str(), record)
}

async fn next_part(parts: &mut Streaming<api::PutFileRequest>) -> Result<Option<Part>, Status> {
    let Ok(message) = tokio::time::timeout(PATIENCE, parts.message()).await else {
        return Err(Status::deadline_exceeded("nothing more of the file came for five minutes"));
    };
    match message? {
        Some(api::PutFileRequest { part: Some(part) }) => Ok(Some(part)),
        Some(api::PutFileRequest { part: None }) => Err(status(odd_part("is empty"))),
        None => Ok(None),
    }
}

/// Takes all chunks, up to a `finish` that tells as many bytes as have come.
async fn receive(
    receiving: &mut Receiving,
    expected: &Expected,
    parts: &mut Streaming<api::PutFileRequest>,
) -> Result<(), Status> {
    loop {
        match next_part(parts).await? {
            Some(Part::Chunk(chunk)) => accept(receiving, chunk).await?,
            Some(Part::Finish(finish)) => {
                return expected.check_size(finish.size, receiving.size()).map_err(status);
            }
            Some(Part::Start(_)) => return Err(status(odd_part("`start` comes once"))),
            None => {
                let broken_off = format!("it ended without `finish` after {} bytes", receiving.size());
                return Err(status(Error::UploadBrokenOff(broken_off)));
            }
        }
    }
}

async fn accept(receiving: &mut Receiving, chunk: Bytes) -> Result<(), Status> {
    receiving.accept(chunk).await.map_err(status)
}

fn odd_part(problem: &str) -> Error {
    Error::invalid("part", problem)
}

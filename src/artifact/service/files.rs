//! The calls about files.

use super::{ArtifactServer, status};
use crate::artifact::error::Error;
use steward_gateway::Chunks;
use steward_proto::artifact::v1 as api;
use tonic::{Status, Streaming};

impl ArtifactServer {
    pub(super) async fn handle_put_file(
        &self,
        _parts: Streaming<api::PutFileRequest>,
        _direct: Option<Chunks>,
        _user: &str,
    ) -> Result<api::PutFileResponse, Status> {
        Err(status(Error::Internal("not built yet".to_owned())))
    }

    pub(super) async fn handle_commit_file(
        &self,
        _request: api::CommitFileRequest,
        _user: &str,
    ) -> Result<api::CommitFileResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_get_file(
        &self,
        _request: api::GetFileRequest,
        _user: &str,
    ) -> Result<api::GetFileResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_stat_files(
        &self,
        _request: api::StatFilesRequest,
        _user: &str,
    ) -> Result<api::StatFilesResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_list_files(
        &self,
        _request: api::ListFilesRequest,
        _user: &str,
    ) -> Result<api::ListFilesResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_update_file_metadata(
        &self,
        _request: api::UpdateFileMetadataRequest,
        _user: &str,
    ) -> Result<api::UpdateFileMetadataResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_delete_file(
        &self,
        _request: api::DeleteFileRequest,
        _user: &str,
    ) -> Result<api::DeleteFileResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }
}

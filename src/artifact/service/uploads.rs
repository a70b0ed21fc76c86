//! The calls about uploads.

use super::{ArtifactServer, status};
use crate::artifact::error::Error;
use steward_gateway::Chunks;
use steward_proto::artifact::v1 as api;
use tonic::{Status, Streaming};

impl ArtifactServer {
    pub(super) async fn handle_start_upload(
        &self,
        _request: api::StartUploadRequest,
        _user: &str,
    ) -> Result<api::StartUploadResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_write_upload(
        &self,
        _parts: Streaming<api::WriteUploadRequest>,
        _direct: Option<Chunks>,
        _user: &str,
    ) -> Result<api::WriteUploadResponse, Status> {
        Err(status(Error::Internal("not built yet".to_owned())))
    }

    pub(super) async fn handle_get_upload(
        &self,
        _request: api::GetUploadRequest,
        _user: &str,
    ) -> Result<api::GetUploadResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_finish_upload(
        &self,
        _request: api::FinishUploadRequest,
        _user: &str,
    ) -> Result<api::FinishUploadResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_cancel_upload(
        &self,
        _request: api::CancelUploadRequest,
        _user: &str,
    ) -> Result<api::CancelUploadResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }
}

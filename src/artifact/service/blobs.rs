//! The calls about blobs.

use super::Answers;
use super::ArtifactServer;
use crate::artifact::error::Error;
use steward_gateway::{Direct, Pieces};
use steward_proto::artifact::v1 as api;

impl ArtifactServer {
    pub(super) async fn handle_missing_blobs(
        &self,
        _request: api::MissingBlobsRequest,
        _user: &str,
    ) -> Result<api::MissingBlobsResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_get_blob(
        &self,
        _request: api::GetBlobRequest,
        _user: &str,
    ) -> Result<api::GetBlobResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_download_blob(
        &self,
        _request: api::DownloadBlobRequest,
        _direct: Option<Direct<Pieces>>,
        _user: &str,
    ) -> Result<Answers<api::DownloadBlobResponse>, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_mount_blob(
        &self,
        _request: api::MountBlobRequest,
        _user: &str,
    ) -> Result<api::MountBlobResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_delete_blob(
        &self,
        _request: api::DeleteBlobRequest,
        _user: &str,
    ) -> Result<api::DeleteBlobResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }
}

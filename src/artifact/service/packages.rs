//! The calls about packages and versions.

use super::ArtifactServer;
use crate::artifact::error::Error;
use steward_proto::artifact::v1 as api;

impl ArtifactServer {
    pub(super) async fn handle_list_packages(
        &self,
        _request: api::ListPackagesRequest,
        _user: &str,
    ) -> Result<api::ListPackagesResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_get_package(
        &self,
        _request: api::GetPackageRequest,
        _user: &str,
    ) -> Result<api::GetPackageResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_delete_package(
        &self,
        _request: api::DeletePackageRequest,
        _user: &str,
    ) -> Result<api::DeletePackageResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_list_versions(
        &self,
        _request: api::ListVersionsRequest,
        _user: &str,
    ) -> Result<api::ListVersionsResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_get_version(
        &self,
        _request: api::GetVersionRequest,
        _user: &str,
    ) -> Result<api::GetVersionResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_update_version_metadata(
        &self,
        _request: api::UpdateVersionMetadataRequest,
        _user: &str,
    ) -> Result<api::UpdateVersionMetadataResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_delete_version(
        &self,
        _request: api::DeleteVersionRequest,
        _user: &str,
    ) -> Result<api::DeleteVersionResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }
}

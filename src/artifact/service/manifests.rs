//! The calls about manifests, tags and images.

use super::ArtifactServer;
use crate::artifact::error::Error;
use steward_proto::artifact::v1 as api;

impl ArtifactServer {
    pub(super) async fn handle_put_manifest(
        &self,
        _request: api::PutManifestRequest,
        _user: &str,
    ) -> Result<api::PutManifestResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_get_manifest(
        &self,
        _request: api::GetManifestRequest,
        _user: &str,
    ) -> Result<api::GetManifestResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_delete_manifest(
        &self,
        _request: api::DeleteManifestRequest,
        _user: &str,
    ) -> Result<api::DeleteManifestResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_list_manifests(
        &self,
        _request: api::ListManifestsRequest,
        _user: &str,
    ) -> Result<api::ListManifestsResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_list_tags(
        &self,
        _request: api::ListTagsRequest,
        _user: &str,
    ) -> Result<api::ListTagsResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_list_referrers(
        &self,
        _request: api::ListReferrersRequest,
        _user: &str,
    ) -> Result<api::ListReferrersResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_list_images(
        &self,
        _request: api::ListImagesRequest,
        _user: &str,
    ) -> Result<api::ListImagesResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }
}

//! The calls about projects and repositories.

use super::ArtifactServer;
use crate::artifact::error::Error;
use steward_proto::artifact::v1 as api;

impl ArtifactServer {
    pub(super) async fn handle_create_project(
        &self,
        _request: api::CreateProjectRequest,
        _user: &str,
    ) -> Result<api::CreateProjectResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_get_project(
        &self,
        _request: api::GetProjectRequest,
        _user: &str,
    ) -> Result<api::GetProjectResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_list_projects(
        &self,
        _request: api::ListProjectsRequest,
        _user: &str,
    ) -> Result<api::ListProjectsResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_delete_project(
        &self,
        _request: api::DeleteProjectRequest,
        _user: &str,
    ) -> Result<api::DeleteProjectResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_create_repository(
        &self,
        _request: api::CreateRepositoryRequest,
        _user: &str,
    ) -> Result<api::CreateRepositoryResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_get_repository(
        &self,
        _request: api::GetRepositoryRequest,
        _user: &str,
    ) -> Result<api::GetRepositoryResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_list_repositories(
        &self,
        _request: api::ListRepositoriesRequest,
        _user: &str,
    ) -> Result<api::ListRepositoriesResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_delete_repository(
        &self,
        _request: api::DeleteRepositoryRequest,
        _user: &str,
    ) -> Result<api::DeleteRepositoryResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }
}

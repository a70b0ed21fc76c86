//! The calls about projects and repositories.

use super::ArtifactServer;
use crate::artifact::convert;
use crate::artifact::error::Error;
use crate::artifact::names::{is_project_name, is_repository_name};
use crate::artifact::projects::NewProject;
use crate::artifact::repositories::{Delete, NewRepository, WhichRepositories};
use crate::artifact::sight::Sight;
use crate::fields::Fields;
use steward_proto::artifact::v1 as api;
use steward_proto::artifact::v1::{RepositoryCategory, RepositoryType};

/// The longest name for people, in bytes.
const MAX_DISPLAY_NAME: usize = 256;
/// The longest description, in bytes.
const MAX_DESCRIPTION: usize = 1024;

/// A project that has to be there.
fn project(field: &'static str, name: &str) -> Result<(), Error> {
    let mut fields = Fields::default();
    fields.existing(field, name);
    Error::check(fields)?;
    if is_project_name(name) { Ok(()) } else { Err(Error::ProjectNotFound(name.to_owned())) }
}

/// A repository that has to be there.
pub(super) fn repository<'a>(project: &'a str, name: &'a str) -> Result<(&'a str, &'a str), Error> {
    let mut fields = Fields::default();
    fields.existing("project", project);
    fields.existing("repository", name);
    Error::check(fields)?;
    if is_project_name(project) && is_repository_name(name) {
        Ok((project, name))
    } else {
        Err(Error::RepositoryNotFound(name.to_owned()))
    }
}

fn new_repository(request: api::CreateRepositoryRequest) -> Result<NewRepository, Error> {
    let mut fields = Fields::default();
    fields.project_name("project", &request.project);
    fields.repository_name("name", &request.name);
    fields.text("description", &request.description, MAX_DESCRIPTION);
    let holds = RepositoryType::try_from(request.r#type).unwrap_or_default();
    if holds == RepositoryType::Unspecified {
        fields.reject("type", "has to say what the repository holds");
    }
    let category = match fields.known("category", request.category) {
        RepositoryCategory::Unspecified => RepositoryCategory::Composite,
        known @ (RepositoryCategory::Local | RepositoryCategory::Composite) => known,
    };
    Error::check(fields)?;
    let api::CreateRepositoryRequest { project, name, public, description, .. } = request;
    Ok(NewRepository { project, name, holds, category, public, description })
}

impl ArtifactServer {
    pub(super) async fn handle_create_project(
        &self,
        request: api::CreateProjectRequest,
        user: &str,
    ) -> Result<api::CreateProjectResponse, Error> {
        let mut fields = Fields::default();
        fields.new_project_name("name", &request.name);
        fields.text("display_name", &request.display_name, MAX_DISPLAY_NAME);
        fields.text("description", &request.description, MAX_DESCRIPTION);
        Error::check(fields)?;
        let api::CreateProjectRequest { name, display_name, description } = request;
        let record = self.artifacts.create_project(&NewProject { name, display_name, description }, user).await?;
        Ok(api::CreateProjectResponse { project: Some(convert::project(record)) })
    }

    pub(super) async fn handle_get_project(
        &self,
        request: api::GetProjectRequest,
        sight: &Sight,
    ) -> Result<api::GetProjectResponse, Error> {
        sight.project(&request.name)?;
        project("name", &request.name)?;
        let record = self.artifacts.get_project(&request.name).await?;
        Ok(api::GetProjectResponse { project: Some(convert::project(record)) })
    }

    pub(super) async fn handle_list_projects(
        &self,
        request: api::ListProjectsRequest,
        sight: &Sight,
    ) -> Result<api::ListProjectsResponse, Error> {
        let mut fields = Fields::default();
        let page = fields.artifact_page(request.page_size, &request.page_token);
        Error::check(fields)?;
        let part = self.artifacts.list_projects(&page, sight).await?;
        Ok(api::ListProjectsResponse {
            projects: part.items.into_iter().map(convert::project).collect(),
            next_page_token: part.next,
            total_size: convert::signed(part.total),
        })
    }

    pub(super) async fn handle_delete_project(
        &self,
        request: api::DeleteProjectRequest,
        _user: &str,
    ) -> Result<api::DeleteProjectResponse, Error> {
        project("name", &request.name)?;
        self.artifacts.delete_project(&request.name).await?;
        Ok(api::DeleteProjectResponse {})
    }

    pub(super) async fn handle_create_repository(
        &self,
        request: api::CreateRepositoryRequest,
        user: &str,
    ) -> Result<api::CreateRepositoryResponse, Error> {
        let record = self.artifacts.create_repository(&new_repository(request)?, user).await?;
        Ok(api::CreateRepositoryResponse { repository: Some(convert::repository(record)) })
    }

    pub(super) async fn handle_get_repository(
        &self,
        request: api::GetRepositoryRequest,
        sight: &Sight,
    ) -> Result<api::GetRepositoryResponse, Error> {
        sight.repository(&request.project, &request.repository)?;
        let (project, name) = repository(&request.project, &request.repository)?;
        let record = self.artifacts.get_repository(project, name).await?;
        Ok(api::GetRepositoryResponse { repository: Some(convert::repository(record)) })
    }

    pub(super) async fn handle_list_repositories(
        &self,
        request: api::ListRepositoriesRequest,
        sight: &Sight,
    ) -> Result<api::ListRepositoriesResponse, Error> {
        let mut fields = Fields::default();
        fields.existing("project", &request.project);
        fields.text("name_prefix", &request.name_prefix, MAX_DISPLAY_NAME);
        let holds = fields.known("type", request.r#type);
        let page = fields.artifact_page(request.page_size, &request.page_token);
        Error::check(fields)?;
        sight.project(&request.project)?;
        project("project", &request.project)?;
        let which = WhichRepositories { project: request.project, name_prefix: request.name_prefix, holds };
        let part = self.artifacts.list_repositories(&which, &page, sight).await?;
        Ok(api::ListRepositoriesResponse {
            repositories: part.items.into_iter().map(convert::repository).collect(),
            next_page_token: part.next,
            total_size: convert::signed(part.total),
        })
    }

    pub(super) async fn handle_delete_repository(
        &self,
        request: api::DeleteRepositoryRequest,
        _user: &str,
    ) -> Result<api::DeleteRepositoryResponse, Error> {
        let (project, name) = repository(&request.project, &request.repository)?;
        let delete = if request.force { Delete::WithContents } else { Delete::IfEmpty };
        self.artifacts.delete_repository(project, name, delete).await?;
        Ok(api::DeleteRepositoryResponse {})
    }
}

#[cfg(test)]
mod tests {
    use super::super::status;
    use super::*;
    use tonic_types::StatusExt as _;

    #[test]
    fn every_wrong_field_of_a_new_repository_is_named() {
        let request = api::CreateRepositoryRequest {
            project: "9".to_owned(),
            name: "a/b".to_owned(),
            r#type: 0,
            category: 77,
            public: false,
            description: "d".repeat(1025),
        };
        let error = new_repository(request).expect_err("nothing of it is right");
        let details = status(error).get_error_details();
        let named: Vec<&str> = details
            .bad_request()
            .map(|bad| bad.field_violations.iter().map(|violation| violation.field.as_str()).collect())
            .unwrap_or_default();
        assert_eq!(named, ["project", "name", "description", "type", "category"]);
    }

    #[test]
    fn a_repository_without_a_category_is_composite() {
        let request = api::CreateRepositoryRequest {
            project: "p1".to_owned(),
            name: "r1".to_owned(),
            r#type: RepositoryType::Generic.into(),
            ..api::CreateRepositoryRequest::default()
        };
        assert_eq!(new_repository(request).expect("a repository").category, RepositoryCategory::Composite);
    }

    #[test]
    fn what_cannot_have_the_name_is_not_there() {
        assert!(matches!(project("name", "../x"), Err(Error::ProjectNotFound(_))));
        assert!(matches!(project("name", ""), Err(Error::Violations(_))));
        assert!(matches!(repository("p1", &"r".repeat(5000)), Err(Error::RepositoryNotFound(_))));
    }
}

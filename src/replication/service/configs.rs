//! The calls about tasks.

use steward_proto::replication::v1 as api;

use super::ReplicationServer;
use super::paging::{page_size, page_token, token_of};
use crate::auth::Grants;
use crate::replication::access::Maker;
use crate::replication::error::Error;
use crate::replication::queue::TaskId;
use crate::replication::task_create::task_of;
use crate::store::Key;

impl ReplicationServer {
    pub(super) async fn handle_create_configs(
        &self,
        request: api::CreateConfigsRequest,
        grants: &Grants,
    ) -> Result<api::CreateConfigsResponse, Error> {
        let api::CreateConfigsRequest { project, repository, configs } = request;
        for config in &configs {
            let (project, repository, name) = (project.clone(), repository.clone(), config.name.clone());
            self.replication.may_copy(&TaskId { project, repository, name }, config, grants).await?;
        }
        let tasks = self.replication.create_tasks(&project, &repository, configs, &Maker::of(grants)).await?;
        Ok(api::CreateConfigsResponse { tasks })
    }

    pub(super) async fn handle_update_config(
        &self,
        request: api::UpdateConfigRequest,
        grants: &Grants,
    ) -> Result<api::UpdateConfigResponse, Error> {
        let config = request.config.ok_or(Error::Missing("config"))?;
        self.replication.may_copy(&task_of(&config), &config, grants).await?;
        let task = self.replication.update_task(config, &Maker::of(grants)).await?;
        Ok(api::UpdateConfigResponse { task: Some(task) })
    }

    pub(super) async fn handle_get_config(
        &self,
        request: api::GetConfigRequest,
        _user: &str,
    ) -> Result<api::GetConfigResponse, Error> {
        let api::GetConfigRequest { project, repository, name } = request;
        let task = self.replication.get_task(&TaskId { project, repository, name }).await?;
        Ok(api::GetConfigResponse { task: Some(task) })
    }

    pub(super) async fn handle_list_configs(
        &self,
        request: api::ListConfigsRequest,
        grants: &Grants,
    ) -> Result<api::ListConfigsResponse, Error> {
        let after = token_of(&request.page_token)?.map(Key::from_bytes);
        let limit = page_size(request.page_size)?;
        let page = self.replication.list_tasks(&request.project, &request.repository, after, limit, grants).await?;
        Ok(api::ListConfigsResponse {
            tasks: page.tasks,
            next_page_token: page.next.map_or_else(String::new, |key| page_token(key.as_bytes())),
            total_size: i64::try_from(page.total).unwrap_or(i64::MAX),
        })
    }

    pub(super) async fn handle_delete_config(
        &self,
        request: api::DeleteConfigRequest,
        _user: &str,
    ) -> Result<api::DeleteConfigResponse, Error> {
        let api::DeleteConfigRequest { project, repository, name } = request;
        self.replication.delete_task(&TaskId { project, repository, name }).await?;
        Ok(api::DeleteConfigResponse {})
    }

    pub(super) async fn handle_toggle_config(
        &self,
        request: api::ToggleConfigRequest,
        _user: &str,
    ) -> Result<api::ToggleConfigResponse, Error> {
        let api::ToggleConfigRequest { project, repository, name, enabled } = request;
        let task = self.replication.toggle_task(&TaskId { project, repository, name }, enabled).await?;
        Ok(api::ToggleConfigResponse { task: Some(task) })
    }

    pub(super) async fn handle_create_run_once_task(
        &self,
        request: api::CreateRunOnceTaskRequest,
        grants: &Grants,
    ) -> Result<api::CreateRunOnceTaskResponse, Error> {
        let config = request.config.ok_or(Error::Missing("config"))?;
        self.replication.may_copy(&task_of(&config), &config, grants).await?;
        let task = self.replication.create_run_once(config, &Maker::of(grants)).await?;
        Ok(api::CreateRunOnceTaskResponse { task: Some(task) })
    }

    pub(super) async fn handle_delete_run_once_task(
        &self,
        request: api::DeleteRunOnceTaskRequest,
        _user: &str,
    ) -> Result<api::DeleteRunOnceTaskResponse, Error> {
        let api::DeleteRunOnceTaskRequest { project, repository, name } = request;
        self.replication.delete_run_once(&TaskId { project, repository, name }).await?;
        Ok(api::DeleteRunOnceTaskResponse {})
    }
}

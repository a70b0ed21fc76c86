//! The calls about tasks.

use steward_proto::replication::v1 as api;

use super::ReplicationServer;
use crate::replication::error::Error;

impl ReplicationServer {
    pub(super) async fn handle_create_configs(
        &self,
        _request: api::CreateConfigsRequest,
        _user: &str,
    ) -> Result<api::CreateConfigsResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_update_config(
        &self,
        _request: api::UpdateConfigRequest,
        _user: &str,
    ) -> Result<api::UpdateConfigResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_get_config(
        &self,
        _request: api::GetConfigRequest,
        _user: &str,
    ) -> Result<api::GetConfigResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_list_configs(
        &self,
        _request: api::ListConfigsRequest,
        _user: &str,
    ) -> Result<api::ListConfigsResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_delete_config(
        &self,
        _request: api::DeleteConfigRequest,
        _user: &str,
    ) -> Result<api::DeleteConfigResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_toggle_config(
        &self,
        _request: api::ToggleConfigRequest,
        _user: &str,
    ) -> Result<api::ToggleConfigResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_create_run_once_task(
        &self,
        _request: api::CreateRunOnceTaskRequest,
        _user: &str,
    ) -> Result<api::CreateRunOnceTaskResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_delete_run_once_task(
        &self,
        _request: api::DeleteRunOnceTaskRequest,
        _user: &str,
    ) -> Result<api::DeleteRunOnceTaskResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }
}

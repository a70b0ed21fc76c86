//! The calls about runs.

use steward_proto::replication::v1 as api;

use super::{Answers, ReplicationServer};
use crate::replication::error::Error;

impl ReplicationServer {
    pub(super) async fn handle_execute_run_once_task(
        &self,
        _request: api::ExecuteRunOnceTaskRequest,
        _user: &str,
    ) -> Result<api::ExecuteRunOnceTaskResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_get_run_once_task_status(
        &self,
        _request: api::GetRunOnceTaskStatusRequest,
        _user: &str,
    ) -> Result<api::GetRunOnceTaskStatusResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_run_task(
        &self,
        _request: api::RunTaskRequest,
        _user: &str,
    ) -> Result<api::RunTaskResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_plan_execution(
        &self,
        _request: api::PlanExecutionRequest,
        _user: &str,
    ) -> Result<Answers<api::PlanExecutionResponse>, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_get_execution(
        &self,
        _request: api::GetExecutionRequest,
        _user: &str,
    ) -> Result<api::GetExecutionResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_list_executions(
        &self,
        _request: api::ListExecutionsRequest,
        _user: &str,
    ) -> Result<api::ListExecutionsResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_watch_execution(
        &self,
        _request: api::WatchExecutionRequest,
        _user: &str,
    ) -> Result<Answers<api::WatchExecutionResponse>, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_cancel_execution(
        &self,
        _request: api::CancelExecutionRequest,
        _user: &str,
    ) -> Result<api::CancelExecutionResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_resume_execution(
        &self,
        _request: api::ResumeExecutionRequest,
        _user: &str,
    ) -> Result<api::ResumeExecutionResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_list_artifact_results(
        &self,
        _request: api::ListArtifactResultsRequest,
        _user: &str,
    ) -> Result<api::ListArtifactResultsResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }

    pub(super) async fn handle_list_log_lines(
        &self,
        _request: api::ListLogLinesRequest,
        _user: &str,
    ) -> Result<api::ListLogLinesResponse, Error> {
        Err(Error::Internal("not built yet".to_owned()))
    }
}

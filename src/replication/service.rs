//! The gRPC face of replication: request, command, answer.

mod clusters;
mod configs;
mod executions;
mod paging;

use futures::stream::BoxStream;
use steward_proto::replication::v1 as api;
use steward_proto::replication::v1::cluster_service_server::ClusterService;
use steward_proto::replication::v1::replication_service_server::ReplicationService;
use tonic::{Request, Response, Status};

use super::error::Error;
use super::parts::Replication;
use crate::auth::{Grants, message_and_user};
use crate::error::Failure;
use crate::places::Places;

/// What the streaming calls answer.
type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// The service of replication tasks and their runs.
#[derive(Clone)]
pub struct ReplicationServer {
    replication: Replication,
    watchers: Places,
}

impl ReplicationServer {
    /// A service for this.
    pub fn new(replication: Replication) -> Self {
        let watchers = Places::new(replication.settings.max_watchers);
        ReplicationServer { replication, watchers }
    }
}

/// The service of clusters.
#[derive(Clone)]
pub struct ClusterServer {
    replication: Replication,
}

impl ClusterServer {
    /// A service for this.
    pub fn new(replication: Replication) -> Self {
        ClusterServer { replication }
    }
}

/// The answer of a handler, or its refusal as a status.
fn answer<T>(result: Result<T, Error>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| Failure::from(error).into())
}

/// The message of a request, and the user who sends it; empty: nobody is asked who they are.
fn open<T>(request: Request<T>) -> Result<(T, String), Status> {
    let (message, user) = message_and_user(request)?;
    Ok((message, user.unwrap_or_default()))
}

/// The message of a request, and what its caller may do: for the calls that ask for rights themselves.
fn ask<T>(request: Request<T>) -> Result<(T, Grants), Status> {
    let grants = Grants::of(&request)?;
    Ok((request.into_inner(), grants))
}

#[tonic::async_trait]
impl ReplicationService for ReplicationServer {
    async fn create_configs(
        &self,
        request: Request<api::CreateConfigsRequest>,
    ) -> Result<Response<api::CreateConfigsResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_create_configs(request, &grants).await)
    }

    async fn update_config(
        &self,
        request: Request<api::UpdateConfigRequest>,
    ) -> Result<Response<api::UpdateConfigResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_update_config(request, &grants).await)
    }

    async fn get_config(
        &self,
        request: Request<api::GetConfigRequest>,
    ) -> Result<Response<api::GetConfigResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_get_config(request, &user).await)
    }

    async fn list_configs(
        &self,
        request: Request<api::ListConfigsRequest>,
    ) -> Result<Response<api::ListConfigsResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_list_configs(request, &grants).await)
    }

    async fn delete_config(
        &self,
        request: Request<api::DeleteConfigRequest>,
    ) -> Result<Response<api::DeleteConfigResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_delete_config(request, &user).await)
    }

    async fn toggle_config(
        &self,
        request: Request<api::ToggleConfigRequest>,
    ) -> Result<Response<api::ToggleConfigResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_toggle_config(request, &user).await)
    }

    async fn create_run_once_task(
        &self,
        request: Request<api::CreateRunOnceTaskRequest>,
    ) -> Result<Response<api::CreateRunOnceTaskResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_create_run_once_task(request, &grants).await)
    }

    async fn execute_run_once_task(
        &self,
        request: Request<api::ExecuteRunOnceTaskRequest>,
    ) -> Result<Response<api::ExecuteRunOnceTaskResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_execute_run_once_task(request, &grants).await)
    }

    async fn get_run_once_task_status(
        &self,
        request: Request<api::GetRunOnceTaskStatusRequest>,
    ) -> Result<Response<api::GetRunOnceTaskStatusResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_get_run_once_task_status(request, &user).await)
    }

    async fn delete_run_once_task(
        &self,
        request: Request<api::DeleteRunOnceTaskRequest>,
    ) -> Result<Response<api::DeleteRunOnceTaskResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_delete_run_once_task(request, &user).await)
    }

    async fn run_task(&self, request: Request<api::RunTaskRequest>) -> Result<Response<api::RunTaskResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_run_task(request, &grants).await)
    }

    type PlanExecutionStream = Answers<api::PlanExecutionResponse>;

    async fn plan_execution(
        &self,
        request: Request<api::PlanExecutionRequest>,
    ) -> Result<Response<Self::PlanExecutionStream>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_plan_execution(request, &grants).await)
    }

    async fn get_execution(
        &self,
        request: Request<api::GetExecutionRequest>,
    ) -> Result<Response<api::GetExecutionResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_get_execution(request, &grants).await)
    }

    async fn list_executions(
        &self,
        request: Request<api::ListExecutionsRequest>,
    ) -> Result<Response<api::ListExecutionsResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_list_executions(request, &grants).await)
    }

    type WatchExecutionStream = Answers<api::WatchExecutionResponse>;

    async fn watch_execution(
        &self,
        request: Request<api::WatchExecutionRequest>,
    ) -> Result<Response<Self::WatchExecutionStream>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_watch_execution(request, &grants).await)
    }

    async fn cancel_execution(
        &self,
        request: Request<api::CancelExecutionRequest>,
    ) -> Result<Response<api::CancelExecutionResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_cancel_execution(request, &grants).await)
    }

    async fn resume_execution(
        &self,
        request: Request<api::ResumeExecutionRequest>,
    ) -> Result<Response<api::ResumeExecutionResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_resume_execution(request, &grants).await)
    }

    async fn list_artifact_results(
        &self,
        request: Request<api::ListArtifactResultsRequest>,
    ) -> Result<Response<api::ListArtifactResultsResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_list_artifact_results(request, &grants).await)
    }

    async fn list_log_lines(
        &self,
        request: Request<api::ListLogLinesRequest>,
    ) -> Result<Response<api::ListLogLinesResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_list_log_lines(request, &grants).await)
    }
}

#[tonic::async_trait]
impl ClusterService for ClusterServer {
    async fn create_cluster(
        &self,
        request: Request<api::CreateClusterRequest>,
    ) -> Result<Response<api::CreateClusterResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_create_cluster(request, &user).await)
    }

    async fn update_cluster(
        &self,
        request: Request<api::UpdateClusterRequest>,
    ) -> Result<Response<api::UpdateClusterResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_update_cluster(request, &user).await)
    }

    async fn get_cluster(
        &self,
        request: Request<api::GetClusterRequest>,
    ) -> Result<Response<api::GetClusterResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_get_cluster(request, &grants).await)
    }

    async fn list_clusters(
        &self,
        request: Request<api::ListClustersRequest>,
    ) -> Result<Response<api::ListClustersResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_list_clusters(request, &grants).await)
    }

    async fn cluster_exists(
        &self,
        request: Request<api::ClusterExistsRequest>,
    ) -> Result<Response<api::ClusterExistsResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_cluster_exists(request, &user).await)
    }

    async fn delete_cluster(
        &self,
        request: Request<api::DeleteClusterRequest>,
    ) -> Result<Response<api::DeleteClusterResponse>, Status> {
        let (request, grants) = ask(request)?;
        answer(self.handle_delete_cluster(request, &grants).await)
    }

    async fn try_connect(
        &self,
        request: Request<api::TryConnectRequest>,
    ) -> Result<Response<api::TryConnectResponse>, Status> {
        let (request, user) = open(request)?;
        answer(self.handle_try_connect(request, &user).await)
    }
}

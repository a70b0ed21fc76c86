//! The services of replication, as a part of those that are scripted for artifacts.

use futures::StreamExt;
use futures::stream::{BoxStream, empty, iter};
use steward_proto::replication::v1::cluster_service_server::ClusterService;
use steward_proto::replication::v1::replication_service_server::ReplicationService;
use steward_proto::replication::v1::*;
use tonic::{Request, Response, Status};

use crate::artifact::fake::Fake;

/// What a run tells who watches it.
pub(super) type Events = Vec<WatchExecutionResponse>;

macro_rules! scripted {
    ($service:ident { $($name:ident: $request:ty => $response:ty,)* } $($streams:item)*) => {
        #[tonic::async_trait]
        impl $service for Fake {
            $(async fn $name(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                self.unary(stringify!($name), request)
            })*
            $($streams)*
        }
    };
}

scripted!(ClusterService {
    create_cluster: CreateClusterRequest => CreateClusterResponse,
    update_cluster: UpdateClusterRequest => UpdateClusterResponse,
    get_cluster: GetClusterRequest => GetClusterResponse,
    list_clusters: ListClustersRequest => ListClustersResponse,
    cluster_exists: ClusterExistsRequest => ClusterExistsResponse,
    delete_cluster: DeleteClusterRequest => DeleteClusterResponse,
    try_connect: TryConnectRequest => TryConnectResponse,
});

scripted!(ReplicationService {
    create_configs: CreateConfigsRequest => CreateConfigsResponse,
    update_config: UpdateConfigRequest => UpdateConfigResponse,
    get_config: GetConfigRequest => GetConfigResponse,
    list_configs: ListConfigsRequest => ListConfigsResponse,
    delete_config: DeleteConfigRequest => DeleteConfigResponse,
    toggle_config: ToggleConfigRequest => ToggleConfigResponse,
    create_run_once_task: CreateRunOnceTaskRequest => CreateRunOnceTaskResponse,
    execute_run_once_task: ExecuteRunOnceTaskRequest => ExecuteRunOnceTaskResponse,
    get_run_once_task_status: GetRunOnceTaskStatusRequest => GetRunOnceTaskStatusResponse,
    delete_run_once_task: DeleteRunOnceTaskRequest => DeleteRunOnceTaskResponse,
    run_task: RunTaskRequest => RunTaskResponse,
    get_execution: GetExecutionRequest => GetExecutionResponse,
    list_executions: ListExecutionsRequest => ListExecutionsResponse,
    cancel_execution: CancelExecutionRequest => CancelExecutionResponse,
    resume_execution: ResumeExecutionRequest => ResumeExecutionResponse,
    list_artifact_results: ListArtifactResultsRequest => ListArtifactResultsResponse,
    list_log_lines: ListLogLinesRequest => ListLogLinesResponse,
}
    type PlanExecutionStream = BoxStream<'static, Result<PlanExecutionResponse, Status>>;

    async fn plan_execution(
        &self,
        _: Request<PlanExecutionRequest>,
    ) -> Result<Response<Self::PlanExecutionStream>, Status> {
        Ok(Response::new(empty().boxed()))
    }

    type WatchExecutionStream = BoxStream<'static, Result<WatchExecutionResponse, Status>>;

    async fn watch_execution(
        &self,
        request: Request<WatchExecutionRequest>,
    ) -> Result<Response<Self::WatchExecutionStream>, Status> {
        let events: Events = self.unary("watch_execution", request)?.into_inner();
        Ok(Response::new(iter(events.into_iter().map(Ok)).boxed()))
    }
);

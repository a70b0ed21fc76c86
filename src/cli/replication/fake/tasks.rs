//! The service of tasks and runs.

use futures::stream::{self, StreamExt as _};
use steward_proto::replication::v1::replication_service_server::ReplicationService;
use steward_proto::replication::v1::*;
use tonic::{Request, Response, Status};

use super::{RUN, Service, State, not_found, page};
use crate::cli::testing::{Answer, AnswerStream, not_here};

impl State {
    fn task(&mut self, name: &str) -> Result<&mut Task, Status> {
        let is_it = |task: &&mut Task| task.config.as_ref().unwrap().name == name;
        self.tasks.iter_mut().find(is_it).ok_or_else(|| not_found("TASK_NOT_FOUND"))
    }

    fn execution(&self, id: &str) -> Result<Execution, Status> {
        let found = self.executions.iter().find(|execution| execution.id == id).cloned();
        found.ok_or_else(|| not_found("EXECUTION_NOT_FOUND"))
    }
}

fn queued() -> Execution {
    let status = ExecutionStatus::Queued.into();
    Execution { id: RUN.to_owned(), task_name: "p1/images/mirror".to_owned(), status, ..Execution::default() }
}

#[tonic::async_trait]
impl ReplicationService for Service {
    type PlanExecutionStream = AnswerStream<PlanExecutionResponse>;
    type WatchExecutionStream = AnswerStream<WatchExecutionResponse>;

    async fn create_configs(&self, request: Request<CreateConfigsRequest>) -> Answer<CreateConfigsResponse> {
        let configs = self.take(request).configs;
        let tasks: Vec<_> =
            configs.into_iter().map(|config| Task { config: Some(config), ..Task::default() }).collect();
        self.state().tasks.extend(tasks.clone());
        Ok(Response::new(CreateConfigsResponse { tasks }))
    }

    async fn create_run_once_task(
        &self,
        request: Request<CreateRunOnceTaskRequest>,
    ) -> Answer<CreateRunOnceTaskResponse> {
        let task = Task { config: self.take(request).config, ..Task::default() };
        self.state().tasks.push(task.clone());
        Ok(Response::new(CreateRunOnceTaskResponse { task: Some(task) }))
    }

    async fn get_config(&self, request: Request<GetConfigRequest>) -> Answer<GetConfigResponse> {
        let name = self.take(request).name;
        let task = self.state().task(&name)?.clone();
        Ok(Response::new(GetConfigResponse { task: Some(task) }))
    }

    async fn list_configs(&self, request: Request<ListConfigsRequest>) -> Answer<ListConfigsResponse> {
        let request = self.take(request);
        let (tasks, next_page_token) = page(&self.state().tasks, &request.page_token);
        Ok(Response::new(ListConfigsResponse { tasks, next_page_token, total_size: 0 }))
    }

    async fn delete_config(&self, request: Request<DeleteConfigRequest>) -> Answer<DeleteConfigResponse> {
        let name = self.take(request).name;
        self.state().task(&name)?;
        Ok(Response::new(DeleteConfigResponse {}))
    }

    async fn toggle_config(&self, request: Request<ToggleConfigRequest>) -> Answer<ToggleConfigResponse> {
        let request = self.take(request);
        let mut state = self.state();
        let task = state.task(&request.name)?;
        task.config.as_mut().unwrap().enabled = request.enabled;
        Ok(Response::new(ToggleConfigResponse { task: Some(task.clone()) }))
    }

    async fn run_task(&self, request: Request<RunTaskRequest>) -> Answer<RunTaskResponse> {
        let name = self.take(request).name;
        self.state().task(&name)?;
        Ok(Response::new(RunTaskResponse { execution: Some(queued()) }))
    }

    async fn plan_execution(&self, request: Request<PlanExecutionRequest>) -> Answer<Self::PlanExecutionStream> {
        self.take(request);
        let parts = self.state().plan.clone();
        Ok(Response::new(stream::iter(parts).map(Ok).boxed()))
    }

    async fn get_execution(&self, request: Request<GetExecutionRequest>) -> Answer<GetExecutionResponse> {
        let id = self.take(request).execution_id;
        Ok(Response::new(GetExecutionResponse { execution: Some(self.state().execution(&id)?) }))
    }

    async fn list_executions(&self, request: Request<ListExecutionsRequest>) -> Answer<ListExecutionsResponse> {
        let request = self.take(request);
        let (executions, next_page_token) = page(&self.state().executions, &request.page_token);
        Ok(Response::new(ListExecutionsResponse { executions, next_page_token, total_size: 0 }))
    }

    /// The events behind the sequence. The stream ends with the run, and stays open before that.
    async fn watch_execution(&self, request: Request<WatchExecutionRequest>) -> Answer<Self::WatchExecutionStream> {
        use watch_execution_response::Event;
        let after = self.take(request).after_sequence;
        let events = self.state().events.clone();
        let is_end = |event: &WatchExecutionResponse| matches!(&event.event, Some(Event::State(state)) if state.status() == ExecutionStatus::Success);
        let is_open = !events.last().is_some_and(is_end);
        let is_news =
            |event: &WatchExecutionResponse| event.sequence > after || matches!(event.event, Some(Event::State(_)));
        let events = stream::iter(events.into_iter().filter(is_news).map(Ok).collect::<Vec<_>>());
        Ok(Response::new(if is_open { events.chain(stream::pending()).boxed() } else { events.boxed() }))
    }

    async fn cancel_execution(&self, request: Request<CancelExecutionRequest>) -> Answer<CancelExecutionResponse> {
        let id = self.take(request).execution_id;
        Ok(Response::new(CancelExecutionResponse { execution: Some(self.state().execution(&id)?) }))
    }

    async fn resume_execution(&self, request: Request<ResumeExecutionRequest>) -> Answer<ResumeExecutionResponse> {
        let id = self.take(request).execution_id;
        self.state().execution(&id)?;
        Ok(Response::new(ResumeExecutionResponse { execution: Some(queued()) }))
    }

    async fn list_artifact_results(
        &self,
        request: Request<ListArtifactResultsRequest>,
    ) -> Answer<ListArtifactResultsResponse> {
        let request = self.take(request);
        let mut results = self.state().results.clone();
        results.retain(|result| request.outcomes.is_empty() || request.outcomes.contains(&result.outcome));
        let (results, next_page_token) = page(&results, &request.page_token);
        Ok(Response::new(ListArtifactResultsResponse { results, next_page_token, total_size: 0 }))
    }

    async fn list_log_lines(&self, request: Request<ListLogLinesRequest>) -> Answer<ListLogLinesResponse> {
        let request = self.take(request);
        let (lines, next_page_token) = page(&self.state().log, &request.page_token);
        Ok(Response::new(ListLogLinesResponse { lines, next_page_token, total_size: 0 }))
    }

    async fn update_config(&self, _: Request<UpdateConfigRequest>) -> Answer<UpdateConfigResponse> {
        Err(not_here())
    }

    async fn execute_run_once_task(&self, _: Request<ExecuteRunOnceTaskRequest>) -> Answer<ExecuteRunOnceTaskResponse> {
        Err(not_here())
    }

    async fn get_run_once_task_status(
        &self,
        _: Request<GetRunOnceTaskStatusRequest>,
    ) -> Answer<GetRunOnceTaskStatusResponse> {
        Err(not_here())
    }

    async fn delete_run_once_task(&self, _: Request<DeleteRunOnceTaskRequest>) -> Answer<DeleteRunOnceTaskResponse> {
        Err(not_here())
    }
}

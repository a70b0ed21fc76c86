//! The calls about runs.

use futures::StreamExt as _;
use steward_proto::replication::v1 as api;
use tonic::Status;

use super::{Answers, ReplicationServer};
use crate::auth::Grants;
use crate::error::Failure;
use crate::places::Place;
use crate::replication::access::Maker;
use crate::replication::error::Error;
use crate::replication::executions::execution;
use crate::replication::queue::{Cause, TaskId};

/// The names of a task are not longer than this, in bytes: no longer one is looked for.
const MAX_NAME_BYTES: usize = 128;

/// The task of a request. What cannot be a name names nothing.
fn task(project: String, repository: String, name: String) -> Result<TaskId, Error> {
    if name.is_empty() {
        return Err(Error::Missing("name"));
    }
    if [&project, &repository, &name].iter().any(|part| part.len() > MAX_NAME_BYTES) {
        return Err(Error::TaskNotFound(name[..name.floor_char_boundary(MAX_NAME_BYTES)].to_owned()));
    }
    Ok(TaskId { project, repository, name })
}

fn total(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl ReplicationServer {
    /// A place among those who listen.
    fn watcher(&self, grants: &Grants) -> Result<Place, Error> {
        self.watchers.take(grants.caller()).map_err(Error::TooManyWatchers)
    }

    pub(super) async fn handle_execute_run_once_task(
        &self,
        request: api::ExecuteRunOnceTaskRequest,
        grants: &Grants,
    ) -> Result<api::ExecuteRunOnceTaskResponse, Error> {
        let task = task(request.project, request.repository, request.name)?;
        self.replication.may_run(&task, grants).await?;
        self.replication.renew_maker(&task, &Maker::of(grants)).await?;
        let record = self.replication.execute_run_once(&task).await?;
        Ok(api::ExecuteRunOnceTaskResponse { execution: Some(execution(&record)) })
    }

    pub(super) async fn handle_get_run_once_task_status(
        &self,
        request: api::GetRunOnceTaskStatusRequest,
        _user: &str,
    ) -> Result<api::GetRunOnceTaskStatusResponse, Error> {
        let task = task(request.project, request.repository, request.name)?;
        let execution = self.replication.latest_execution(&task).await?;
        Ok(api::GetRunOnceTaskStatusResponse { execution })
    }

    pub(super) async fn handle_run_task(
        &self,
        request: api::RunTaskRequest,
        grants: &Grants,
    ) -> Result<api::RunTaskResponse, Error> {
        let task = task(request.project, request.repository, request.name)?;
        self.replication.may_run(&task, grants).await?;
        self.replication.renew_maker(&task, &Maker::of(grants)).await?;
        let record = self.replication.queue_execution(&task, Cause::Manual).await?;
        Ok(api::RunTaskResponse { execution: Some(execution(&record)) })
    }

    pub(super) async fn handle_plan_execution(
        &self,
        request: api::PlanExecutionRequest,
        grants: &Grants,
    ) -> Result<Answers<api::PlanExecutionResponse>, Error> {
        let task = task(request.project, request.repository, request.name)?;
        self.replication.may_plan(&task, grants).await?;
        let permit = self.watcher(grants)?;
        let parts = self.replication.plan_execution(&task).await?;
        Ok(parts.map(move |part| told(part, &permit)).boxed())
    }

    pub(super) async fn handle_get_execution(
        &self,
        request: api::GetExecutionRequest,
        grants: &Grants,
    ) -> Result<api::GetExecutionResponse, Error> {
        self.replication.seen_run(&request.execution_id, grants).await?;
        let execution = self.replication.show_execution(&request.execution_id).await?;
        Ok(api::GetExecutionResponse { execution: Some(execution) })
    }

    pub(super) async fn handle_list_executions(
        &self,
        request: api::ListExecutionsRequest,
        grants: &Grants,
    ) -> Result<api::ListExecutionsResponse, Error> {
        let listed = self.replication.list_executions(&request, grants).await?;
        Ok(api::ListExecutionsResponse {
            executions: listed.found,
            next_page_token: listed.next,
            total_size: total(listed.total),
        })
    }

    pub(super) async fn handle_watch_execution(
        &self,
        request: api::WatchExecutionRequest,
        grants: &Grants,
    ) -> Result<Answers<api::WatchExecutionResponse>, Error> {
        self.replication.seen_run(&request.execution_id, grants).await?;
        let permit = self.watcher(grants)?;
        let events = self.replication.watch_execution(&request.execution_id, request.after_sequence).await?;
        Ok(events.map(move |event| told(event, &permit)).boxed())
    }

    pub(super) async fn handle_cancel_execution(
        &self,
        request: api::CancelExecutionRequest,
        grants: &Grants,
    ) -> Result<api::CancelExecutionResponse, Error> {
        self.replication.own_run(&request.execution_id, grants).await?;
        let record = self.replication.cancel_execution(&request.execution_id).await?;
        Ok(api::CancelExecutionResponse { execution: Some(self.replication.shown_execution(&record)) })
    }

    pub(super) async fn handle_resume_execution(
        &self,
        request: api::ResumeExecutionRequest,
        grants: &Grants,
    ) -> Result<api::ResumeExecutionResponse, Error> {
        let run = self.replication.own_run(&request.execution_id, grants).await?;
        let task = TaskId::of_run(&run);
        self.replication.may_run(&task, grants).await?;
        self.replication.renew_maker(&task, &Maker::of(grants)).await?;
        let record = self.replication.resume_execution(&request.execution_id).await?;
        Ok(api::ResumeExecutionResponse { execution: Some(execution(&record)) })
    }

    pub(super) async fn handle_list_artifact_results(
        &self,
        request: api::ListArtifactResultsRequest,
        grants: &Grants,
    ) -> Result<api::ListArtifactResultsResponse, Error> {
        self.replication.seen_run(&request.execution_id, grants).await?;
        let listed = self.replication.list_results(&request).await?;
        Ok(api::ListArtifactResultsResponse {
            results: listed.found,
            next_page_token: listed.next,
            total_size: total(listed.total),
        })
    }

    pub(super) async fn handle_list_log_lines(
        &self,
        request: api::ListLogLinesRequest,
        grants: &Grants,
    ) -> Result<api::ListLogLinesResponse, Error> {
        self.replication.seen_run(&request.execution_id, grants).await?;
        let listed = self.replication.list_log(&request).await?;
        Ok(api::ListLogLinesResponse {
            lines: listed.found,
            next_page_token: listed.next,
            total_size: total(listed.total),
        })
    }
}

/// A part of a stream as callers get it. Whoever listens has a place as long as the stream is there.
fn told<T>(part: Result<T, Error>, _place: &Place) -> Result<T, Status> {
    part.map_err(|error| Failure::from(error).into())
}

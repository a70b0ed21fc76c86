//! The tasks of the fake.

use steward_proto::transcode::v1::task_service_server::TaskService;
use steward_proto::transcode::v1::*;
use tonic::{Code, Request, Response};

use super::{Service, count, next_stream, not_found, page};
use crate::cli::testing::{Answer, AnswerStream, not_here, refusal};

#[tonic::async_trait]
impl TaskService for Service {
    type WatchTasksStream = AnswerStream<WatchTasksResponse>;

    async fn list_tasks(&self, request: Request<ListTasksRequest>) -> Answer<ListTasksResponse> {
        let request = request.into_inner();
        Ok(Response::new(self.take(&request, |state| {
            let (tasks, next_page_token) = page(&state.tasks, request.page_size, request.page, &request.page_token);
            ListTasksResponse { tasks, next_page_token, total_size: count(&state.tasks) }
        })))
    }

    async fn get_task(&self, request: Request<GetTaskRequest>) -> Answer<GetTaskResponse> {
        let request = request.into_inner();
        self.take(&request, |state| {
            let task = state.tasks.iter().find(|task| task.task_id == request.task_id).cloned();
            let task = task.ok_or_else(|| not_found("TASK_NOT_FOUND"))?;
            Ok(Response::new(GetTaskResponse { task: Some(task) }))
        })
    }

    async fn cancel_task(&self, request: Request<CancelTaskRequest>) -> Answer<CancelTaskResponse> {
        let request = request.into_inner();
        self.take(&request, |state| {
            let task = state.tasks.iter_mut().find(|task| task.task_id == request.task_id);
            let task = task.ok_or_else(|| not_found("TASK_NOT_FOUND"))?;
            if task.end_time.is_some() {
                return Err(refusal(Code::FailedPrecondition, "TASK_ENDED"));
            }
            task.set_status(TaskStatus::Cancelled);
            Ok(Response::new(CancelTaskResponse { task: Some(task.clone()) }))
        })
    }

    async fn retry_task(&self, request: Request<RetryTaskRequest>) -> Answer<RetryTaskResponse> {
        self.take(request.get_ref(), |_| ());
        Ok(Response::new(RetryTaskResponse { video_id: 7 }))
    }

    async fn get_task_stats(&self, request: Request<GetTaskStatsRequest>) -> Answer<GetTaskStatsResponse> {
        self.take(request.get_ref(), |_| ());
        let day =
            |date: &str, completed, saved_bytes| TaskDay { date: date.to_owned(), completed, failed: 1, saved_bytes };
        let days = vec![day("2026-11-20", 0, 0), day("2026-11-21", 12, 3 << 29)];
        Ok(Response::new(GetTaskStatsResponse { days, in_progress: 2, waiting_videos: 30 }))
    }

    async fn watch_tasks(&self, request: Request<WatchTasksRequest>) -> Answer<Self::WatchTasksStream> {
        Ok(self.take(request.get_ref(), |state| next_stream(&mut state.task_streams)))
    }

    async fn claim_task(&self, _: Request<ClaimTaskRequest>) -> Answer<ClaimTaskResponse> {
        Err(not_here())
    }

    async fn update_task(&self, _: Request<UpdateTaskRequest>) -> Answer<UpdateTaskResponse> {
        Err(not_here())
    }
}

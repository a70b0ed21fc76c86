//! Clients of the services, and what their answers and refusals are.

use std::fmt::Debug;
use std::time::Duration;

use steward_proto::transcode::v1::claim_task_response::Result as Claim;
use steward_proto::transcode::v1::library_service_client::LibraryServiceClient;
use steward_proto::transcode::v1::log_service_client::LogServiceClient;
use steward_proto::transcode::v1::task_service_client::TaskServiceClient;
use steward_proto::transcode::v1::video_service_client::VideoServiceClient;
use steward_proto::transcode::v1::worker_service_client::WorkerServiceClient;
use steward_proto::transcode::v1::{
    ClaimTaskRequest, GetTaskRequest, GetVideoRequest, GetWorkerRequest, RegisterWorkerRequest, RegisterWorkerResponse,
    Task, TaskStatus, UpdateTaskRequest, UpdateTaskResponse, Video, Worker, WorkerType,
};
use tonic::transport::Channel;
use tonic::{Code, Response, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::common::wait::within;

/// The services of a server, over one connection.
#[derive(Clone, Debug)]
pub(crate) struct Native(pub(crate) Channel);

impl Native {
    pub(crate) fn workers(&self) -> WorkerServiceClient<Channel> {
        WorkerServiceClient::new(self.0.clone())
    }

    pub(crate) fn tasks(&self) -> TaskServiceClient<Channel> {
        TaskServiceClient::new(self.0.clone())
    }

    pub(crate) fn videos(&self) -> VideoServiceClient<Channel> {
        VideoServiceClient::new(self.0.clone())
    }

    pub(crate) fn logs(&self) -> LogServiceClient<Channel> {
        LogServiceClient::new(self.0.clone())
    }

    pub(crate) fn libraries(&self) -> LibraryServiceClient<Channel> {
        LibraryServiceClient::new(self.0.clone())
    }

    pub(crate) async fn register(&self, name: &str) -> RegisterWorkerResponse {
        good(self.workers().register_worker(cpu(name)).await)
    }

    pub(crate) async fn worker(&self, worker_id: i32) -> Worker {
        let answer = good(self.workers().get_worker(GetWorkerRequest { worker_id }).await);
        answer.worker.expect("a worker")
    }

    pub(crate) async fn claim(&self, request: ClaimTaskRequest) -> Claim {
        good(within("a claim is answered", self.tasks().claim_task(request)).await).result.expect("one of three")
    }

    /// Claims what is there to be claimed.
    pub(crate) async fn task_for(&self, worker_id: i32) -> Task {
        task_of(self.claim(claim(worker_id)).await)
    }

    pub(crate) async fn task(&self, task_id: &str) -> Task {
        let request = GetTaskRequest { task_id: task_id.to_owned() };
        good(self.tasks().get_task(request).await).task.expect("a task")
    }

    pub(crate) async fn video(&self, id: i32) -> Video {
        good(self.videos().get_video(GetVideoRequest { id }).await).video.expect("a video")
    }

    pub(crate) async fn update(&self, request: UpdateTaskRequest) -> UpdateTaskResponse {
        good(self.tasks().update_task(request).await)
    }
}

/// A worker without a graphics card.
pub(crate) fn cpu(name: &str) -> RegisterWorkerRequest {
    RegisterWorkerRequest {
        worker_name: name.to_owned(),
        worker_type: WorkerType::Cpu.into(),
        ..RegisterWorkerRequest::default()
    }
}

/// A claim as the worker registered.
pub(crate) fn claim(worker_id: i32) -> ClaimTaskRequest {
    ClaimTaskRequest { worker_id, ..ClaimTaskRequest::default() }
}

/// A report under the task's token.
pub(crate) fn report(task: &Task, status: TaskStatus, progress: f64) -> UpdateTaskRequest {
    UpdateTaskRequest {
        task_id: task.task_id.clone(),
        worker_id: task.worker_id,
        lease_token: task.lease_token.clone(),
        status: status.into(),
        progress,
        ..UpdateTaskRequest::default()
    }
}

/// The same, of a failure.
pub(crate) fn failure(task: &Task, error: &str) -> UpdateTaskRequest {
    UpdateTaskRequest { error_message: Some(error.to_owned()), ..report(task, TaskStatus::Failed, 0.0) }
}

#[track_caller]
pub(crate) fn task_of(claim: Claim) -> Task {
    match claim {
        Claim::Task(task) => task,
        Claim::Offline(_) | Claim::NoWork(_) => panic!("there is work, and yet: {claim:?}"),
    }
}

#[track_caller]
pub(crate) fn is_no_work(claim: &Claim) {
    assert!(matches!(claim, Claim::NoWork(_)), "{claim:?}");
}

/// The message of an answer.
#[track_caller]
pub(crate) fn good<T: Debug>(answer: Result<Response<T>, Status>) -> T {
    answer.expect("the call is answered").into_inner()
}

/// The next message of a stream.
pub(crate) async fn next<T>(stream: &mut Streaming<T>) -> T {
    let message = within("the stream goes on", stream.message()).await.expect("the stream goes on");
    message.expect("the stream does not end")
}

/// The gRPC code and the reason for programs.
#[track_caller]
pub(crate) fn refusal<T: Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "steward");
    (status.code(), info.reason.clone())
}

pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().expect("a short time")
}

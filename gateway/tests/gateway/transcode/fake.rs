//! Services that answer what they were told to, and remember what they were asked.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use futures::stream::{BoxStream, StreamExt, empty, iter, unfold};
use steward_gateway::{Options, router};
use steward_proto::transcode::v1::log_service_server::{LogService, LogServiceServer};
use steward_proto::transcode::v1::task_service_server::{TaskService, TaskServiceServer};
use steward_proto::transcode::v1::video_service_server::{VideoService, VideoServiceServer};
use steward_proto::transcode::v1::worker_service_server::{WorkerService, WorkerServiceServer};
use steward_proto::transcode::v1::*;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::refusal;

type Answer = Box<dyn Any + Send>;
type Answers<T> = Result<Response<T>, Status>;
type Updates<T> = BoxStream<'static, Result<T, Status>>;

/// Farms' services. What has no answer in the script fails.
#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answers: HashMap<TypeId, Answer>,
    refusal: Option<Status>,
    asked: Vec<Answer>,
    source: Option<Vec<u8>>,
    /// How many bytes of the source are announced and never come.
    missing: i64,
    /// Uploads are never read.
    stalls: bool,
    /// Every result has its place already.
    is_placed: bool,
    stored: Vec<u8>,
    uploads: Vec<Vec<WriteResultRequest>>,
    watches: HashMap<TypeId, Vec<Answer>>,
}

impl Fake {
    /// Answers every request whose answer has this type.
    pub(super) fn answering<T: Clone + Send + 'static>(self, answer: T) -> Self {
        self.0.lock().unwrap().answers.insert(TypeId::of::<T>(), Box::new(answer));
        self
    }

    pub(super) fn refusing(refusal: Status) -> Self {
        let fake = Self::default();
        fake.refuse(Some(refusal));
        fake
    }

    pub(super) fn refuse(&self, refusal: Option<Status>) {
        self.0.lock().unwrap().refusal = refusal;
    }

    /// The source of every task.
    pub(super) fn with_source(self, source: &[u8]) -> Self {
        self.0.lock().unwrap().source = Some(source.to_vec());
        self
    }

    /// The source breaks off so many bytes before its end.
    pub(super) fn breaking_off(self, missing: i64) -> Self {
        self.0.lock().unwrap().missing = missing;
        self
    }

    /// Never reads an upload.
    pub(super) fn stalling(self) -> Self {
        self.0.lock().unwrap().stalls = true;
        self
    }

    /// Answers an upload before any of it was read.
    pub(super) fn placed(self) -> Self {
        self.0.lock().unwrap().is_placed = true;
        self
    }

    /// The next watch with updates of this type shows what is sent.
    pub(super) fn watched<T: Send + 'static>(&self) -> UnboundedSender<Result<T, Status>> {
        let (sender, receiver) = unbounded_channel::<Result<T, Status>>();
        let mut state = self.0.lock().unwrap();
        state.watches.entry(TypeId::of::<T>()).or_default().push(Box::new(receiver));
        sender
    }

    pub(super) fn router(&self) -> Router {
        self.router_with(Options::default(), CancellationToken::new())
    }

    pub(super) fn router_with(&self, options: Options, shutdown: CancellationToken) -> Router {
        let services = Routes::new(WorkerServiceServer::new(self.clone()))
            .add_service(TaskServiceServer::new(self.clone()))
            .add_service(VideoServiceServer::new(self.clone()))
            .add_service(LogServiceServer::new(self.clone()));
        router(services.prepare(), options, shutdown)
    }

    /// The requests of this type, newest last.
    pub(super) fn asked<T: Clone + 'static>(&self) -> Vec<T> {
        self.0.lock().unwrap().asked.iter().filter_map(|asked| asked.downcast_ref().cloned()).collect()
    }

    /// How many requests there were.
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().asked.len()
    }

    /// What was uploaded so far.
    pub(super) fn stored(&self) -> Vec<u8> {
        self.0.lock().unwrap().stored.clone()
    }

    /// The messages of every upload.
    pub(super) fn uploads(&self) -> Vec<Vec<WriteResultRequest>> {
        self.0.lock().unwrap().uploads.clone()
    }

    fn note<Q: Send + 'static>(&self, request: Request<Q>) -> Result<(), Status> {
        let mut state = self.0.lock().unwrap();
        state.asked.push(Box::new(request.into_inner()));
        state.refusal.clone().map_or(Ok(()), Err)
    }

    fn reply<Q: Send + 'static, T: Clone + Send + 'static>(&self, request: Request<Q>) -> Answers<T> {
        self.note(request)?;
        self.scripted()
    }

    fn scripted<T: Clone + Send + 'static>(&self) -> Answers<T> {
        let state = self.0.lock().unwrap();
        let answer = state.answers.get(&TypeId::of::<T>()).ok_or_else(|| Status::internal("not in the script"))?;
        Ok(Response::new(answer.downcast_ref::<T>().unwrap().clone()))
    }

    fn watch<Q: Send + 'static, T: Send + 'static>(&self, request: Request<Q>) -> Answers<Updates<T>> {
        self.note(request)?;
        let mut state = self.0.lock().unwrap();
        let watches = state.watches.get_mut(&TypeId::of::<T>()).filter(|watches| !watches.is_empty());
        let watch = watches.ok_or_else(|| refusal(tonic::Code::OutOfRange, "REVISION_COMPACTED"))?.remove(0);
        let updates = watch.downcast::<UnboundedReceiver<Result<T, Status>>>().unwrap();
        let updates = unfold(updates, async |mut updates| updates.recv().await.map(|update| (update, updates)));
        Ok(Response::new(updates.boxed()))
    }
}

#[tonic::async_trait]
impl WorkerService for Fake {
    type WatchWorkersStream = Updates<WatchWorkersResponse>;
    type SessionStream = Updates<SessionResponse>;

    async fn register_worker(&self, request: Request<RegisterWorkerRequest>) -> Answers<RegisterWorkerResponse> {
        self.reply(request)
    }

    async fn list_workers(&self, request: Request<ListWorkersRequest>) -> Answers<ListWorkersResponse> {
        self.reply(request)
    }

    async fn get_worker(&self, request: Request<GetWorkerRequest>) -> Answers<GetWorkerResponse> {
        self.reply(request)
    }

    async fn update_worker(&self, request: Request<UpdateWorkerRequest>) -> Answers<UpdateWorkerResponse> {
        self.reply(request)
    }

    async fn delete_worker(&self, request: Request<DeleteWorkerRequest>) -> Answers<DeleteWorkerResponse> {
        self.reply(request)
    }

    async fn heartbeat(&self, request: Request<HeartbeatRequest>) -> Answers<HeartbeatResponse> {
        self.reply(request)
    }

    async fn set_worker_offline(&self, request: Request<SetWorkerOfflineRequest>) -> Answers<SetWorkerOfflineResponse> {
        self.reply(request)
    }

    async fn cancel_worker_offline(
        &self,
        request: Request<CancelWorkerOfflineRequest>,
    ) -> Answers<CancelWorkerOfflineResponse> {
        self.reply(request)
    }

    async fn watch_workers(&self, request: Request<WatchWorkersRequest>) -> Answers<Self::WatchWorkersStream> {
        self.watch(request)
    }

    async fn get_worker_stats(&self, request: Request<GetWorkerStatsRequest>) -> Answers<GetWorkerStatsResponse> {
        self.reply(request)
    }

    async fn session(&self, _: Request<Streaming<SessionRequest>>) -> Answers<Self::SessionStream> {
        Ok(Response::new(empty().boxed()))
    }
}

#[tonic::async_trait]
impl TaskService for Fake {
    type WatchTasksStream = Updates<WatchTasksResponse>;

    async fn claim_task(&self, request: Request<ClaimTaskRequest>) -> Answers<ClaimTaskResponse> {
        self.reply(request)
    }

    async fn list_tasks(&self, request: Request<ListTasksRequest>) -> Answers<ListTasksResponse> {
        self.reply(request)
    }

    async fn get_task(&self, request: Request<GetTaskRequest>) -> Answers<GetTaskResponse> {
        self.reply(request)
    }

    async fn update_task(&self, request: Request<UpdateTaskRequest>) -> Answers<UpdateTaskResponse> {
        self.reply(request)
    }

    async fn cancel_task(&self, request: Request<CancelTaskRequest>) -> Answers<CancelTaskResponse> {
        self.reply(request)
    }

    async fn retry_task(&self, request: Request<RetryTaskRequest>) -> Answers<RetryTaskResponse> {
        self.reply(request)
    }

    async fn get_task_stats(&self, request: Request<GetTaskStatsRequest>) -> Answers<GetTaskStatsResponse> {
        self.reply(request)
    }

    async fn watch_tasks(&self, request: Request<WatchTasksRequest>) -> Answers<Self::WatchTasksStream> {
        self.watch(request)
    }
}

#[tonic::async_trait]
impl VideoService for Fake {
    type WatchVideosStream = Updates<WatchVideosResponse>;
    type ReadSourceStream = Updates<ReadSourceResponse>;

    async fn list_videos(&self, request: Request<ListVideosRequest>) -> Answers<ListVideosResponse> {
        self.reply(request)
    }

    async fn get_video(&self, request: Request<GetVideoRequest>) -> Answers<GetVideoResponse> {
        self.reply(request)
    }

    async fn register_videos(&self, request: Request<RegisterVideosRequest>) -> Answers<RegisterVideosResponse> {
        self.reply(request)
    }

    async fn requeue_videos(&self, request: Request<RequeueVideosRequest>) -> Answers<RequeueVideosResponse> {
        self.reply(request)
    }

    async fn watch_videos(&self, request: Request<WatchVideosRequest>) -> Answers<Self::WatchVideosStream> {
        self.watch(request)
    }

    async fn read_source(&self, request: Request<ReadSourceRequest>) -> Answers<Self::ReadSourceStream> {
        let ReadSourceRequest { offset, limit, .. } = request.get_ref().clone();
        self.note(request)?;
        let source = self.0.lock().unwrap().source.clone().unwrap();
        let first = usize::try_from(offset).unwrap();
        let rest = source.get(first..).ok_or_else(|| refusal(tonic::Code::OutOfRange, "WRONG_OFFSET"))?;
        let limit = if limit == 0 { rest.len() } else { rest.len().min(usize::try_from(limit).unwrap()) };
        let total_bytes = i64::try_from(source.len()).unwrap() + self.0.lock().unwrap().missing;
        let parts = rest[..limit].chunks(4).scan(offset, |place, chunk| {
            let offset = *place;
            *place += i64::try_from(chunk.len()).unwrap();
            Some(Ok(ReadSourceResponse { offset, chunk: chunk.to_vec().into(), total_bytes }))
        });
        Ok(Response::new(iter(parts.collect::<Vec<_>>()).boxed()))
    }

    async fn get_result(&self, request: Request<GetResultRequest>) -> Answers<GetResultResponse> {
        self.note(request)?;
        Ok(Response::new(GetResultResponse { offset: i64::try_from(self.stored().len()).unwrap() }))
    }

    async fn write_result(&self, request: Request<Streaming<WriteResultRequest>>) -> Answers<WriteResultResponse> {
        self.0.lock().unwrap().refusal.clone().map_or(Ok(()), Err)?;
        if self.0.lock().unwrap().is_placed {
            return self.scripted();
        }
        let mut parts = request.into_inner();
        let stalls = self.0.lock().unwrap().stalls;
        if stalls {
            std::future::pending::<()>().await;
        }
        self.0.lock().unwrap().uploads.push(Vec::new());
        let mut is_first = true;
        while let Some(part) = parts.message().await? {
            let mut state = self.0.lock().unwrap();
            if part.offset != i64::try_from(state.stored.len()).unwrap() {
                return Err(refusal(tonic::Code::OutOfRange, "WRONG_OFFSET"));
            }
            assert!(is_first || part.task_id.is_empty());
            is_first = false;
            state.stored.extend_from_slice(&part.chunk);
            let is_last = !part.sha256.is_empty();
            state.uploads.last_mut().unwrap().push(part);
            drop(state);
            if is_last {
                return self.scripted();
            }
        }
        Err(refusal(tonic::Code::InvalidArgument, "INVALID_ARGUMENT"))
    }
}

#[tonic::async_trait]
impl LogService for Fake {
    type WatchLogsStream = Updates<WatchLogsResponse>;

    async fn list_logs(&self, request: Request<ListLogsRequest>) -> Answers<ListLogsResponse> {
        self.reply(request)
    }

    async fn create_log(&self, request: Request<CreateLogRequest>) -> Answers<CreateLogResponse> {
        self.reply(request)
    }

    async fn watch_logs(&self, request: Request<WatchLogsRequest>) -> Answers<Self::WatchLogsStream> {
        self.watch(request)
    }
}

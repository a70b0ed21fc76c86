//! The workers of the fake.

use steward_proto::transcode::v1::worker_service_server::WorkerService;
use steward_proto::transcode::v1::*;
use tonic::{Request, Response, Streaming};

use super::{Service, count, next_stream, not_found, page};
use crate::cli::testing::{Answer, AnswerStream, not_here};

#[tonic::async_trait]
impl WorkerService for Service {
    type WatchWorkersStream = AnswerStream<WatchWorkersResponse>;
    type SessionStream = AnswerStream<SessionResponse>;

    async fn list_workers(&self, request: Request<ListWorkersRequest>) -> Answer<ListWorkersResponse> {
        let request = request.into_inner();
        Ok(Response::new(self.take(&request, |state| {
            let (workers, next_page_token) = page(&state.workers, request.page_size, request.page, &request.page_token);
            ListWorkersResponse { workers, next_page_token, total_size: count(&state.workers) }
        })))
    }

    async fn update_worker(&self, request: Request<UpdateWorkerRequest>) -> Answer<UpdateWorkerResponse> {
        let request = request.into_inner();
        self.take(&request, |state| {
            let worker = state.workers.iter_mut().find(|worker| worker.worker_id == request.worker_id);
            let worker = worker.ok_or_else(|| not_found("WORKER_NOT_FOUND"))?;
            worker.paused = request.paused.unwrap_or(worker.paused);
            worker.schedule = request.schedule.clone().or(worker.schedule.take());
            Ok(Response::new(UpdateWorkerResponse { worker: Some(worker.clone()) }))
        })
    }

    async fn delete_worker(&self, request: Request<DeleteWorkerRequest>) -> Answer<DeleteWorkerResponse> {
        let request = request.into_inner();
        self.take(&request, |state| state.workers.retain(|worker| worker.worker_id != request.worker_id));
        Ok(Response::new(DeleteWorkerResponse {}))
    }

    async fn set_worker_offline(&self, request: Request<SetWorkerOfflineRequest>) -> Answer<SetWorkerOfflineResponse> {
        self.take(request.get_ref(), |_| ());
        Ok(Response::new(SetWorkerOfflineResponse {}))
    }

    async fn cancel_worker_offline(
        &self,
        request: Request<CancelWorkerOfflineRequest>,
    ) -> Answer<CancelWorkerOfflineResponse> {
        self.take(request.get_ref(), |_| ());
        Ok(Response::new(CancelWorkerOfflineResponse {}))
    }

    async fn watch_workers(&self, request: Request<WatchWorkersRequest>) -> Answer<Self::WatchWorkersStream> {
        Ok(self.take(request.get_ref(), |state| next_stream(&mut state.worker_streams)))
    }

    async fn register_worker(&self, _: Request<RegisterWorkerRequest>) -> Answer<RegisterWorkerResponse> {
        Err(not_here())
    }

    async fn get_worker(&self, _: Request<GetWorkerRequest>) -> Answer<GetWorkerResponse> {
        Err(not_here())
    }

    async fn heartbeat(&self, _: Request<HeartbeatRequest>) -> Answer<HeartbeatResponse> {
        Err(not_here())
    }

    async fn get_worker_stats(&self, _: Request<GetWorkerStatsRequest>) -> Answer<GetWorkerStatsResponse> {
        Ok(Response::new(GetWorkerStatsResponse { active: 1, idle: 2, offline: 3 }))
    }

    async fn session(&self, _: Request<Streaming<SessionRequest>>) -> Answer<Self::SessionStream> {
        Err(not_here())
    }
}

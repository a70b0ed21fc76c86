//! Sessions: welcomed, acknowledged and written down.

use futures::StreamExt as _;
use steward_proto::transcode::v1::session_request::Message as Said;
use steward_proto::transcode::v1::session_response::Message;
use steward_proto::transcode::v1::worker_service_server::WorkerService;
use steward_proto::transcode::v1::*;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Streaming};

use super::State;
use crate::cli::testing::{Answer, AnswerStream, not_here};

#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) state: watch::Sender<State>,
}

const HEARTBEAT_INTERVAL: prost_types::Duration = prost_types::Duration { seconds: 0, nanos: 50_000_000 };

#[tonic::async_trait]
impl WorkerService for Sessions {
    type WatchWorkersStream = AnswerStream<WatchWorkersResponse>;
    type SessionStream = AnswerStream<SessionResponse>;

    async fn session(&self, request: Request<Streaming<SessionRequest>>) -> Answer<Self::SessionStream> {
        let mut incoming = request.into_inner();
        let Some(Said::Hello(hello)) = incoming.message().await?.and_then(|first| first.message) else {
            return Err(tonic::Status::invalid_argument("no hello"));
        };
        let mut refusal = None;
        let (to_worker, responses) = mpsc::unbounded_channel();
        self.state.send_modify(|state| {
            refusal = state.refusals.pop();
            state.hellos.push(hello);
            state.to_worker = Some(to_worker.clone());
        });
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let welcome = Welcome {
            worker_id: 7,
            heartbeat_interval: Some(HEARTBEAT_INTERVAL),
            worker_token: "token-7".to_owned(),
            ..Welcome::default()
        };
        let respond = move |message| to_worker.send(Ok(SessionResponse { message: Some(message) })).is_ok();
        respond(Message::Welcome(welcome));
        let state = self.state.clone();
        tokio::spawn(async move {
            while let Ok(Some(request)) = incoming.message().await {
                let seq = request.seq;
                let mut acknowledges = false;
                let mut lost = None;
                state.send_modify(|state| {
                    if let Some(Said::Progress(progress)) = &request.message {
                        lost = state.lost.iter().find(|task| **task == progress.task_id).cloned();
                    }
                    let is_end = matches!(request.message, Some(Said::Finished(_)));
                    acknowledges = seq != 0 && !state.holds_acks && !(is_end && state.holds_ends);
                    state.said.push(request);
                });
                if let Some(task_id) = lost {
                    respond(Message::LeaseLost(LeaseLost { task_id, reason: "too late".to_owned() }));
                }
                if acknowledges && !respond(Message::Ack(Ack { seq })) {
                    return;
                }
            }
            state.send_modify(|state| {
                state.farewell_count += 1;
                state.to_worker = None;
            });
        });
        Ok(Response::new(UnboundedReceiverStream::new(responses).boxed()))
    }

    async fn register_worker(&self, _: Request<RegisterWorkerRequest>) -> Answer<RegisterWorkerResponse> {
        Err(not_here())
    }

    async fn list_workers(&self, _: Request<ListWorkersRequest>) -> Answer<ListWorkersResponse> {
        Err(not_here())
    }

    async fn get_worker(&self, _: Request<GetWorkerRequest>) -> Answer<GetWorkerResponse> {
        Err(not_here())
    }

    async fn update_worker(&self, _: Request<UpdateWorkerRequest>) -> Answer<UpdateWorkerResponse> {
        Err(not_here())
    }

    async fn delete_worker(&self, _: Request<DeleteWorkerRequest>) -> Answer<DeleteWorkerResponse> {
        Err(not_here())
    }

    async fn heartbeat(&self, _: Request<HeartbeatRequest>) -> Answer<HeartbeatResponse> {
        Err(not_here())
    }

    async fn set_worker_offline(&self, _: Request<SetWorkerOfflineRequest>) -> Answer<SetWorkerOfflineResponse> {
        Err(not_here())
    }

    async fn cancel_worker_offline(
        &self,
        _: Request<CancelWorkerOfflineRequest>,
    ) -> Answer<CancelWorkerOfflineResponse> {
        Err(not_here())
    }

    async fn watch_workers(&self, _: Request<WatchWorkersRequest>) -> Answer<Self::WatchWorkersStream> {
        Err(not_here())
    }

    async fn get_worker_stats(&self, _: Request<GetWorkerStatsRequest>) -> Answer<GetWorkerStatsResponse> {
        Err(not_here())
    }
}

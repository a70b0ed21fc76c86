//! `WorkerService`.

use steward_proto::transcode::v1 as api;
use steward_proto::transcode::v1::watch_workers_response::Update;
use steward_proto::transcode::v1::worker_service_server::WorkerService;
use tonic::{Request, Response, Status, Streaming};

use super::rights::reach;
use super::{Answers, FarmServer, answer, seen};
use crate::auth::rights::Right;
use crate::error::Failure;
use crate::fields::Fields;
use crate::store::Revision;
use crate::transcode::convert::{self, revision, total};
use crate::transcode::model::OfflineAction;
use crate::transcode::reach::Reach;
use crate::transcode::watch_workers::WorkerStep;
use crate::transcode::workers::UpdateWorker;

const MAX_PAGE: usize = 1000;

impl FarmServer {
    async fn handle_register(
        &self,
        request: api::RegisterWorkerRequest,
    ) -> Result<api::RegisterWorkerResponse, Failure> {
        let mut fields = Fields::default();
        let command = fields.registration(request);
        fields.check()?;
        let registered = self.farm.register(command, Vec::new()).await?;
        Ok(api::RegisterWorkerResponse {
            worker_id: registered.id.0,
            outcome: registered.outcome.into(),
            worker_token: convert::uuid_text(&registered.token),
        })
    }

    async fn handle_list_workers(
        &self,
        request: &api::ListWorkersRequest,
        reach: &Reach,
    ) -> Result<api::ListWorkersResponse, Failure> {
        let mut fields = Fields::default();
        let after: i32 = match request.page_token.as_str() {
            "" => 0,
            token => token.parse().unwrap_or_else(|_| {
                fields.reject("page_token", "is not one that this list gave");
                0
            }),
        };
        let size = usize::try_from(request.page_size).unwrap_or_else(|_| {
            fields.reject("page_size", "is negative");
            0
        });
        let number = usize::try_from(request.page).unwrap_or_else(|_| {
            fields.reject("page", "is negative");
            0
        });
        fields.check()?;
        // Without a size, all of them.
        let size = if size == 0 { usize::MAX } else { size.min(MAX_PAGE) };
        let mut all = self.farm.all_workers();
        all.retain(|view| reach.is_everything() || reach.has_worker(Right::Read, &view.record.name));
        self.farm.settled().await?;
        let skipped = number.saturating_sub(1).saturating_mul(size);
        let mut rest = all.iter().filter(|view| view.id.0 > after).skip(skipped);
        let workers: Vec<api::Worker> = rest.by_ref().take(size).map(convert::worker).collect();
        let last = workers.last().map(|worker| worker.worker_id.to_string());
        let next_page_token = if rest.next().is_some() { last.unwrap_or_default() } else { String::new() };
        Ok(api::ListWorkersResponse { workers, next_page_token, total_size: total(all.len()) })
    }

    async fn handle_get_worker(
        &self,
        request: &api::GetWorkerRequest,
        reach: &Reach,
    ) -> Result<api::GetWorkerResponse, Failure> {
        let mut fields = Fields::default();
        let id = fields.worker_id(request.worker_id);
        fields.check()?;
        self.require_worker(reach, Right::Read, id)?;
        let view = self.farm.worker(id);
        self.farm.settled().await?;
        Ok(api::GetWorkerResponse { worker: Some(convert::worker(&view?)) })
    }

    async fn handle_update_worker(
        &self,
        request: api::UpdateWorkerRequest,
        reach: &Reach,
    ) -> Result<api::UpdateWorkerResponse, Failure> {
        let mut fields = Fields::default();
        let id = fields.worker_id(request.worker_id);
        if let Some(name) = &request.worker_name {
            fields.worker_name(name);
        }
        let command = UpdateWorker {
            worker_type: request.worker_type.map(|worker_type| fields.worker_type(worker_type)),
            support_vr: request.support_vr,
            paused: request.paused,
            schedule: request.schedule.map(|schedule| fields.schedule("schedule", &schedule)),
            constraints: request.constraints.map(|constraints| fields.constraints(constraints)),
            labels: request.labels.map(|labels| fields.labels(labels.labels)),
            name: request.worker_name,
        };
        fields.check()?;
        self.require_worker(reach, Right::Admin, id)?;
        if let Some(name) = command.name.as_ref().filter(|name| !reach.has_worker(Right::Admin, name)) {
            return Err(reach.worker_refusal(Right::Admin, name, ""));
        }
        let view = self.farm.update_worker(id, command).await?;
        Ok(api::UpdateWorkerResponse { worker: Some(convert::worker(&view)) })
    }

    async fn handle_delete_worker(
        &self,
        request: &api::DeleteWorkerRequest,
        reach: &Reach,
    ) -> Result<api::DeleteWorkerResponse, Failure> {
        let mut fields = Fields::default();
        let id = fields.worker_id(request.worker_id);
        fields.check()?;
        self.require_worker(reach, Right::Admin, id)?;
        self.farm.delete_worker(id).await?;
        Ok(api::DeleteWorkerResponse {})
    }

    async fn handle_heartbeat(
        &self,
        request: &api::HeartbeatRequest,
        reach: &Reach,
    ) -> Result<api::HeartbeatResponse, Failure> {
        let mut fields = Fields::default();
        let id = fields.worker_id(request.worker_id);
        fields.worker_name(&request.worker_name);
        fields.check()?;
        self.require_self(reach, id)?;
        let view = self.farm.heartbeat(id, &request.worker_name).await?;
        Ok(api::HeartbeatResponse {
            pending_action: view.record.offline_action,
            cancel_task_ids: self.farm.sessions.cancelled(id).iter().map(ToString::to_string).collect(),
            next_interval: self.farm.settings.heartbeat_interval.try_into().ok(),
        })
    }

    async fn handle_set_offline(
        &self,
        request: &api::SetWorkerOfflineRequest,
        reach: &Reach,
    ) -> Result<api::SetWorkerOfflineResponse, Failure> {
        let mut fields = Fields::default();
        let id = fields.worker_id(request.worker_id);
        let action: OfflineAction = fields.known("action", request.action);
        if action == OfflineAction::Unspecified {
            fields.reject("action", "is required");
        }
        let deadline = fields.duration("deadline", request.deadline, super::fields::DRAIN);
        fields.check()?;
        self.require_self(reach, id)?;
        self.farm.set_offline(id, action, deadline).await?;
        Ok(api::SetWorkerOfflineResponse {})
    }

    async fn handle_cancel_offline(
        &self,
        request: &api::CancelWorkerOfflineRequest,
        reach: &Reach,
    ) -> Result<api::CancelWorkerOfflineResponse, Failure> {
        let mut fields = Fields::default();
        let id = fields.worker_id(request.worker_id);
        fields.check()?;
        self.require_worker(reach, Right::Admin, id)?;
        self.farm.cancel_offline(id).await?;
        Ok(api::CancelWorkerOfflineResponse {})
    }

    fn open_watch_workers(
        &self,
        request: api::WatchWorkersRequest,
        reach: Reach,
    ) -> Result<Answers<api::WatchWorkersResponse>, Failure> {
        let mut fields = Fields::default();
        let from = fields.revision(request.from_revision);
        fields.check()?;
        let steps = self.farm.watch_workers(from, self.watcher(&reach)?);
        let sees = move |step: &WorkerStep| match step {
            WorkerStep::Snapshot(view) | WorkerStep::Changed(view, _) => {
                reach.is_everything() || reach.has_worker(Right::Read, &view.record.name)
            }
            WorkerStep::SnapshotEnd(_) | WorkerStep::Deleted(..) => true,
        };
        Ok(seen(steps, sees, worker_response))
    }

    async fn handle_worker_stats(&self, reach: &Reach) -> Result<api::GetWorkerStatsResponse, Failure> {
        let mut stats = api::GetWorkerStatsResponse::default();
        for view in self.farm.all_workers() {
            if !reach.is_everything() && !reach.has_worker(Right::Read, &view.record.name) {
                continue;
            }
            match (view.is_offline, view.tasks.is_empty()) {
                (true, _) => stats.offline += 1,
                (false, true) => stats.idle += 1,
                (false, false) => stats.active += 1,
            }
        }
        self.farm.settled().await?;
        Ok(stats)
    }
}

impl Fields {
    pub(super) fn revision(&mut self, from: i64) -> Option<Revision> {
        let from = u64::try_from(from).unwrap_or_else(|_| {
            self.reject("from_revision", "is negative");
            0
        });
        (from != 0).then_some(Revision(from))
    }
}

fn worker_response(step: WorkerStep) -> api::WatchWorkersResponse {
    let (at, update) = match step {
        WorkerStep::Snapshot(view) => (Revision::default(), Update::Worker(convert::worker(&view))),
        WorkerStep::SnapshotEnd(at) => (at, Update::SnapshotEnd(api::WorkersSnapshotEnd {})),
        WorkerStep::Changed(view, at) => (at, Update::Worker(convert::worker(&view))),
        WorkerStep::Deleted(id, at) => (at, Update::DeletedWorkerId(id.0)),
    };
    api::WatchWorkersResponse { revision: revision(at), update: Some(update) }
}

#[tonic::async_trait]
impl WorkerService for FarmServer {
    async fn register_worker(
        &self,
        request: Request<api::RegisterWorkerRequest>,
    ) -> Result<Response<api::RegisterWorkerResponse>, Status> {
        answer(self.handle_register(request.into_inner()).await)
    }

    async fn list_workers(
        &self,
        request: Request<api::ListWorkersRequest>,
    ) -> Result<Response<api::ListWorkersResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_list_workers(request.get_ref(), &reach).await)
    }

    async fn get_worker(
        &self,
        request: Request<api::GetWorkerRequest>,
    ) -> Result<Response<api::GetWorkerResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_get_worker(request.get_ref(), &reach).await)
    }

    async fn update_worker(
        &self,
        request: Request<api::UpdateWorkerRequest>,
    ) -> Result<Response<api::UpdateWorkerResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_update_worker(request.into_inner(), &reach).await)
    }

    async fn delete_worker(
        &self,
        request: Request<api::DeleteWorkerRequest>,
    ) -> Result<Response<api::DeleteWorkerResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_delete_worker(request.get_ref(), &reach).await)
    }

    async fn heartbeat(
        &self,
        request: Request<api::HeartbeatRequest>,
    ) -> Result<Response<api::HeartbeatResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_heartbeat(request.get_ref(), &reach).await)
    }

    async fn set_worker_offline(
        &self,
        request: Request<api::SetWorkerOfflineRequest>,
    ) -> Result<Response<api::SetWorkerOfflineResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_set_offline(request.get_ref(), &reach).await)
    }

    async fn cancel_worker_offline(
        &self,
        request: Request<api::CancelWorkerOfflineRequest>,
    ) -> Result<Response<api::CancelWorkerOfflineResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_cancel_offline(request.get_ref(), &reach).await)
    }

    type WatchWorkersStream = Answers<api::WatchWorkersResponse>;

    async fn watch_workers(
        &self,
        request: Request<api::WatchWorkersRequest>,
    ) -> Result<Response<Self::WatchWorkersStream>, Status> {
        let reach = reach(&request)?;
        answer(self.open_watch_workers(request.into_inner(), reach))
    }

    async fn get_worker_stats(
        &self,
        request: Request<api::GetWorkerStatsRequest>,
    ) -> Result<Response<api::GetWorkerStatsResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_worker_stats(&reach).await)
    }

    type SessionStream = Answers<api::SessionResponse>;

    async fn session(
        &self,
        request: Request<Streaming<api::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let reach = reach(&request)?;
        Ok(Response::new(self.open_session(request.into_inner(), reach)))
    }
}

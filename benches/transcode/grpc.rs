//! Workers over gRPC.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use steward_proto::transcode::v1::claim_task_response::Result as Claim;
use steward_proto::transcode::v1::task_service_client::TaskServiceClient;
use steward_proto::transcode::v1::worker_service_client::WorkerServiceClient;
use steward_proto::transcode::v1::{ClaimTaskRequest, HeartbeatRequest, TaskStatus, UpdateTaskRequest};
use tonic::transport::Channel;

use crate::BoxError;
use crate::load::{Client, Load, Measured};
use crate::steward::{Steward, Worker};

/// Claims a video and completes it.
struct Pairs {
    tasks: TaskServiceClient<Channel>,
    worker: Worker,
}

impl Client for Pairs {
    async fn step(&mut self) -> Result<bool, BoxError> {
        let request = ClaimTaskRequest { worker_id: self.worker.id, ..ClaimTaskRequest::default() };
        let task = match self.tasks.claim_task(request).await?.into_inner().result {
            Some(Claim::Task(task)) => task,
            Some(Claim::NoWork(_)) => return Err("the videos were used up: ask for more, or for less time".into()),
            other => return Err(format!("no task: {other:?}").into()),
        };
        let request = UpdateTaskRequest {
            task_id: task.task_id,
            worker_id: self.worker.id,
            lease_token: task.lease_token,
            progress: 100.0,
            status: TaskStatus::Completed.into(),
            ..UpdateTaskRequest::default()
        };
        self.tasks.update_task(request).await?;
        Ok(true)
    }
}

async fn pairs(steward: &Steward, workers: &[Worker]) -> Result<Vec<Pairs>, BoxError> {
    let channels = steward.channels(workers.len()).await?;
    let clients = channels.into_iter().zip(workers);
    Ok(clients
        .map(|(channel, worker)| Pairs { tasks: TaskServiceClient::new(channel), worker: worker.clone() })
        .collect())
}

pub(crate) async fn claims(steward: &Steward, workers: &[Worker], load: Load) -> Result<Measured, BoxError> {
    load.drive(pairs(steward, workers).await?).await
}

/// Claims and completes so many.
pub(crate) async fn finish(steward: &Steward, workers: &[Worker], count: u32) -> Result<(), BoxError> {
    let taken = Arc::new(AtomicU32::new(0));
    let mut running = Vec::new();
    for mut client in pairs(steward, workers).await? {
        let taken = taken.clone();
        running.push(tokio::spawn(async move {
            while taken.fetch_add(1, Ordering::Relaxed) < count {
                client.step().await?;
            }
            Ok::<_, BoxError>(())
        }));
    }
    for client in running {
        client.await??;
    }
    Ok(())
}

/// Says that it lives.
struct Beats {
    workers: WorkerServiceClient<Channel>,
    worker: Worker,
}

impl Client for Beats {
    async fn step(&mut self) -> Result<bool, BoxError> {
        let request = HeartbeatRequest { worker_id: self.worker.id, worker_name: self.worker.name.clone() };
        self.workers.heartbeat(request).await?;
        Ok(true)
    }
}

pub(crate) async fn heartbeats(steward: &Steward, workers: &[Worker], load: Load) -> Result<Measured, BoxError> {
    let clients = steward.channels(workers.len()).await?.into_iter().zip(workers);
    let clients =
        clients.map(|(channel, worker)| Beats { workers: WorkerServiceClient::new(channel), worker: worker.clone() });
    load.drive(clients.collect()).await
}

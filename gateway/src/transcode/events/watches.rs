//! The two watches behind a subscription. One whose place is forgotten begins anew.

use steward_proto::transcode::v1::{WatchTasksRequest, WatchTasksResponse, WatchWorkersRequest, WatchWorkersResponse};
use tonic::{Status, Streaming};
use tonic_types::StatusExt;
use tracing::warn;

use super::cursor::Cursor;
use crate::transcode::{Farm, TIMEOUT};
use crate::upstream::{Call, Caller, Failure};

/// What a watch showed.
#[derive(Debug)]
pub(super) enum Update {
    Task(WatchTasksResponse),
    Worker(WatchWorkersResponse),
    /// What the watch of tasks was to go on from is too long ago.
    TasksForgotten,
    /// What the watch of workers was to go on from is too long ago.
    WorkersForgotten,
}

/// The watches of tasks and of workers.
pub(super) struct Watches {
    farm: Farm,
    caller: Caller,
    tasks: Streaming<WatchTasksResponse>,
    workers: Streaming<WatchWorkersResponse>,
}

impl Watches {
    /// Starts both behind `cursor`, or anew.
    pub(super) async fn open(mut farm: Farm, caller: Caller, cursor: Cursor) -> Result<Self, Failure> {
        let tasks = match watch_tasks(&mut farm, &caller, cursor.tasks).await {
            Err(failure) if is_forgotten(failure.status()) => watch_tasks(&mut farm, &caller, 0).await?,
            watch => watch?,
        };
        let workers = match watch_workers(&mut farm, &caller, cursor.workers).await {
            Err(failure) if is_forgotten(failure.status()) => watch_workers(&mut farm, &caller, 0).await?,
            watch => watch?,
        };
        Ok(Self { farm, caller, tasks, workers })
    }

    /// Waits for what either shows next. Safe to give up waiting for.
    pub(super) async fn next(&mut self) -> Result<Update, Status> {
        let updated = tokio::select! {
            update = self.tasks.message() => match update {
                Err(status) if is_forgotten(&status) => Ok(Some(Update::TasksForgotten)),
                update => update.map(|update| update.map(Update::Task)),
            },
            update = self.workers.message() => match update {
                Err(status) if is_forgotten(&status) => Ok(Some(Update::WorkersForgotten)),
                update => update.map(|update| update.map(Update::Worker)),
            },
        };
        updated.and_then(|update| update.ok_or_else(|| Status::unavailable("the watch ended"))).inspect_err(|status| {
            let (request_id, code, problem) = (self.caller.request_id(), status.code(), status.message());
            warn!(%request_id, ?code, problem, "a watch broke off; its subscriber is cut off too");
        })
    }

    /// Begins the watch of tasks anew.
    pub(super) async fn reopen_tasks(&mut self) -> Result<(), Status> {
        let watch = watch_tasks(&mut self.farm, &self.caller, 0).await;
        self.tasks = watch.map_err(|failure| failure.status().clone())?;
        Ok(())
    }

    /// Begins the watch of workers anew.
    pub(super) async fn reopen_workers(&mut self) -> Result<(), Status> {
        let watch = watch_workers(&mut self.farm, &self.caller, 0).await;
        self.workers = watch.map_err(|failure| failure.status().clone())?;
        Ok(())
    }
}

async fn watch_tasks(
    farm: &mut Farm,
    caller: &Caller,
    from_revision: i64,
) -> Result<Streaming<WatchTasksResponse>, Failure> {
    let call = Call::new("WatchTasks", caller.clone(), TIMEOUT);
    let message = WatchTasksRequest { from_revision, only_in_progress: true, ..WatchTasksRequest::default() };
    call.run(farm.tasks.watch_tasks(call.request(message))).await
}

async fn watch_workers(
    farm: &mut Farm,
    caller: &Caller,
    from_revision: i64,
) -> Result<Streaming<WatchWorkersResponse>, Failure> {
    let call = Call::new("WatchWorkers", caller.clone(), TIMEOUT);
    call.run(farm.workers.watch_workers(call.request(WatchWorkersRequest { from_revision }))).await
}

fn is_forgotten(status: &Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == "REVISION_COMPACTED")
}

//! The loop that finds workers that went silent, tasks that nobody speaks of, and drains that are over.

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;

use super::batch::Batch;
use super::error::Error;
use super::farm::{Decision, Farm};
use super::index::WorkerEntry;
use super::model::{LogLevel, TaskId, WorkerId, time};
use super::sessions::Notice;
use super::transition::Cause;
use super::workers::WENT_SILENT;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::{Key, Table};

/// The longest time between two looks.
const TICK: Duration = Duration::from_secs(1);
/// The shortest.
const SHORTEST_TICK: Duration = Duration::from_millis(20);
/// Workers that are ended at a time, so that they share flushes.
const AT_A_TIME: usize = 32;
/// How late the record of a worker may know of its heartbeats.
const HEARTBEAT_KEPT_AFTER: Duration = Duration::from_secs(10);
/// Workers whose heartbeats one commit keeps.
const KEPT_AT_A_TIME: usize = 50;

/// Ends what has gone silent.
#[derive(Debug)]
pub struct SilenceEngine {
    farm: Farm,
}

impl SilenceEngine {
    /// For this farm.
    pub fn new(farm: Farm) -> Self {
        SilenceEngine { farm }
    }
}

#[async_trait]
impl Engine for SilenceEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "transcode_silence"
    }

    fn wakes_on(&self) -> Key {
        Key::table(Table::Worker)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let farm = &self.farm;
        let now = farm.clock.now();
        // One that cannot be ended now is found again at the next look, and is no reason to leave the others.
        futures::stream::iter(farm.online_workers())
            .for_each_concurrent(AT_A_TIME, |(id, entry)| async move {
                let is_over = time(entry.record.drain_deadline_nanos).is_some_and(|deadline| deadline <= now);
                let ended = if farm.is_silent(&entry, now) {
                    farm.end_silent(id).await
                } else if is_over {
                    farm.end_drain(id).await
                } else {
                    Ok(())
                };
                told(ended, "a worker cannot be ended");
            })
            .await;
        farm.end_orphans(now).await;
        told(farm.keep_heartbeats(now).await, "heartbeats are not kept");
        farm.measure();
        // Also with nobody online: what wakes this loop may come a moment before the index has it.
        let tick = TICK.min(farm.settings.policy.heartbeat_timeout / 4).max(SHORTEST_TICK);
        Ok(Some(now.plus(tick)))
    }
}

impl Farm {
    fn online_workers(&self) -> Vec<(WorkerId, WorkerEntry)> {
        let workers = self.index.workers.read();
        workers.iter().filter(|(_, entry)| entry.record.is_online).map(|(id, entry)| (id, entry.clone())).collect()
    }

    async fn end_silent(&self, id: WorkerId) -> Result<(), Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            if farm.put_silent(id).await? {
                farm.sessions.tell(id, Notice::Changed);
                farm.fail_tasks_of(id, &Cause::WorkerLost(WENT_SILENT.to_owned()), &[]).await?;
            }
            Ok(())
        })
        .await
    }

    async fn end_drain(&self, id: WorkerId) -> Result<(), Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            let tasks = farm.index.tasks.read().of_worker(id);
            for task in tasks {
                farm.cancel_by_number(task, "the worker was told to go, and its time is over", true).await?;
            }
            farm.change_worker(id, "the end of its drain", |record| {
                record.drain_deadline_nanos = 0;
                Some((LogLevel::Info, format!("worker {:?} has had its time", record.name)))
            })
            .await
        })
        .await
    }

    /// Ends tasks that nobody has spoken of for too long, and those whose worker is gone.
    async fn end_orphans(&self, now: Timestamp) {
        let policy = &self.settings.policy;
        for (task, cause) in self.orphans(now) {
            let farm = self.clone();
            let message = match cause {
                Orphaned::Stalled => {
                    let seconds = policy.task_stall_timeout.unwrap_or_default().as_secs();
                    Cause::Stalled(format!("任务超过{seconds}秒未更新，判定为超时"))
                }
                Orphaned::WorkerGone => Cause::WorkerLost(WENT_SILENT.to_owned()),
            };
            let ended = self.to_the_end(async move { farm.end_task(task, &message).await }).await;
            told(ended, "a task that nobody speaks of cannot be ended");
        }
    }

    fn orphans(&self, now: Timestamp) -> Vec<(TaskId, Orphaned)> {
        let policy = &self.settings.policy;
        let active: Vec<_> = self.index.tasks.read().active().collect();
        let workers = self.index.workers.read();
        let cause = |(task, active): (TaskId, super::index::Active)| {
            // After a start of the server, workers have the whole timeout to speak.
            let silence = now.since(active.updated.max(self.started));
            let is_online = workers.get(active.worker).is_some_and(|worker| worker.record.is_online);
            if policy.task_stall_timeout.is_some_and(|timeout| silence > timeout) {
                Some((task, Orphaned::Stalled))
            } else if !is_online && silence > policy.heartbeat_timeout {
                Some((task, Orphaned::WorkerGone))
            } else {
                None
            }
        };
        active.into_iter().filter_map(cause).collect()
    }

    /// Brings heartbeats into the records, so that a start knows of them.
    async fn keep_heartbeats(&self, now: Timestamp) -> Result<(), Error> {
        let late: Vec<WorkerId> = self
            .online_workers()
            .into_iter()
            .filter(|(_, entry)| {
                let kept = Timestamp::from_nanos(entry.record.heartbeat_nanos);
                entry.heartbeat > kept && now.since(kept) >= HEARTBEAT_KEPT_AFTER
            })
            .map(|(id, _)| id)
            .collect();
        for part in late.chunks(KEPT_AT_A_TIME) {
            let attempt = || async {
                let mut batch = Batch::default();
                for id in part {
                    let Ok(entry) = self.worker_entry(*id) else { continue };
                    let mut record = entry.record;
                    record.heartbeat_nanos = entry.heartbeat.nanos();
                    batch.put_worker(*id, record, Some(entry.revision));
                }
                Ok(Decision { batch, answer: () })
            };
            self.decide("the heartbeats of workers", attempt).await?;
        }
        Ok(())
    }
}

/// Tells of what could not be done at this look.
fn told(result: Result<(), Error>, what: &'static str) {
    match result {
        // Somebody deleted it meanwhile.
        Ok(()) | Err(Error::WorkerNotFound(_) | Error::TaskNotFound(_)) => {}
        Err(error) => tracing::warn!(%error, "{what}; it is tried again"),
    }
}

#[derive(Clone, Copy, Debug)]
enum Orphaned {
    Stalled,
    WorkerGone,
}

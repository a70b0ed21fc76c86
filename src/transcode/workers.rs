//! The commands on workers.

use std::future::ready;

use prost::Message as _;

use super::batch::{About, Batch};
use super::error::Error;
use super::farm::{Decision, Farm};
use super::index::WorkerEntry;
use super::keys;
use super::model::{
    LogLevel, OfflineAction, RegisterOutcome, ScheduleRecord, TaskUuid, WorkerId, WorkerRecord, WorkerType, time,
};
use super::register::{Before, Register, register};
use super::sessions::Notice;
use super::transition::Cause;
use crate::clock::Timestamp;
use crate::store::{MAX_VALUE_BYTES, Table};

/// What the older API knows as the reason of tasks that a registration ends.
pub(super) const REGISTERED_ANEW: &str = "Worker心跳超时，任务终止";
/// What it knows as the reason of tasks that a silence ends.
pub(super) const WENT_SILENT: &str = "Worker离线，任务自动终止";
const DELETED: &str = "Worker已删除，任务自动终止";

/// What the farm may add to the record of a worker, in bytes.
const ROOM_IN_RECORD: usize = 128;

/// A worker as people see it.
#[derive(Clone, Debug)]
pub(crate) struct WorkerView {
    pub(crate) id: WorkerId,
    pub(crate) record: WorkerRecord,
    pub(crate) heartbeat: Timestamp,
    /// It counts as offline.
    pub(crate) is_offline: bool,
    pub(crate) tasks: Vec<TaskUuid>,
}

/// What a registration gave.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) id: WorkerId,
    pub(crate) outcome: RegisterOutcome,
    pub(crate) token: [u8; 16],
}

/// Changes of a worker; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpdateWorker {
    pub(crate) name: Option<String>,
    pub(crate) worker_type: Option<WorkerType>,
    pub(crate) support_vr: Option<bool>,
    pub(crate) paused: Option<bool>,
    pub(crate) schedule: Option<ScheduleRecord>,
    pub(crate) constraints: Option<(i32, Vec<String>, Vec<String>)>,
    pub(crate) labels: Option<std::collections::HashMap<String, String>>,
}

impl Farm {
    /// Makes a worker known, or online again. The tasks that it had are failed, but for those in `kept`.
    pub(crate) async fn register(&self, command: Register, kept: Vec<TaskUuid>) -> Result<Registered, Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            let (registered, _) =
                farm.decide(format!("worker {:?}", command.name), || ready(farm.try_register(&command))).await?;
            if registered.outcome != RegisterOutcome::New {
                farm.sessions.forget_all_cancelled(registered.id);
                farm.fail_tasks_of(registered.id, &Cause::WorkerLost(REGISTERED_ANEW.to_owned()), &kept).await?;
            }
            Ok(registered)
        })
        .await
    }

    fn try_register(&self, command: &Register) -> Result<Decision<Registered>, Error> {
        let now = self.clock.now();
        let known = self.known_by_name(&command.name);
        let before = known.as_ref().map_or(Before::Unknown, |(_, entry)| Before::Known {
            record: &entry.record,
            is_silent: entry.is_silent(now, self.settings.policy.heartbeat_timeout),
        });
        let (record, outcome) = register(before, command, random(), now)?;
        check_size(&record)?;
        let id = known.as_ref().map_or_else(|| self.index.workers.write().allocate(), |(id, _)| *id);
        let token = record.token.as_ref().try_into().unwrap_or_default();
        let mut batch = Batch::default();
        if known.is_none() {
            batch.claim_name(&command.name, id);
        }
        if outcome != RegisterOutcome::Resumed {
            let message = format!("worker {:?} registered", command.name);
            batch.log(&self.index, now, (LogLevel::Info, message), About::Worker(id));
        }
        batch.put_worker(id, record, known.map(|(_, entry)| entry.revision));
        Ok(Decision { batch, answer: Registered { id, outcome, token } })
    }

    fn known_by_name(&self, name: &str) -> Option<(WorkerId, WorkerEntry)> {
        let workers = self.index.workers.read();
        let id = workers.find(name)?;
        workers.get(id).cloned().map(|entry| (id, entry))
    }

    pub(super) fn worker_entry(&self, id: WorkerId) -> Result<WorkerEntry, Error> {
        self.index.workers.read().get(id).cloned().ok_or(Error::WorkerNotFound(id))
    }

    /// Whether a worker's heartbeats have stopped. After a start of the server they all have the whole timeout.
    pub(super) fn is_silent(&self, entry: &WorkerEntry, now: Timestamp) -> bool {
        let timeout = self.settings.policy.heartbeat_timeout;
        entry.is_silent(now, timeout) && now.since(self.started) > timeout
    }

    /// Notes a sign of life. One that was offline is online again.
    pub(crate) async fn heartbeat(&self, id: WorkerId, name: &str) -> Result<WorkerView, Error> {
        let entry = self.worker_entry(id)?;
        if entry.record.name != name {
            return Err(Error::WorkerNotFound(id));
        }
        self.beat(id).await?;
        self.worker(id)
    }

    /// The same, of a worker that is known already.
    pub(crate) async fn beat(&self, id: WorkerId) -> Result<(), Error> {
        let now = self.clock.now();
        self.index.workers.write().beat(id, now);
        if self.worker_entry(id)?.record.is_online {
            return Ok(());
        }
        let farm = self.clone();
        self.to_the_end(async move {
            farm.change_worker(id, "a heartbeat", move |record| {
                let is_back = !record.is_online;
                record.is_online = true;
                record.offline_nanos = 0;
                record.heartbeat_nanos = now.nanos();
                let message = format!("worker {:?} beats again", record.name);
                is_back.then_some((LogLevel::Debug, message))
            })
            .await
        })
        .await?;
        Ok(())
    }

    /// Changes a worker's record and logs what `change` says. Nothing is written when it says `None`.
    pub(super) async fn change_worker(
        &self,
        id: WorkerId,
        what: &str,
        change: impl Fn(&mut WorkerRecord) -> Option<(LogLevel, String)>,
    ) -> Result<(), Error> {
        let attempt = || async {
            let entry = self.worker_entry(id)?;
            let mut record = entry.record.clone();
            let mut batch = Batch::default();
            if let Some(entry_of_log) = change(&mut record) {
                batch.log(&self.index, self.clock.now(), entry_of_log, About::Worker(id));
                batch.put_worker(id, record, Some(entry.revision));
            }
            Ok(Decision { batch, answer: () })
        };
        self.decide(format!("worker {} ({what})", id.0), attempt).await?;
        self.sessions.tell(id, Notice::Changed);
        Ok(())
    }

    /// Changes what is set.
    pub(crate) async fn update_worker(&self, id: WorkerId, command: UpdateWorker) -> Result<WorkerView, Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            farm.decide(format!("worker {}", id.0), || ready(farm.try_update_worker(id, &command))).await?;
            farm.sessions.tell(id, Notice::Changed);
            farm.worker(id)
        })
        .await
    }

    fn try_update_worker(&self, id: WorkerId, command: &UpdateWorker) -> Result<Decision<()>, Error> {
        let entry = self.worker_entry(id)?;
        let mut record = entry.record.clone();
        let mut batch = Batch::default();
        if let Some(name) = command.name.as_ref().filter(|name| **name != record.name) {
            if self.index.workers.read().find(name).is_some() {
                return Err(Error::WorkerExists(name.clone()));
            }
            batch.txn.delete(keys::worker_name(&record.name));
            batch.claim_name(name, id);
            record.name.clone_from(name);
        }
        if let Some(worker_type) = command.worker_type {
            record.worker_type = worker_type as i32;
        }
        record.support_vr = command.support_vr.unwrap_or(record.support_vr);
        record.paused = command.paused.unwrap_or(record.paused);
        if let Some(schedule) = &command.schedule {
            record.schedule = Some(schedule.clone());
        }
        if let Some((max_height, codecs, libraries)) = &command.constraints {
            record.max_height = *max_height;
            record.codecs.clone_from(codecs);
            record.libraries.clone_from(libraries);
            record.has_set_constraints = true;
        }
        if let Some(labels) = &command.labels {
            record.labels.clone_from(labels);
            record.has_set_labels = true;
        }
        check_size(&record)?;
        if record != entry.record {
            batch.put_worker(id, record, Some(entry.revision));
        }
        Ok(Decision { batch, answer: () })
    }

    /// Forgets a worker; what it has is failed.
    pub(crate) async fn delete_worker(&self, id: WorkerId) -> Result<(), Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            let attempt = || async {
                let entry = farm.worker_entry(id)?;
                let mut batch = Batch::default();
                batch.txn.delete(keys::worker_name(&entry.record.name));
                batch.note_highest(Table::Worker, farm.index.workers.read().highest());
                let message = format!("worker {:?} deleted", entry.record.name);
                batch.log(&farm.index, farm.clock.now(), (LogLevel::Info, message), About::Worker(id));
                batch.delete_worker(id, entry.revision);
                Ok(Decision { batch, answer: () })
            };
            farm.decide(format!("worker {}", id.0), attempt).await?;
            farm.fail_tasks_of(id, &Cause::WorkerLost(DELETED.to_owned()), &[]).await
        })
        .await
    }

    /// Tells a worker to end once it has finished; with a deadline, to give up what it has by then.
    pub(crate) async fn set_offline(
        &self,
        id: WorkerId,
        action: OfflineAction,
        deadline: Option<std::time::Duration>,
    ) -> Result<(), Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            let until = deadline.map(|deadline| farm.clock.now().plus(deadline));
            farm.change_worker(id, "an offline command", move |record| {
                record.offline_action = action as i32;
                record.drain_deadline_nanos = until.map_or(0, Timestamp::nanos);
                Some((LogLevel::Info, format!("worker {:?} is told to go ({})", record.name, action.as_str_name())))
            })
            .await
        })
        .await
    }

    /// Takes that back.
    pub(crate) async fn cancel_offline(&self, id: WorkerId) -> Result<(), Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            farm.change_worker(id, "the end of an offline command", |record| {
                let is_pending = record.offline_action != OfflineAction::Unspecified as i32;
                record.offline_action = OfflineAction::Unspecified as i32;
                record.drain_deadline_nanos = 0;
                is_pending.then(|| (LogLevel::Info, format!("worker {:?} need not go", record.name)))
            })
            .await
        })
        .await
    }

    /// Marks a worker whose heartbeats have stopped as offline. Says whether it is: it may have spoken meanwhile.
    pub(super) async fn put_silent(&self, id: WorkerId) -> Result<bool, Error> {
        let attempt = || async {
            let mut batch = Batch::default();
            let Ok(entry) = self.worker_entry(id) else { return Ok(Decision { batch, answer: false }) };
            let now = self.clock.now();
            if !entry.record.is_online || !self.is_silent(&entry, now) {
                return Ok(Decision { batch, answer: false });
            }
            let mut record = entry.record;
            record.is_online = false;
            record.offline_nanos = now.nanos();
            let message = format!("worker {:?} is offline: its heartbeats have stopped", record.name);
            batch.log(&self.index, now, (LogLevel::Debug, message), About::Worker(id));
            batch.put_worker(id, record, Some(entry.revision));
            Ok(Decision { batch, answer: true })
        };
        Ok(self.decide(format!("worker {} (its silence)", id.0), attempt).await?.0)
    }

    /// Marks a worker as offline, with the reason for the log.
    pub(super) async fn put_offline(&self, id: WorkerId, level: LogLevel, reason: &'static str) -> Result<(), Error> {
        let now = self.clock.now();
        self.change_worker(id, "its end", move |record| {
            let was_online = record.is_online;
            record.is_online = false;
            record.offline_nanos = now.nanos();
            was_online.then(|| (level, format!("worker {:?} is offline: {reason}", record.name)))
        })
        .await
    }

    /// A worker said goodbye. With tasks left, its silence counts from now on; else it is offline at once.
    pub(crate) async fn has_left(&self, id: WorkerId) -> Result<(), Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            if farm.index.tasks.read().of_worker(id).is_empty() {
                match farm.put_offline(id, LogLevel::Info, "it has ended").await {
                    Ok(()) | Err(Error::WorkerNotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
        .await
    }

    /// One worker as it is.
    pub(crate) fn worker(&self, id: WorkerId) -> Result<WorkerView, Error> {
        let entry = self.worker_entry(id)?;
        Ok(self.view(id, &entry, self.clock.now()))
    }

    /// All workers, by id.
    pub(crate) fn all_workers(&self) -> Vec<WorkerView> {
        let now = self.clock.now();
        let entries: Vec<(WorkerId, WorkerEntry)> =
            self.index.workers.read().iter().map(|(id, entry)| (id, entry.clone())).collect();
        entries.iter().map(|(id, entry)| self.view(*id, entry, now)).collect()
    }

    fn view(&self, id: WorkerId, entry: &WorkerEntry, now: Timestamp) -> WorkerView {
        let tasks = self.index.tasks.read();
        WorkerView {
            id,
            record: entry.record.clone(),
            heartbeat: entry.heartbeat,
            is_offline: !entry.record.is_online || self.is_silent(entry, now),
            tasks: tasks.of_worker(id).into_iter().filter_map(|task| tasks.uuid(task)).collect(),
        }
    }

    /// When a worker's tasks are taken from it, while it drains.
    pub(crate) fn drain_deadline(record: &WorkerRecord) -> Option<Timestamp> {
        time(record.drain_deadline_nanos)
    }
}

/// What a worker says of itself has to fit into a record, also with what the farm adds.
fn check_size(record: &WorkerRecord) -> Result<(), Error> {
    let bytes = record.encoded_len();
    if bytes <= MAX_VALUE_BYTES - ROOM_IN_RECORD {
        return Ok(());
    }
    let problem =
        format!("takes {bytes} bytes with the labels, constraints and windows of the worker; that is too much");
    Err(Error::Invalid { field: "worker_name", problem })
}

/// 16 random bytes from the operating system, in the form of a UUID v4.
pub(super) fn random() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}

//! Tasks as they stand: reading, listing, switching on and off, deleting.

use std::time::Duration;

use futures::StreamExt as _;
use prost::Message as _;
use steward_proto::replication::v1::{Config, ExecutionStatus, ReplicaType, Task};
use steward_proto::store::v1::{DeletedReplicaTaskRecord, ExecutionRecord, ReplicaTaskRecord};

use super::error::Error;
use super::parts::Replication;
use super::queue::TaskId;
use super::task_check::type_of;
use super::task_validate::Plan;
use super::{keys, pieces};
use crate::auth::Grants;
use crate::auth::rights::{Area, Right};
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Table};

/// How often a task is read again that is changed meanwhile.
const READ_ATTEMPTS: u32 = 20;
/// How long a deletion waits for a run to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// A page of tasks.
pub(super) struct TaskPage {
    pub(super) tasks: Vec<Task>,
    pub(super) total: usize,
    /// Behind which key the next page starts.
    pub(super) next: Option<Key>,
}

impl Replication {
    /// The record of a task.
    pub(super) async fn task_record(&self, task: &TaskId) -> Result<Option<ReplicaTaskRecord>, Error> {
        Ok(tx::read(&*self.store, &task.key()).await?)
    }

    /// A task, and what it is to do, which fit to each other. The config is without its password and without what the
    /// record alone says.
    pub(super) async fn task_and_config(&self, task: &TaskId) -> Result<Option<(ReplicaTaskRecord, Config)>, Error> {
        for _ in 0..READ_ATTEMPTS {
            let Some(record) = self.task_record(task).await? else { return Ok(None) };
            if let Some(config) = self.config_of(&record).await? {
                return Ok(Some((record, config)));
            }
        }
        Err(Error::Internal(format!("what task {:?} is to do cannot be read", task.to_string())))
    }

    /// What the task of this record is to do. Nothing: it was changed meanwhile.
    pub(super) async fn config_of(&self, record: &ReplicaTaskRecord) -> Result<Option<Config>, Error> {
        let content = pieces::read(&*self.store, &keys::config_pieces(&record.config)).await?;
        if Some(content.len()) != config_length(&record.config) {
            return Ok(None);
        }
        Ok(Some(tx::decode(&keys::config_pieces(&record.config), &content)?))
    }

    /// A task as it is shown.
    pub(super) async fn get_task(&self, task: &TaskId) -> Result<Task, Error> {
        let Some((record, config)) = self.task_and_config(task).await? else { return Err(self.missing(task).await) };
        let shown = self.shown(record, config).await?;
        self.store.settled().await?;
        Ok(shown)
    }

    /// Why a task is not there: its repository is not, or it alone.
    pub(super) async fn missing(&self, task: &TaskId) -> Error {
        match self.check_repository(&task.project, &task.repository).await {
            Ok(()) => Error::TaskNotFound(task.name.clone()),
            Err(error) => error,
        }
    }

    /// The tasks that may be seen, by project, repository and name. Without a project all, without a repository those of the project.
    pub(super) async fn list_tasks(
        &self,
        project: &str,
        repository: &str,
        after: Option<Key>,
        limit: usize,
        grants: &Grants,
    ) -> Result<TaskPage, Error> {
        let prefix = match (project, repository) {
            ("", "") => Key::table(Table::ReplicaTask),
            ("", _) => return Err(Error::Missing("project")),
            (project, "") => keys::tasks_of_project(project),
            (project, repository) => {
                let place = format!("{project}/{repository}");
                grants.require_within(Area::Replication, Right::Read, &place)?;
                self.check_repository(project, repository).await?;
                keys::tasks_of(project, repository)
            }
        };
        let mut found = tx::scan(&*self.store, KeyRange::prefix(&prefix), usize::MAX).await?;
        if !grants.are_everything() {
            let mut seen = Vec::with_capacity(found.len());
            for (key, value) in found {
                let record: ReplicaTaskRecord = tx::decode(&key, &value)?;
                if TaskId::of(&record).is_seen(grants) {
                    seen.push((key, value));
                }
            }
            found = seen;
        }
        let mut page = TaskPage { tasks: Vec::new(), total: found.len(), next: None };
        let start = after.map_or(0, |after| found.partition_point(|(key, _)| *key <= after));
        let end = found.len().min(start + limit);
        for (key, value) in found.get(start..end).unwrap_or_default() {
            let record: ReplicaTaskRecord = tx::decode(key, value)?;
            // One that was deleted since is left out.
            let Some((record, config)) = self.task_and_config(&TaskId::of(&record)).await? else { continue };
            page.tasks.push(self.shown(record, config).await?);
        }
        if end < found.len() {
            page.next = found.get(end - 1).map(|(key, _)| key.clone());
        }
        self.store.settled().await?;
        Ok(page)
    }

    /// Makes a task run by itself, or not; nothing: what it does not.
    pub(super) async fn toggle_task(&self, task: &TaskId, enabled: Option<bool>) -> Result<Task, Error> {
        if self.task_record(task).await?.is_none() {
            return Err(self.missing(task).await);
        }
        let decided = self.decide("a task", |mut tx| async move {
            let mut record = tx.task(task).await?;
            let enabled = enabled.unwrap_or(!record.enabled);
            if enabled == record.enabled {
                return Ok(tx.answer(()));
            }
            record.enabled = enabled;
            let now_us = self.now_us();
            if enabled && !record.cron.is_empty() && type_of(&record) == Some(ReplicaType::Scheduled) {
                // What was due while it was off was not to be done.
                record.next_us = plan_of(&record).next_us(&self.settings.time_zone, now_us);
            }
            record.modify_us = now_us;
            tx.put(task.key(), &record);
            Ok::<_, Error>(tx.answer(()))
        });
        decided.await?;
        self.get_task(task).await
    }

    /// Deletes a task. A run of it is stopped; what its runs have left is swept later.
    pub(super) async fn delete_task(&self, task: &TaskId) -> Result<(), Error> {
        if self.task_record(task).await?.is_none() {
            return Err(self.missing(task).await);
        }
        self.delete_if(task, |_| Ok(())).await
    }

    /// Deletes a task that runs once; one that is not there is none. One that runs stays.
    pub(super) async fn delete_run_once(&self, task: &TaskId) -> Result<(), Error> {
        if self.task_record(task).await?.is_none() {
            self.check_repository(&task.project, &task.repository).await?;
        }
        let deleted = self.delete_if(task, |record| {
            if type_of(record) != Some(ReplicaType::RunOnce) {
                return Err(Error::NotRunOnce(record.name.clone()));
            }
            if record.active_execution.is_empty() { Ok(()) } else { Err(Error::TaskRunning(record.name.clone())) }
        });
        match deleted.await {
            Err(Error::TaskNotFound(_)) => Ok(()),
            deleted => deleted,
        }
    }

    async fn delete_if(
        &self,
        task: &TaskId,
        allows: impl Fn(&ReplicaTaskRecord) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let allows = &allows;
        let decided = self.decide("a task", |mut tx| async move {
            let record = tx.task(task).await?;
            allows(&record)?;
            let now_us = self.now_us();
            tx.delete(task.key());
            tx.delete(keys::task_key(&record.key));
            let deleted = DeletedReplicaTaskRecord { config: record.config, delete_us: now_us };
            tx.put(keys::task_deleted(&record.key), &deleted);
            let stopping = tx.stop(&record.active_execution, now_us).await?;
            Ok(tx.answer(stopping))
        });
        let (stopping, _) = decided.await?;
        if let Some(execution) = stopping {
            self.wake_runner();
            // It would be stopped all the same; a caller who waits knows that nothing is copied any more.
            tokio::select! {
                () = self.execution_stopped(&execution) => {}
                () = tokio::time::sleep(STOP_TIMEOUT) => {}
                () = self.shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Waits until a run is not active any more.
    async fn execution_stopped(&self, id: &str) {
        let key = keys::execution_active(id);
        let mut changes = self.store.watch(key.clone(), self.store.revision());
        while matches!(self.store.get(&key).await, Ok(Some(_))) {
            if !matches!(changes.next().await, Some(Ok(_))) {
                return;
            }
        }
    }

    /// A task and what it is to do, as an answer.
    pub(super) async fn shown(&self, record: ReplicaTaskRecord, mut config: Config) -> Result<Task, Error> {
        config.enabled = Some(record.enabled);
        config.replica_type = record.replica_type;
        let mut last_status = record.last_status;
        if !record.active_execution.is_empty() {
            let execution: Option<ExecutionRecord> =
                tx::read(&*self.store, &keys::execution(&record.active_execution)).await?;
            last_status = execution.map_or(last_status, |execution| execution.status);
        }
        Ok(Task {
            config: Some(config),
            key: record.key,
            last_execution_id: record.last_execution,
            last_status,
            next_time: when(if record.enabled { record.next_us } else { 0 }),
            last_success_time: when(record.last_success_us),
            create_time: when(record.create_us),
            created_by: record.created_by,
            modify_time: when(record.modify_us),
            has_password: !record.sealed_password.is_empty(),
        })
    }
}

impl Tx<'_> {
    /// Stops a run. Nothing: there was none, or it had not begun and is over. Else its id: it will stop.
    async fn stop(&mut self, id: &str, now_us: u64) -> Result<Option<String>, Error> {
        let Some(mut execution) = self.get::<ExecutionRecord>(&keys::execution(id)).await? else { return Ok(None) };
        let is_queued = execution.status == i32::from(ExecutionStatus::Queued);
        execution.cancel = true;
        if is_queued {
            execution.status = ExecutionStatus::Cancelled.into();
            execution.end_us = now_us;
            self.delete(keys::execution_active(id));
        }
        self.put(keys::execution(id), &execution);
        Ok((!is_queued).then(|| id.to_owned()))
    }
}

/// The schedule of a task.
pub(super) fn plan_of(record: &ReplicaTaskRecord) -> Plan {
    Plan { cron: record.cron.clone(), time_zone: record.time_zone.clone(), at_us: record.at_us }
}

/// An id for what a task is to do. It tells how long that is, so that a reader knows whether there is all of it, and when it was
/// written, so that a sweep leaves alone what is about to be used.
pub(super) fn new_config_id(config: &Config, now_us: u64) -> String {
    let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
    format!("{now_us:016x}-{random:016x}-{:x}", config.encoded_len())
}

fn config_length(id: &str) -> Option<usize> {
    usize::from_str_radix(id.rsplit('-').next()?, 16).ok()
}

/// When something was written that has this id, in microseconds since the epoch.
pub(super) fn config_time(id: &str) -> Option<u64> {
    u64::from_str_radix(id.split('-').next()?, 16).ok()
}

/// A time of a record in an answer; 0: there is none.
pub(super) fn when(micros: u64) -> Option<prost_types::Timestamp> {
    let seconds = i64::try_from(micros / 1_000_000).ok()?;
    let nanos = i32::try_from(micros % 1_000_000).ok()? * 1000;
    (micros != 0).then_some(prost_types::Timestamp { seconds, nanos })
}

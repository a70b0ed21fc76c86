//! Queues runs.

use steward_proto::replication::v1::ExecutionStatus;
use steward_proto::store::v1::{ExecutionRecord, ReplicaTaskRecord};
use uuid::Uuid;

use super::error::Error;
use super::keys;
use super::parts::Replication;
use crate::store::Step;
use crate::store::tx::Tx;

/// Names a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TaskId {
    pub(super) project: String,
    pub(super) repository: String,
    pub(super) name: String,
}

impl std::fmt::Display for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.project, self.repository, self.name)
    }
}

/// What makes a task run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Somebody wants it.
    Manual,
    /// Its schedule.
    Schedule {
        /// The time that it was due.
        tick_us: u64,
    },
    /// Something has changed.
    Change {
        /// Behind which stamp.
        from_stamp: u64,
        /// Up to which one.
        to_stamp: u64,
    },
    /// An earlier run has left something.
    Resume {
        /// The earlier run.
        of: String,
    },
}

impl Replication {
    /// Queues a run of a task. Of a task one run is queued or under way at a time.
    pub(super) async fn queue_execution(&self, task: &TaskId, cause: Cause) -> Result<ExecutionRecord, Error> {
        let (now_us, random) = (self.now_us(), Uuid::new_v4().simple().to_string());
        let id = format!("{:08x}{}", (now_us / 1_000_000) & 0xffff_ffff, &random[..16]);
        let queue = self.decide(task, |tx| queue(tx, task, &cause, &id, now_us));
        let (record, _) = queue.await?;
        self.executions.notify_one();
        Ok(record)
    }
}

async fn queue(
    mut tx: Tx<'_>,
    task: &TaskId,
    cause: &Cause,
    id: &str,
    now_us: u64,
) -> Result<Step<ExecutionRecord>, Error> {
    let key = keys::task(&task.project, &task.repository, &task.name);
    let Some(mut head) = tx.get::<ReplicaTaskRecord>(&key).await? else {
        return Err(Error::TaskNotFound(task.name.clone()));
    };
    if !head.active_execution.is_empty() {
        return Err(Error::TaskRunning(task.name.clone()));
    }
    if !head.enabled {
        return Err(Error::TaskDisabled(task.name.clone()));
    }
    let (trigger, from_stamp, to_stamp, resume_of) = match cause {
        Cause::Manual => ("manual", 0, 0, String::new()),
        Cause::Schedule { .. } => ("schedule", 0, 0, String::new()),
        Cause::Change { from_stamp, to_stamp } => ("change", *from_stamp, *to_stamp, String::new()),
        Cause::Resume { of } => ("resume", 0, 0, of.clone()),
    };
    let record = ExecutionRecord {
        id: id.to_owned(),
        task_key: head.key.clone(),
        project: task.project.clone(),
        repository: task.repository.clone(),
        name: task.name.clone(),
        status: ExecutionStatus::Queued.into(),
        start_us: now_us,
        trigger: trigger.to_owned(),
        from_stamp,
        to_stamp,
        resume_of,
        ..ExecutionRecord::default()
    };
    id.clone_into(&mut head.active_execution);
    id.clone_into(&mut head.last_execution);
    head.last_status = ExecutionStatus::Queued.into();
    tx.put(key, &head);
    tx.put(keys::execution(id), &record);
    tx.put_bytes(keys::execution_time(&head.key, now_us, id), Vec::new());
    tx.put_bytes(keys::execution_active(id), Vec::new());
    Ok(tx.answer(record))
}

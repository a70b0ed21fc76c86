//! Queues runs: one of a task at a time.

use steward_proto::replication::v1::ExecutionStatus;
use steward_proto::store::v1::{ExecutionRecord, ReplicaTaskRecord};

use super::error::Error;
use super::keys;
use super::parts::Replication;
use crate::store::tx::Tx;

/// Which task.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TaskId {
    pub(super) project: String,
    pub(super) repository: String,
    pub(super) name: String,
}

/// What makes a task run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Somebody.
    Manual,
    /// Its schedule, which was due at this time.
    Schedule { tick_us: u64 },
    /// Changes behind one stamp up to another.
    Change { from_stamp: u64, to_stamp: u64 },
    /// Changes that are no longer known, so it is for everything. All up to this stamp have been committed, so that it
    /// finds them; whatever comes behind is for the next run.
    Everything { to_stamp: u64 },
    /// Somebody, who wants that done which another run has left; the stamps are those of that run.
    Resume { of: String, from_stamp: u64, to_stamp: u64 },
}

impl TaskId {
    /// The task of a record.
    pub(super) fn of(record: &ReplicaTaskRecord) -> Self {
        TaskId { project: record.project.clone(), repository: record.repository.clone(), name: record.name.clone() }
    }

    /// The task of a run.
    pub(super) fn of_run(run: &ExecutionRecord) -> Self {
        TaskId { project: run.project.clone(), repository: run.repository.clone(), name: run.name.clone() }
    }

    pub(super) fn key(&self) -> crate::store::Key {
        keys::task(&self.project, &self.repository, &self.name)
    }
}

/// The name that it has on the whole server.
impl std::fmt::Display for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.project, self.repository, self.name)
    }
}

impl Cause {
    fn word(&self) -> &'static str {
        match self {
            Cause::Manual => "manual",
            Cause::Schedule { .. } => "schedule",
            Cause::Change { .. } | Cause::Everything { .. } => "change",
            Cause::Resume { .. } => "resume",
        }
    }
}

impl Replication {
    /// Queues a run of a task that is enabled and does not run. Durable when it returns.
    pub(super) async fn queue_execution(&self, task: &TaskId, cause: Cause) -> Result<ExecutionRecord, Error> {
        let (id, cause) = (&self.new_execution_id(), &cause);
        let decided = self.decide("a task", |mut tx| async move {
            let mut record = tx.task(task).await?;
            if !record.active_execution.is_empty() {
                return Err(Error::TaskRunning(record.name));
            }
            if !record.enabled {
                return Err(Error::TaskDisabled(record.name));
            }
            let execution = tx.queue(&mut record, cause, id, self.now_us());
            tx.put(task.key(), &record);
            Ok(tx.answer(execution))
        });
        let (execution, _) = decided.await?;
        self.wake_runner();
        Ok(execution)
    }

    /// A new id: it grows with time, as far as its first eight digits tell that.
    pub(super) fn new_execution_id(&self) -> String {
        let seconds = self.now_us() / 1_000_000 % (1 << 32);
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        format!("{seconds:08x}{random:016x}")
    }

    /// Says to whoever does runs that there is one more, or that one is to stop.
    pub(super) fn wake_runner(&self) {
        self.executions.notify_waiters();
        // Who is about to wait finds this.
        self.executions.notify_one();
    }
}

impl Tx<'_> {
    /// A task that is there.
    pub(super) async fn task(&mut self, task: &TaskId) -> Result<ReplicaTaskRecord, Error> {
        let record = self.get(&task.key()).await?;
        record.ok_or_else(|| Error::TaskNotFound(task.name.clone()))
    }

    /// Writes a run that is queued, and notes in the record of its task, which is still to be put, that it is there.
    pub(super) fn queue(
        &mut self,
        task: &mut ReplicaTaskRecord,
        cause: &Cause,
        id: &str,
        now_us: u64,
    ) -> ExecutionRecord {
        let mut execution = ExecutionRecord {
            id: id.to_owned(),
            task_key: task.key.clone(),
            project: task.project.clone(),
            repository: task.repository.clone(),
            name: task.name.clone(),
            status: ExecutionStatus::Queued.into(),
            start_us: now_us,
            trigger: cause.word().to_owned(),
            ..ExecutionRecord::default()
        };
        match cause {
            Cause::Manual | Cause::Schedule { .. } => {}
            Cause::Change { from_stamp, to_stamp } => {
                (execution.from_stamp, execution.to_stamp) = (*from_stamp, *to_stamp);
                // They are taken up, whatever becomes of the run.
                task.change_stamp = task.change_stamp.max(*to_stamp);
            }
            Cause::Everything { to_stamp } => task.change_stamp = task.change_stamp.max(*to_stamp),
            Cause::Resume { of, from_stamp, to_stamp } => {
                execution.resume_of.clone_from(of);
                (execution.from_stamp, execution.to_stamp) = (*from_stamp, *to_stamp);
            }
        }
        task.active_execution.clone_from(&execution.id);
        task.last_execution.clone_from(&execution.id);
        self.put(keys::execution(id), &execution);
        self.put_bytes(keys::execution_time(&task.key, now_us, id), Vec::new());
        self.put_bytes(keys::execution_active(id), Vec::new());
        execution
    }
}

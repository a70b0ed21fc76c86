//! Stops runs, and goes on with what they have left.

use steward_proto::replication::v1::ExecutionStatus;
use steward_proto::store::v1::ExecutionRecord;

use super::error::Error;
use super::keys;
use super::parts::Replication;
use super::progress::Halt;
use super::queue::{Cause, TaskId};
use super::retention::read_run;
use super::run_log::{has_ended, status};
use super::runner::end_record;
use crate::store::Step;
use crate::store::tx::Tx;

impl Replication {
    /// Stops a run: one that waits has ended at once, one that is under way ends within a second.
    pub(super) async fn cancel_execution(&self, id: &str) -> Result<ExecutionRecord, Error> {
        read_run(self, id).await?;
        let now_us = self.now_us();
        let (record, _) = self.decide(id, |tx| cancel(tx, id, now_us)).await?;
        if let Some(live) = self.runs.of(id) {
            live.stop(Halt::Cancelled);
        }
        self.executions.notify_one();
        Ok(record)
    }

    /// Queues a run that does what another one has left.
    pub(super) async fn resume_execution(&self, id: &str) -> Result<ExecutionRecord, Error> {
        let record = read_run(self, id).await?;
        match status(&record) {
            ExecutionStatus::Failed | ExecutionStatus::Cancelled => {}
            ExecutionStatus::Unspecified
            | ExecutionStatus::Queued
            | ExecutionStatus::Running
            | ExecutionStatus::Success => return Err(Error::NotResumable(id.to_owned())),
        }
        let (from_stamp, to_stamp) = (record.from_stamp, record.to_stamp);
        let task = TaskId::of_run(&record);
        self.queue_execution(&task, Cause::Resume { of: id.to_owned(), from_stamp, to_stamp }).await
    }
}

async fn cancel(mut tx: Tx<'_>, id: &str, now_us: u64) -> Result<Step<ExecutionRecord>, Error> {
    let key = keys::execution(id);
    let Some(mut record) = tx.get::<ExecutionRecord>(&key).await? else {
        return Err(Error::ExecutionNotFound(id.to_owned()));
    };
    if has_ended(&record) {
        return Err(Error::ExecutionEnded(id.to_owned()));
    }
    record.cancel = true;
    if status(&record) == ExecutionStatus::Queued {
        record.status = ExecutionStatus::Cancelled.into();
        record.end_us = now_us;
        end_record(&mut tx, record.clone(), true, now_us).await?;
    } else {
        tx.put(key, &record);
    }
    Ok(tx.answer(record))
}

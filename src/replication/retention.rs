//! Forgets runs that ended long ago, and uploads that nobody goes on with.

use std::time::Duration;

use async_trait::async_trait;
use steward_proto::store::v1::{ExecutionRecord, ReplicaTaskKeyRecord, ReplicaTaskRecord};

use super::deletes::run_place;
use super::error::Error;
use super::keys;
use super::parts::Replication;
use super::run_log::has_ended;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::key::Table;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Step};

/// How often it looks.
const INTERVAL: Duration = Duration::from_mins(10);
/// How many runs it looks at together.
const RUNS_AT_ONCE: usize = 256;

/// Forgets what is old.
pub(super) struct Retention {
    replication: Replication,
}

impl Retention {
    pub(super) fn new(replication: &Replication) -> Self {
        Retention { replication: replication.clone() }
    }
}

#[async_trait]
impl Engine for Retention {
    type Error = Error;

    fn name(&self) -> &'static str {
        "replication-retention"
    }

    fn wakes_on(&self) -> Key {
        // Nothing is urgent: it looks now and then.
        Key::table(Table::ReplicaDeletedExecution)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        self.replication.forget_old_runs().await?;
        self.replication.sweep_sessions().await?;
        Ok(Some(self.replication.clock.now().plus(INTERVAL)))
    }
}

impl Replication {
    /// Forgets the runs that ended too long ago, but for the latest one of each task.
    pub(super) async fn forget_old_runs(&self) -> Result<(), Error> {
        let retention = u64::try_from(self.settings.execution_retention.as_micros()).unwrap_or(u64::MAX);
        let before_us = self.now_us().saturating_sub(retention);
        let mut range = KeyRange::prefix(&Key::table(Table::ReplicaExecutionTime));
        loop {
            let page = self.store.scan(range.clone(), RUNS_AT_ONCE).await?;
            for (key, _) in &page.records {
                // One that was queued later has not ended earlier.
                if let Some((start_us, id)) = run_place(key)
                    && start_us < before_us
                {
                    self.decide(&id, |tx| forget(tx, key, &id, before_us)).await?;
                }
            }
            let last = page.records.last().map(|(key, _)| key.clone());
            let Some(last) = last.filter(|_| page.has_more) else { return Ok(()) };
            range = range.after(&last);
        }
    }
}

/// Forgets a run: its results and its log are swept later.
async fn forget(mut tx: Tx<'_>, place: &Key, id: &str, before_us: u64) -> Result<Step<()>, Error> {
    let record: Option<ExecutionRecord> = tx.get(&keys::execution(id)).await?;
    if let Some(record) = &record {
        if !has_ended(record) || record.end_us >= before_us {
            return Ok(tx.answer(()));
        }
        let task: Option<ReplicaTaskKeyRecord> = tx.stored(&keys::task_key(&record.task_key)).await?;
        if let Some(task) = task {
            let head: Option<ReplicaTaskRecord> =
                tx.get(&keys::task(&task.project, &task.repository, &task.name)).await?;
            if head.is_some_and(|head| head.last_execution == id) {
                return Ok(tx.answer(()));
            }
        }
        tx.delete(keys::execution(id));
        tx.put_bytes(keys::execution_deleted(id), Vec::new());
    }
    tx.delete(place.clone());
    Ok(tx.answer(()))
}

/// The record of a run by id.
pub(super) async fn read_run(replication: &Replication, id: &str) -> Result<ExecutionRecord, Error> {
    let is_id = id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let record = if is_id { tx::read(&*replication.store, &keys::execution(id)).await? } else { None };
    record.ok_or_else(|| Error::ExecutionNotFound(id[..id.floor_char_boundary(64)].to_owned()))
}

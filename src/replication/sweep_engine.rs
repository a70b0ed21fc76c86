//! Removes what deleted tasks and runs have left, some at a time, and what tasks were to do that nothing refers to.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use steward_proto::store::v1::{DeletedReplicaTaskRecord, ReplicaTaskRecord};

use super::error::Error;
use super::parts::Replication;
use super::schedule_engine::time_of;
use super::tasks::config_time;
use super::{keys, pieces};
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::key::KeyReader;
use crate::store::tx;
use crate::store::{Key, KeyRange, Table};

/// How many records one commit removes.
const AT_A_TIME: usize = 90;
/// How long a run of a deleted task may take to stop. One that takes longer finds that its record is gone.
const STOP_WITHIN: Duration = Duration::from_mins(1);
/// How often a run is looked at that has not stopped yet.
const LOOK_AGAIN_AFTER_US: u64 = 5 * 1_000_000;
/// How long what a task is to do may wait to be referred to.
const UNUSED_AFTER_US: u64 = 60 * 60 * 1_000_000;
/// How often what nothing refers to is looked for.
const UNUSED_EVERY_US: u64 = 24 * 60 * 60 * 1_000_000;

/// Removes what deleted tasks and runs have left.
pub(super) struct SweepEngine {
    replication: Replication,
    unused_due_us: u64,
}

impl SweepEngine {
    pub(super) fn new(replication: Replication) -> Self {
        SweepEngine { replication, unused_due_us: 0 }
    }
}

#[async_trait]
impl Engine for SweepEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "replication_sweep"
    }

    fn wakes_on(&self) -> Key {
        Key::table(Table::ReplicaDeletedExecution)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let replication = &self.replication;
        let now_us = replication.now_us();
        if self.unused_due_us <= now_us {
            replication.sweep_unused_configs().await?;
            self.unused_due_us = now_us + UNUSED_EVERY_US;
        }
        let mut next = self.unused_due_us;
        let all = KeyRange::prefix(&Key::table(Table::ReplicaDeletedExecution));
        for (key, value) in tx::scan(&*replication.store, all, usize::MAX).await? {
            let Some(id) = pieces::text_of(&key) else { continue };
            if key == keys::task_deleted(&id) && !value.is_empty() {
                let deleted: DeletedReplicaTaskRecord = tx::decode(&key, &value)?;
                if !replication.sweep_task(&id, &deleted).await? {
                    next = next.min(now_us + LOOK_AGAIN_AFTER_US);
                }
            } else {
                replication.sweep_execution(&id).await?;
            }
        }
        Ok(Some(time_of(next)))
    }
}

impl Replication {
    /// Removes all that is left of a task. `false`: a run of it has not stopped yet.
    async fn sweep_task(&self, task_key: &str, deleted: &DeletedReplicaTaskRecord) -> Result<bool, Error> {
        let patience = u64::try_from(STOP_WITHIN.as_micros()).unwrap_or(u64::MAX);
        let is_over = self.now_us() >= deleted.delete_us.saturating_add(patience);
        let mut is_done = true;
        let runs = KeyRange::prefix(&keys::executions_of(task_key));
        for (key, _) in tx::scan(&*self.store, runs, usize::MAX).await? {
            let Some(id) = execution_of(&key) else { continue };
            let is_active = self.store.get(&keys::execution_active(&id)).await?.is_some();
            if is_active && !is_over {
                is_done = false;
                continue;
            }
            self.sweep_execution(&id).await?;
            self.remove(vec![key]).await?;
        }
        if is_done {
            self.remove_all(&keys::blob_sessions_of(task_key)).await?;
            self.remove_config(&deleted.config).await?;
            self.remove(vec![keys::task_deleted(task_key)]).await?;
        }
        Ok(is_done)
    }

    /// Removes a run, its results and its log.
    async fn sweep_execution(&self, id: &str) -> Result<(), Error> {
        // The run itself first: whoever may still be at work on it finds out before it writes more.
        self.remove(vec![keys::execution(id), keys::execution_active(id)]).await?;
        self.remove_all(&keys::results_of(id)).await?;
        self.remove_all(&keys::log_of(id)).await?;
        self.remove(vec![keys::execution_deleted(id)]).await
    }

    async fn remove_all(&self, prefix: &Key) -> Result<(), Error> {
        loop {
            let some = tx::scan(&*self.store, KeyRange::prefix(prefix), AT_A_TIME).await?;
            if some.is_empty() {
                return Ok(());
            }
            self.remove(some.into_iter().map(|(key, _)| key).collect()).await?;
        }
    }

    /// Removes records, as far as they are there.
    pub(super) async fn remove(&self, keys: Vec<Key>) -> Result<(), Error> {
        let keys = &keys;
        let decided = self.decide("what is swept", |mut tx| async move {
            for key in keys {
                // What is not there needs no commit.
                if tx.bytes(key).await?.is_some() {
                    tx.delete(key.clone());
                }
            }
            Ok::<_, Error>(tx.answer(()))
        });
        decided.await.map(|_| ())
    }

    /// Removes what tasks were to do before they were changed, or were to be and never became, after crashes.
    async fn sweep_unused_configs(&self) -> Result<(), Error> {
        let before_us = self.now_us().saturating_sub(UNUSED_AFTER_US);
        let mut old = HashSet::new();
        let mut range = KeyRange::prefix(&Key::table(Table::ReplicaConfig));
        loop {
            let page = self.store.scan(range.clone(), AT_A_TIME).await?;
            for (key, _) in &page.records {
                let id = pieces::text_of(key).filter(|id| config_time(id).is_none_or(|time| time < before_us));
                old.extend(id);
            }
            let Some((last, _)) = page.records.last().filter(|_| page.has_more) else { break };
            range = range.after(last);
        }
        // Read after the configs: what is in use by now was written before, if it is old.
        for (key, value) in self.scan_all(Table::ReplicaTask).await? {
            let record: ReplicaTaskRecord = tx::decode(&key, &value)?;
            old.remove(&record.config);
        }
        for (key, value) in self.scan_all(Table::ReplicaDeletedExecution).await? {
            if !value.is_empty() {
                let record: DeletedReplicaTaskRecord = tx::decode(&key, &value)?;
                old.remove(&record.config);
            }
        }
        for id in old {
            self.remove_config(&id).await?;
        }
        Ok(())
    }

    async fn scan_all(&self, table: Table) -> Result<Vec<(Key, bytes::Bytes)>, Error> {
        Ok(tx::scan(&*self.store, KeyRange::prefix(&Key::table(table)), usize::MAX).await?)
    }
}

/// The id of the run in a key of runs by time.
fn execution_of(key: &Key) -> Option<String> {
    let mut reader = KeyReader::new(key);
    reader.text()?;
    reader.number()?;
    reader.text()
}

//! Forgets runs that ended long ago, and uploads that nobody goes on with.

use std::collections::HashMap;
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
use crate::store::key::{KeyReader, Table};
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Step};

/// How often it looks.
const INTERVAL: Duration = Duration::from_mins(10);
/// How many runs of a task are kept, but for tasks that delete: what they have copied is known by their runs.
const MOST_RUNS: u64 = 10_000;
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
    /// Forgets the runs that ended too long ago, or are too many, but for the latest one of each task.
    pub(super) async fn forget_old_runs(&self) -> Result<(), Error> {
        self.forget_runs(MOST_RUNS).await
    }

    async fn forget_runs(&self, most: u64) -> Result<(), Error> {
        let retention = u64::try_from(self.settings.execution_retention.as_micros()).unwrap_or(u64::MAX);
        let before_us = self.now_us().saturating_sub(retention);
        // The keys are in the order of tasks, and of times.
        let mut counts = self.runs_by_task().await?;
        let mut range = KeyRange::prefix(&Key::table(Table::ReplicaExecutionTime));
        loop {
            let page = self.store.scan(range.clone(), RUNS_AT_ONCE).await?;
            for (key, _) in &page.records {
                let left = task_of(key).and_then(|task| counts.get_mut(&task));
                let is_surplus = left.is_some_and(|left| {
                    *left = left.saturating_sub(1);
                    *left >= most
                });
                // One that was queued later has not ended earlier.
                if let Some((start_us, id)) = run_place(key)
                    && (is_surplus || start_us < before_us)
                {
                    self.decide(&id, |tx| forget(tx, key, &id, before_us, is_surplus)).await?;
                }
            }
            let last = page.records.last().map(|(key, _)| key.clone());
            let Some(last) = last.filter(|_| page.has_more) else { return Ok(()) };
            range = range.after(&last);
        }
    }

    async fn runs_by_task(&self) -> Result<HashMap<String, u64>, Error> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        let mut range = KeyRange::prefix(&Key::table(Table::ReplicaExecutionTime));
        loop {
            let page = self.store.scan(range.clone(), RUNS_AT_ONCE).await?;
            for task in page.records.iter().filter_map(|(key, _)| task_of(key)) {
                *counts.entry(task).or_default() += 1;
            }
            let last = page.records.last().map(|(key, _)| key.clone());
            let Some(last) = last.filter(|_| page.has_more) else { return Ok(counts) };
            range = range.after(&last);
        }
    }
}

/// The task of a run, from its key in the order of times.
fn task_of(key: &Key) -> Option<String> {
    KeyReader::new(key).text()
}

/// Forgets a run: its results and its log are swept later.
async fn forget(mut tx: Tx<'_>, place: &Key, id: &str, before_us: u64, is_surplus: bool) -> Result<Step<()>, Error> {
    let record: Option<ExecutionRecord> = tx.get(&keys::execution(id)).await?;
    if let Some(record) = &record {
        let is_old = record.end_us < before_us;
        if !has_ended(record) || !(is_old || is_surplus) {
            return Ok(tx.answer(()));
        }
        let task: Option<ReplicaTaskKeyRecord> = tx.stored(&keys::task_key(&record.task_key)).await?;
        if let Some(task) = task {
            let head: Option<ReplicaTaskRecord> =
                tx.get(&keys::task(&task.project, &task.repository, &task.name)).await?;
            if head.is_some_and(|head| head.last_execution == id || (!is_old && head.follows_deletes)) {
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

#[cfg(test)]
mod tests {
    use crate::replication::queue::Cause;
    use crate::replication::testing::{TASK_KEY, World, config};

    #[tokio::test]
    async fn of_runs_that_are_too_many_the_newest_stay() {
        let world = World::new();
        let digest = world.artifacts.image("app", &[b"layer"]);
        world.artifacts.tag("app", "1", &digest);
        let (task, server) = (world.task(config()).await, world.server().start());
        let mut ids = Vec::new();
        for _ in 0..4 {
            let id = server.queue(&task, Cause::Manual).await;
            world.wait_for_end(&id).await;
            ids.push(id);
        }
        server.replication.forget_runs(2).await.expect("forgotten");
        assert_eq!(server.replication.runs_of(TASK_KEY).await.expect("runs"), ids[2..]);
        server.stop().await;
    }
}

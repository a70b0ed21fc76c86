//! The loop that removes what is too old, or too much, of the log and of ended tasks. It removes a part at a time, beside
//! everything else.

use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;

use super::batch::Batch;
use super::error::Error;
use super::farm::{Decision, Farm};
use super::model::{LogId, TaskId, is_in_progress};
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::{Key, Table};

/// Records that one commit removes.
const IN_ONE_COMMIT: usize = 90;
/// Records that one activation removes; then others have their turn.
const IN_ONE_ACTIVATION: usize = 9_000;

/// Removes old entries and tasks.
#[derive(Debug)]
pub struct RetentionEngine {
    farm: Farm,
    /// Looks for results that nobody goes on with. A library may be on a mount that hangs, so nothing waits for it.
    cleaning: Option<JoinHandle<()>>,
}

impl RetentionEngine {
    /// For this farm.
    pub fn new(farm: Farm) -> Self {
        RetentionEngine { farm, cleaning: None }
    }

    /// Removes results that nobody goes on with, unless the last look for them still runs.
    fn begin_cleaning(&mut self, now: Timestamp) {
        if self.cleaning.as_ref().is_some_and(|cleaning| !cleaning.is_finished()) {
            return;
        }
        let farm = self.farm.clone();
        self.cleaning = Some(self.farm.tasks.spawn(async move {
            tokio::select! {
                () = farm.shutdown.cancelled() => {}
                () = farm.remove_stale_results(now) => {}
            }
        }));
    }
}

#[async_trait]
impl Engine for RetentionEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "transcode_retention"
    }

    // Nothing but time makes things old, so it looks now and then.
    fn wakes_on(&self) -> Key {
        super::keys::sequence(Table::Sequence)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let now = self.farm.clock.now();
        let removed = self.farm.remove_old_logs(now).await? + self.farm.remove_old_tasks(now).await?;
        self.begin_cleaning(now);
        let rest = if removed >= IN_ONE_ACTIVATION { Duration::ZERO } else { self.farm.settings.sweep_interval };
        Ok(Some(self.farm.clock.now().plus(rest)))
    }
}

/// What is before this time is too old.
fn cutoff(now: Timestamp, retention: Duration) -> Option<Timestamp> {
    let nanos = i64::try_from(retention.as_nanos()).unwrap_or(i64::MAX);
    (nanos > 0).then(|| Timestamp::from_nanos(now.nanos().saturating_sub(nanos)))
}

/// How many are too many.
fn excess(count: usize, most: usize) -> usize {
    if most == 0 { 0 } else { count.saturating_sub(most) }
}

impl Farm {
    fn old_logs(&self, now: Timestamp) -> Vec<LogId> {
        let cutoff = cutoff(now, self.settings.log_retention);
        let logs = self.index.logs.read();
        let excess = excess(logs.len(), self.settings.max_logs);
        let is_old = |place: usize, time: Timestamp| place < excess || cutoff.is_some_and(|cutoff| time < cutoff);
        let old = logs.oldest().enumerate().take_while(|(place, (_, time))| is_old(*place, *time));
        old.take(IN_ONE_ACTIVATION).map(|(_, (id, _))| id).collect()
    }

    async fn remove_old_logs(&self, now: Timestamp) -> Result<usize, Error> {
        let old = self.old_logs(now);
        for part in old.chunks(IN_ONE_COMMIT) {
            let attempt = || async {
                let mut batch = Batch::default();
                batch.note_highest(Table::FarmLog, self.index.logs.read().highest());
                for id in part {
                    batch.delete_log(*id);
                }
                Ok(Decision { batch, answer: () })
            };
            self.decide("old entries of the log", attempt).await?;
        }
        Ok(old.len())
    }

    fn old_tasks(&self, now: Timestamp) -> Vec<TaskId> {
        let cutoff = cutoff(now, self.settings.task_retention);
        let tasks = self.index.tasks.read();
        let excess = excess(tasks.len() - tasks.active_count(), self.settings.max_tasks);
        let is_before = |time: Timestamp| cutoff.is_some_and(|cutoff| time < cutoff);
        // What began after the time ended after it.
        let old = tasks.ended().enumerate().take_while(|(place, task)| *place < excess || is_before(task.started));
        let old = old.filter(|(place, task)| *place < excess || is_before(task.at));
        old.take(IN_ONE_ACTIVATION).map(|(_, task)| task.id).collect()
    }

    async fn remove_old_tasks(&self, now: Timestamp) -> Result<usize, Error> {
        let old = self.old_tasks(now);
        for part in old.chunks(IN_ONE_COMMIT) {
            let attempt = || async {
                let mut batch = Batch::default();
                batch.note_highest(Table::Task, self.index.tasks.read().highest());
                for id in part {
                    // Its late worker may have opened it again.
                    if let Some(task) = self.task(*id).await?.filter(|task| !is_in_progress(&task.record)) {
                        batch.delete_task(*id, task.revision);
                    }
                }
                Ok(Decision { batch, answer: () })
            };
            self.decide("old tasks", attempt).await?;
        }
        Ok(old.len())
    }
}

//! Queues the runs of scheduled tasks.
//!
//! A tick is taken and its run queued in one transaction that expects the tick to be still to come, so there is one run for it however
//! often and wherever this is done. Ticks that were missed are made up for by one run. A tick of a task that still runs is left out;
//! a task that runs only once waits for that to end.

use async_trait::async_trait;
use steward_proto::replication::v1::ReplicaType;
use steward_proto::store::v1::ReplicaTaskRecord;

use super::error::Error;
use super::parts::Replication;
use super::queue::{Cause, TaskId};
use super::task_check::type_of;
use super::tasks::plan_of;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::tx;
use crate::store::{Key, KeyRange, Table};

/// Queues the runs of scheduled tasks.
pub(super) struct ScheduleEngine {
    replication: Replication,
}

/// What became of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    Queued,
    /// The task still runs.
    Skipped,
    /// Somebody else was quicker, or the task was changed.
    Gone,
}

impl ScheduleEngine {
    pub(super) fn new(replication: Replication) -> Self {
        ScheduleEngine { replication }
    }
}

#[async_trait]
impl Engine for ScheduleEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        "replication_schedule"
    }

    fn wakes_on(&self) -> Key {
        Key::table(Table::ReplicaTask)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let replication = &self.replication;
        let all = KeyRange::prefix(&Key::table(Table::ReplicaTask));
        let mut next: Option<u64> = None;
        for (key, value) in tx::scan(&*replication.store, all, usize::MAX).await? {
            let mut record: ReplicaTaskRecord = tx::decode(&key, &value)?;
            if is_due(&record, replication.now_us()) {
                record.next_us = match replication.tick(&record).await {
                    Ok(next_us) => next_us,
                    // One task does not hold up the others.
                    Err(error) => {
                        let task = TaskId::of(&record).to_string();
                        tracing::warn!(task, %error, "a task was not queued when it was due");
                        replication.now_us() + 1_000_000
                    }
                };
            }
            if is_waiting(&record) {
                next = Some(next.map_or(record.next_us, |next| next.min(record.next_us)));
            }
        }
        Ok(next.map(time_of))
    }
}

/// Whether a tick is to come. One that waits for a run to end is looked at when that has ended.
fn is_waiting(record: &ReplicaTaskRecord) -> bool {
    let is_held_up = record.cron.is_empty() && !record.active_execution.is_empty();
    record.enabled && record.next_us != 0 && !is_held_up && type_of(record) == Some(ReplicaType::Scheduled)
}

fn is_due(record: &ReplicaTaskRecord, now_us: u64) -> bool {
    is_waiting(record) && record.next_us <= now_us
}

pub(super) fn time_of(micros: u64) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(micros).unwrap_or(i64::MAX).saturating_mul(1000))
}

impl Replication {
    /// Takes the tick that a task is due for. Answers when it is due next; 0: not any more.
    async fn tick(&self, seen: &ReplicaTaskRecord) -> Result<u64, Error> {
        let (task, tick_us, id) = (&TaskId::of(seen), seen.next_us, &self.new_execution_id());
        let decided = self.decide("a task", |mut tx| async move {
            let Some(mut record) = tx.get::<ReplicaTaskRecord>(&task.key()).await? else {
                return Ok(tx.answer((Tick::Gone, 0)));
            };
            let now_us = self.now_us();
            if record.key != seen.key || record.next_us != tick_us || !is_due(&record, now_us) {
                return Ok(tx.answer((Tick::Gone, record.next_us)));
            }
            let plan = plan_of(&record);
            record.next_us = if plan.cron.is_empty() { 0 } else { plan.next_us(&self.settings.time_zone, now_us) };
            let tick = if record.active_execution.is_empty() {
                tx.queue(&mut record, &Cause::Schedule { tick_us }, id, now_us);
                Tick::Queued
            } else {
                Tick::Skipped
            };
            tx.put(task.key(), &record);
            Ok::<_, Error>(tx.answer((tick, record.next_us)))
        });
        let ((tick, next_us), _) = decided.await?;
        match tick {
            Tick::Queued => self.wake_runner(),
            Tick::Skipped => {
                metrics::counter!("steward_replication_ticks_skipped_total").increment(1);
                let running = &seen.active_execution;
                tracing::warn!(%task, running, "a task was due while it still ran: left out");
            }
            Tick::Gone => {}
        }
        Ok(next_us)
    }
}

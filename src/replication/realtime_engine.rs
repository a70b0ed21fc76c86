//! Queues the runs of tasks in real time: when something changes that concerns them.
//!
//! A run is for the changes between two stamps. They are noted as taken up when it is queued, and as undone when it ends
//! otherwise than well, until a run has done them: the next change brings them along, and unless somebody has stopped
//! the run they are tried again some time later.

use async_trait::async_trait;
use steward_proto::artifact::v1::ArtifactChange;
use steward_proto::replication::v1::{ExecutionStatus, ReplicaType};
use steward_proto::store::v1::{ExecutionRecord, ReplicaTaskRecord};

use super::error::Error;
use super::keys;
use super::parts::Replication;
use super::queue::{Cause, TaskId};
use super::schedule_engine::time_of;
use super::task_check::type_of;
use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::store::tx;
use crate::store::{Key, KeyRange, Table};

/// How many pages of changes one run is for at most.
const MOST_PAGES: usize = 50;
/// How far the stamp of a task may stay behind while nothing concerns it, in microseconds.
const STAMP_LAG_US: u64 = 10 * 60 * 1_000_000;
/// How soon to look again when a change has been committed whose stamp, or an earlier one, is still pending.
const SETTLE_US: u64 = 50_000;
/// How soon to look again while stamps are ahead of the clock, as they are for a while after a start: then they do not
/// tell whether one is pending.
const AHEAD_US: u64 = 1_000_000;
/// How often a run that failed is queued again by itself.
const MOST_RETRIES: u64 = 10;
/// How long after its failure that is: this, twice as long with every further failure, an hour at most.
const RETRY_AFTER_US: u64 = 30 * 1_000_000;
const LONGEST_RETRY_US: u64 = 60 * 60 * 1_000_000;

/// Queues the runs of tasks in real time. One is woken by changes of artifacts, one by tasks whose runs have ended.
pub(super) struct RealtimeEngine {
    replication: Replication,
    wakes_on: Table,
}

impl RealtimeEngine {
    /// Woken by changes of artifacts.
    pub(super) fn by_changes(replication: Replication) -> Self {
        RealtimeEngine { replication, wakes_on: Table::ArtifactChange }
    }

    /// Woken by tasks: a run has ended, or one was switched on.
    pub(super) fn by_tasks(replication: Replication) -> Self {
        RealtimeEngine { replication, wakes_on: Table::ReplicaTask }
    }
}

#[async_trait]
impl Engine for RealtimeEngine {
    type Error = Error;

    fn name(&self) -> &'static str {
        match self.wakes_on {
            Table::ReplicaTask => "replication_realtime_tasks",
            _ => "replication_realtime",
        }
    }

    fn wakes_on(&self) -> Key {
        Key::table(self.wakes_on)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let replication = &self.replication;
        let all = KeyRange::prefix(&Key::table(Table::ReplicaTask));
        let mut next: Option<u64> = None;
        for (key, value) in tx::scan(&*replication.store, all, usize::MAX).await? {
            let record: ReplicaTaskRecord = tx::decode(&key, &value)?;
            let is_idle = record.enabled && record.active_execution.is_empty();
            if !is_idle || type_of(&record) != Some(ReplicaType::RealTime) {
                continue;
            }
            let again_us = match replication.follow(&record).await {
                Ok(again_us) => again_us,
                // One task, such as that of a repository that is gone, does not hold up the others.
                Err(
                    Error::RepositoryNotFound(_)
                    | Error::TaskNotFound(_)
                    | Error::TaskRunning(_)
                    | Error::TaskDisabled(_),
                ) => continue,
                Err(Error::ShuttingDown) => return Ok(None),
                Err(error) => {
                    let task = TaskId::of(&record).to_string();
                    tracing::warn!(task, %error, "the changes for a task cannot be followed");
                    replication.now_us() + RETRY_AFTER_US
                }
            };
            next = Some(next.map_or(again_us, |next| next.min(again_us)));
        }
        Ok(next.map(time_of))
    }
}

/// The changes behind a stamp, as far as they concern a task.
enum Changes {
    /// Some do, up to this stamp.
    Some(u64),
    /// None does up to this stamp. There may be more behind it.
    None { to_stamp: u64, has_more: bool },
    /// They are no longer all kept.
    Forgotten,
}

impl Replication {
    /// Queues a run of a task that does not run, if changes concern it or its last run failed. Answers when to look again.
    async fn follow(&self, record: &ReplicaTaskRecord) -> Result<u64, Error> {
        let (task, now_us) = (TaskId::of(record), self.now_us());
        let changes = self.changes_for(&task, record).await?;
        let retry_us = self.retry_at(record).await?;
        let is_for_all = record.undone_all;
        let is_ahead = matches!(changes, Changes::None { to_stamp, .. } if to_stamp > self.now_us());
        // What earlier runs have not done is done with what has changed since.
        let from_stamp = record.undone_stamp.map_or(record.change_stamp, |undone| undone.min(record.change_stamp));
        let cause = match changes {
            Changes::Forgotten => match self.settled_stamp(&task).await? {
                Some(to_stamp) => Cause::Everything { to_stamp },
                // A change that is about to be committed would be neither in this run nor known to the next one.
                None => return Ok(now_us + SETTLE_US),
            },
            Changes::Some(to_stamp) if is_for_all => Cause::Everything { to_stamp },
            Changes::Some(to_stamp) => Cause::Change { from_stamp, to_stamp },
            Changes::None { to_stamp, has_more: true } => {
                self.advance(&task, record, to_stamp).await?;
                return Ok(now_us);
            }
            // Nothing wakes this engine when a stamp is no longer pending: the commit is what has woken it.
            Changes::None { to_stamp, has_more: false }
                if to_stamp < now_us && retry_us.is_none_or(|retry_us| retry_us > now_us) =>
            {
                return Ok(now_us + SETTLE_US);
            }
            Changes::None { to_stamp, has_more: false } => match retry_us {
                Some(retry_us) if retry_us <= now_us && is_for_all => Cause::Everything { to_stamp },
                Some(retry_us) if retry_us <= now_us => Cause::Change { from_stamp, to_stamp },
                Some(_) | None if is_ahead => return Ok(now_us + AHEAD_US),
                Some(retry_us) => return Ok(retry_us.min(now_us + STAMP_LAG_US)),
                None => {
                    if to_stamp > record.change_stamp.saturating_add(STAMP_LAG_US) {
                        self.advance(&task, record, to_stamp).await?;
                    }
                    return Ok(now_us + STAMP_LAG_US);
                }
            },
        };
        self.queue_execution(&task, cause).await?;
        Ok(now_us + STAMP_LAG_US)
    }

    /// When what is undone of a task is queued again by itself. Nothing: there is nothing, it has failed too often, or
    /// somebody has stopped its last run.
    async fn retry_at(&self, record: &ReplicaTaskRecord) -> Result<Option<u64>, Error> {
        let is_undone = record.undone_all || record.undone_stamp.is_some();
        let was_stopped = record.last_status == i32::from(ExecutionStatus::Cancelled);
        if !is_undone || was_stopped || record.failures > MOST_RETRIES {
            return Ok(None);
        }
        let last: Option<ExecutionRecord> = tx::read(&*self.store, &keys::execution(&record.last_execution)).await?;
        let ended_us = last.map_or(record.change_stamp, |last| last.end_us);
        let wait_us = RETRY_AFTER_US << record.failures.saturating_sub(1).min(16);
        Ok(Some(ended_us.saturating_add(wait_us.min(LONGEST_RETRY_US))))
    }

    async fn changes_for(&self, task: &TaskId, record: &ReplicaTaskRecord) -> Result<Changes, Error> {
        let (mut stamp, mut is_concerned, mut has_more) = (record.change_stamp, false, true);
        for _ in 0..MOST_PAGES {
            let Some(page) = self.changes_after(task, stamp).await? else { return Ok(Changes::Forgotten) };
            is_concerned |= page.changes.iter().any(|change| concerns(change, record));
            stamp = u64::try_from(page.last_stamp).unwrap_or(0).max(stamp);
            has_more = page.has_more;
            if !has_more {
                break;
            }
        }
        Ok(if is_concerned { Changes::Some(stamp) } else { Changes::None { to_stamp: stamp, has_more } })
    }

    /// Notes that nothing up to a stamp concerns a task.
    async fn advance(&self, task: &TaskId, seen: &ReplicaTaskRecord, stamp: u64) -> Result<(), Error> {
        let decided = self.decide("a task", |mut tx| async move {
            let Some(mut record) = tx.get::<ReplicaTaskRecord>(&task.key()).await? else {
                return Ok(tx.answer(()));
            };
            // A task that was changed meanwhile may be for more than it was.
            if record.config == seen.config && record.change_stamp == seen.change_stamp {
                record.change_stamp = stamp;
                tx.put(task.key(), &record);
            }
            Ok::<_, Error>(tx.answer(()))
        });
        decided.await.map(|_| ())
    }
}

/// Whether a change is of a kind that a task is for. Its run looks closer.
pub(super) fn concerns(change: &ArtifactChange, task: &ReplicaTaskRecord) -> bool {
    let is_followed = if change.path.is_empty() { task.follows_tags } else { task.follows_files };
    // What refers to another is announced with its digest even if it is gone.
    let is_deletion = change.digest.is_empty();
    is_followed && (!is_deletion || task.follows_deletes)
}

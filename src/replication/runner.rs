//! Takes up the runs that are queued, and those that another process has left when it ended.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use steward_proto::replication::v1::ExecutionStatus;
use steward_proto::store::v1::{ExecutionRecord, ReplicaTaskRecord};
use uuid::Uuid;

use super::error::Error;
use super::keys;
use super::parts::Replication;
use super::pieces;
use super::progress::{Halt, LiveRun, cut};
use super::run::End;
use super::run_log::{RunLog, has_ended, load_own, status};
use crate::clock::Timestamp;
use crate::engine::{self, Engine};
use crate::store::key::Table;
use crate::store::tx::{self, Tx};
use crate::store::{Key, KeyRange, Step};

/// How long a run that is to stop may take to come to the end of a chunk.
const GRACE: Duration = Duration::from_millis(700);
/// How often it is written down how far a run is.
const NOTE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a run rests that could not be worked on because of this server.
const REST_AFTER_ERROR: Duration = Duration::from_secs(2);

/// How often a run is begun before it fails for something that is wrong with this server.
const MOST_ATTEMPTS: u32 = 100;

/// How soon the runner looks for room again.
const SOON: Duration = Duration::from_millis(100);

/// Starts what is queued.
struct Runner {
    replication: Replication,
}

impl Replication {
    /// Starts to take up runs, and what looks after their records.
    pub(super) fn start_runner(&self) {
        let (store, clock, shutdown) = (Arc::clone(&self.store), Arc::clone(&self.clock), self.shutdown.clone());
        let runner = Runner { replication: self.clone() };
        self.tasks.spawn(engine::run(runner, Arc::clone(&store), Arc::clone(&clock), shutdown.clone()));
        let retention = super::retention::Retention::new(self);
        self.tasks.spawn(engine::run(retention, Arc::clone(&store), Arc::clone(&clock), shutdown.clone()));
        let alerts = super::alerts::Alerts::new(self);
        self.tasks.spawn(engine::run(alerts, store, clock, shutdown));
    }
}

#[async_trait]
impl Engine for Runner {
    type Error = Error;

    fn name(&self) -> &'static str {
        "replication-runner"
    }

    fn wakes_on(&self) -> Key {
        Key::table(Table::ReplicaExecutionActive)
    }

    async fn activate(&mut self) -> Result<Option<Timestamp>, Error> {
        let replication = &self.replication;
        let has_room = || replication.runs.count() < replication.settings.running_executions;
        let mut has_to_wait = !has_room();
        // Where nothing can begin, many that wait need not be read again and again.
        let waiting = if has_to_wait { Vec::new() } else { replication.waiting_runs().await? };
        for record in waiting {
            if has_room() && !replication.runs.has_task(&record.task_key) {
                replication.begin_run(&record).await?;
            } else {
                has_to_wait = true;
            }
        }
        metrics::gauge!("steward_replication_executions_running").set(count(replication.runs.count()));
        let again = match (has_to_wait, replication.runs.count()) {
            (true, _) => Some(SOON),
            // One that breaks off is taken up again.
            (false, 1..) => Some(REST_AFTER_ERROR),
            (false, 0) => None,
        };
        Ok(again.map(|rest| replication.clock.now().plus(rest)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; a number of runs is exact in it")]
fn count(number: usize) -> f64 {
    number as f64
}

impl Replication {
    /// The runs that nobody in this process works on, the oldest first.
    async fn waiting_runs(&self) -> Result<Vec<ExecutionRecord>, Error> {
        let mut found = Vec::new();
        let active = KeyRange::prefix(&Key::table(Table::ReplicaExecutionActive));
        for (key, _) in tx::scan(&*self.store, active, usize::MAX).await? {
            let Some(id) = pieces::text_of(&key).filter(|id| self.runs.of(id).is_none()) else { continue };
            let record: Option<ExecutionRecord> = tx::read(&*self.store, &keys::execution(&id)).await?;
            match record.filter(|record| !has_ended(record)) {
                Some(record) => found.push(record),
                // A run that was deleted or has ended is not active.
                None => self.forget_active(&id).await?,
            }
        }
        found.sort_by(|a, b| (a.start_us, &a.id).cmp(&(b.start_us, &b.id)));
        Ok(found)
    }

    async fn forget_active(&self, id: &str) -> Result<(), Error> {
        let forget = self.decide(id, |mut tx| async move {
            let record: Option<ExecutionRecord> = tx.get(&keys::execution(id)).await?;
            let key = keys::execution_active(id);
            if record.is_none_or(|record| has_ended(&record)) && tx.bytes(&key).await?.is_some() {
                tx.delete(key);
            }
            Ok(tx.answer(()))
        });
        forget.await.map(|_| ())
    }

    /// Makes a run this process's own, and starts it.
    async fn begin_run(&self, waiting: &ExecutionRecord) -> Result<(), Error> {
        let fence = Uuid::new_v4().simple().to_string();
        let (claimed, _) = self.decide(&waiting.id, |tx| claim(tx, &waiting.id, &fence)).await?;
        let Some(record) = claimed else { return Ok(()) };
        let live = Arc::new(LiveRun::new(&record, Arc::clone(&self.clock), self.shutdown.clone()));
        self.runs.start(&record.id, Arc::clone(&live));
        let replication = self.clone();
        self.tasks.spawn(async move {
            if let Err(error) = replication.conduct(&record, &live).await {
                tracing::warn!(execution = %record.id, %error, "a run could not be worked on and will go on later");
                tokio::select! {
                    () = replication.shutdown.cancelled() => {}
                    () = tokio::time::sleep(REST_AFTER_ERROR) => {}
                }
            }
            metrics::counter!("steward_replication_sent_bytes_total").increment(live.newly_sent());
            replication.runs.end(&record.id);
        });
        Ok(())
    }

    /// Works on a run until it ends, or is to stop.
    async fn conduct(&self, record: &ExecutionRecord, live: &Arc<LiveRun>) -> Result<(), Error> {
        let log = Arc::new(RunLog::new(self, record, live));
        let worked = tokio::select! {
            worked = self.execute(record, live, &log) => Some(worked),
            error = self.attend(record, live, &log) => Some(Err(error)),
            () = async {
                live.halting().await;
                tokio::time::sleep(GRACE).await;
            } => None,
        };
        let end = match (worked, live.halted()) {
            (_, Some(Halt::Lost)) => return Ok(()),
            (Some(Ok(End::Success)), _) => End::Success,
            (Some(Ok(end @ End::Failed { .. })), None | Some(Halt::Cancelled)) => end,
            (_, Some(Halt::Cancelled)) => End::Stopped,
            (Some(Err(error)), None) if record.attempt >= MOST_ATTEMPTS => {
                let reason = format!("this server cannot work on it: {error}");
                End::Failed { reason, has_seen_all: false }
            }
            (Some(Err(error)), None) => {
                live.log("ERROR", &error.to_string());
                log.flush_all().await?;
                return Err(error);
            }
            // It goes on after the next start.
            (_, Some(Halt::Shutdown) | None) => return log.flush_all().await,
        };
        self.finish(record, live, &log, &end).await
    }

    /// Writes down every now and then how far a run is, and stops it when its record says so. Ends only with an error.
    async fn attend(&self, record: &ExecutionRecord, live: &LiveRun, log: &RunLog) -> Error {
        let key = keys::execution(&record.id);
        let mut changes = self.store.watch(key.clone(), self.store.revision());
        loop {
            let now: Result<Option<ExecutionRecord>, _> = tx::read(&*self.store, &key).await;
            match now {
                Ok(Some(now)) if now.fence != record.fence => live.stop(Halt::Lost),
                Ok(Some(now)) if now.cancel => live.stop(Halt::Cancelled),
                Ok(Some(_)) => {}
                Ok(None) => live.stop(Halt::Lost),
                Err(error) => return error.into(),
            }
            tokio::select! {
                change = changes.next() => match change {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return error.into(),
                    None => return Error::ShuttingDown,
                },
                () = tokio::time::sleep(NOTE_INTERVAL) => {
                    if let Err(error) = log.flush().await {
                        return error;
                    }
                }
            }
        }
    }

    /// Ends a run, in one commit with what its task knows of it.
    async fn finish(&self, record: &ExecutionRecord, live: &LiveRun, log: &RunLog, end: &End) -> Result<(), Error> {
        let (level, text) = match end {
            End::Success => ("INFO", "has succeeded".to_owned()),
            End::Failed { reason, .. } => ("ERROR", reason.clone()),
            End::Stopped => ("WARN", "was stopped".to_owned()),
        };
        live.log(level, &text);
        log.flush_all().await?;
        let now_us = self.now_us();
        let (ended, _) = self.decide(&record.id, |tx| finish(tx, record, end, now_us)).await?;
        if ended {
            let result = match end {
                End::Success => "succeeded",
                End::Failed { .. } => "failed",
                End::Stopped => "cancelled",
            };
            metrics::counter!("steward_replication_executions_total", "result" => result).increment(1);
            tracing::info!(execution = %record.id, project = %record.project, repository = %record.repository,
                task = %record.name, result, reason = %text, "a replication run has ended");
        }
        if ended && *end == End::Success {
            self.clear_sessions(&record.task_key).await?;
        }
        Ok(())
    }
}

/// Makes a run the one of this token. `None`: there is nothing to do about it.
async fn claim(mut tx: Tx<'_>, id: &str, fence: &str) -> Result<Step<Option<ExecutionRecord>>, Error> {
    let key = keys::execution(id);
    let Some(mut record) = tx.get::<ExecutionRecord>(&key).await? else { return Ok(tx.answer(None)) };
    if has_ended(&record) {
        return Ok(tx.answer(None));
    }
    fence.clone_into(&mut record.fence);
    record.attempt = record.attempt.saturating_add(1);
    record.status = ExecutionStatus::Running.into();
    tx.put(key, &record);
    let task = keys::task(&record.project, &record.repository, &record.name);
    if let Some(mut head) = tx.get::<ReplicaTaskRecord>(&task).await?
        && head.key == record.task_key
        && head.last_execution == record.id
    {
        head.last_status = record.status;
        tx.put(task, &head);
    }
    Ok(tx.answer(Some(record)))
}

/// Ends a run, if it is still the one of its token. Whether it was.
async fn finish(mut tx: Tx<'_>, own: &ExecutionRecord, end: &End, now_us: u64) -> Result<Step<bool>, Error> {
    let Some(mut record) = load_own(&mut tx, &own.id, &own.fence).await? else { return Ok(tx.answer(false)) };
    record.status = match end {
        End::Success => ExecutionStatus::Success,
        End::Failed { .. } => ExecutionStatus::Failed,
        End::Stopped => ExecutionStatus::Cancelled,
    }
    .into();
    let mut has_seen_all = true;
    if let End::Failed { reason, has_seen_all: seen } = end {
        cut(reason).clone_into(&mut record.error_reason);
        has_seen_all = *seen;
    }
    end_record(&mut tx, record, has_seen_all, now_us).await?;
    Ok(tx.answer(true))
}

/// Writes down that a run has ended as its record says, and lets its task run again. A run that has not seen all the
/// changes that it was for is made again.
pub(super) async fn end_record(
    tx: &mut Tx<'_>,
    mut record: ExecutionRecord,
    has_seen_all: bool,
    now_us: u64,
) -> Result<(), Error> {
    record.end_us = now_us.max(record.start_us);
    let status = status(&record);
    if status == ExecutionStatus::Cancelled {
        // Callers of the old wire see it as one that failed.
        "the run was cancelled".clone_into(&mut record.error_reason);
    }
    let task = keys::task(&record.project, &record.repository, &record.name);
    let head: Option<ReplicaTaskRecord> = tx.get(&task).await?;
    if let Some(mut head) = head.filter(|head| head.key == record.task_key) {
        if head.active_execution == record.id {
            head.active_execution.clear();
        }
        if head.last_execution == record.id {
            head.last_status = record.status;
        }
        match status {
            ExecutionStatus::Success => (head.last_success_us, head.failures) = (record.end_us, 0),
            ExecutionStatus::Failed => head.failures = head.failures.saturating_add(1),
            ExecutionStatus::Unspecified
            | ExecutionStatus::Queued
            | ExecutionStatus::Running
            | ExecutionStatus::Cancelled => {}
        }
        if has_seen_all {
            head.change_stamp = head.change_stamp.max(record.to_stamp);
        }
        note_undone(&mut head, &record, status);
        tx.put(task, &head);
    }
    tx.delete(keys::execution_active(&record.id));
    tx.put(keys::execution(&record.id), &record);
    Ok(())
}

/// Notes which changes are still to be brought to the target after a run has ended: a run for others, or one that
/// somebody has stopped, does not make them forgotten.
fn note_undone(head: &mut ReplicaTaskRecord, run: &ExecutionRecord, status: ExecutionStatus) {
    let is_for_changes = run.to_stamp != 0;
    match status {
        // It went through everything anew.
        ExecutionStatus::Success if !is_for_changes && run.resume_of.is_empty() => {
            (head.undone_stamp, head.undone_all) = (None, false);
        }
        ExecutionStatus::Success if is_for_changes => {
            let is_for_them = head.undone_stamp.is_some_and(|undone| run.from_stamp <= undone);
            if is_for_them {
                head.undone_stamp = Some(run.to_stamp).filter(|done| *done < head.change_stamp);
            }
        }
        ExecutionStatus::Failed | ExecutionStatus::Cancelled if is_for_changes => {
            let undone = head.undone_stamp.unwrap_or(run.from_stamp);
            head.undone_stamp = Some(undone.min(run.from_stamp));
        }
        ExecutionStatus::Failed | ExecutionStatus::Cancelled => head.undone_all |= run.trigger == "change",
        ExecutionStatus::Success
        | ExecutionStatus::Unspecified
        | ExecutionStatus::Queued
        | ExecutionStatus::Running => {}
    }
}

#[cfg(test)]
mod tests;

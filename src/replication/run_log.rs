//! What a run writes down: results, lines of log, counts. Each commit checks that the run still has its record.

use std::sync::Arc;

use parking_lot::Mutex;
use steward_proto::replication::v1::{ArtifactOutcome, ExecutionStatus};
use steward_proto::store::v1::{ArtifactResultRecord, ExecutionLogRecord, ExecutionRecord};

use super::error::Error;
use super::keys;
use super::parts::Replication;
use super::progress::{Halt, LiveRun};
use crate::store::Step;
use crate::store::tx::Tx;

/// How many lines the log of a run has at most.
const MAX_LINES: u64 = 10_000;
/// How many results one commit writes.
const RESULTS_AT_ONCE: usize = 24;
/// How many results may wait for the commit that is under way.
const MOST_WAITING: usize = 512;
/// How many lines one commit writes.
const LINES_AT_ONCE: usize = 48;

/// An artifact that has ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) result: ArtifactResultRecord,
    pub(super) is_file: bool,
    pub(super) is_conflict: bool,
}

/// The records of a run that is under way.
pub(super) struct RunLog {
    replication: Replication,
    id: String,
    fence: String,
    live: Arc<LiveRun>,
    waiting: Mutex<Vec<Ended>>,
    /// One commit at a time: they would all change the record of the run.
    committing: tokio::sync::Mutex<()>,
}

/// Whether a run still has its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Yes,
    Lost,
}

impl RunLog {
    pub(super) fn new(replication: &Replication, record: &ExecutionRecord, live: &Arc<LiveRun>) -> Self {
        RunLog {
            replication: replication.clone(),
            id: record.id.clone(),
            fence: record.fence.clone(),
            live: Arc::clone(live),
            waiting: Mutex::default(),
            committing: tokio::sync::Mutex::default(),
        }
    }

    /// Notes what an artifact came to. Whoever finds nobody at it writes down all that waits; the others do not wait for
    /// that, so that commits do not hold up what is copied. What was found unchanged waits until a commit of it is full,
    /// or until the next note of how far the run is. All of it is durable before the run ends. After a crash, what was
    /// not is found unchanged at the target.
    pub(super) async fn end(&self, mut ended: Ended) -> Result<(), Error> {
        ended.result.end_us = self.replication.now_us();
        let waiting = {
            let mut waiting = self.waiting.lock();
            waiting.push(ended);
            if !are_due(&waiting) {
                return Ok(());
            }
            waiting.len()
        };
        let _one = match self.committing.try_lock() {
            Ok(one) => one,
            Err(_) if waiting < MOST_WAITING => return Ok(()),
            Err(_) => self.committing.lock().await,
        };
        while are_due(&self.waiting.lock()) {
            self.commit().await?;
        }
        Ok(())
    }

    /// Writes down what there is to say, and how far the run is.
    pub(super) async fn flush(&self) -> Result<(), Error> {
        let _one = self.committing.lock().await;
        self.commit().await?;
        while !self.waiting.lock().is_empty() {
            self.commit().await?;
        }
        Ok(())
    }

    /// Writes down all that there is to say.
    pub(super) async fn flush_all(&self) -> Result<(), Error> {
        let _one = self.committing.lock().await;
        while self.commit().await? {}
        Ok(())
    }

    /// Whether there may be more to write down.
    async fn commit(&self) -> Result<bool, Error> {
        let results: Vec<Ended> = {
            let mut waiting = self.waiting.lock();
            let count = waiting.len().min(RESULTS_AT_ONCE);
            waiting.drain(..count).collect()
        };
        let lines = self.live.take_lines(LINES_AT_ONCE);
        let is_all = results.len() < RESULTS_AT_ONCE && lines.len() < LINES_AT_ONCE;
        self.write(results, lines).await?;
        Ok(!is_all)
    }

    async fn write(&self, results: Vec<Ended>, lines: Vec<ExecutionLogRecord>) -> Result<(), Error> {
        let progress = (self.live.sent(), u64::try_from(self.live.total()).ok());
        let write = self.replication.decide(&self.id, |tx| self.attempt(tx, &results, &lines, progress));
        let (kept, _) = write.await?;
        metrics::counter!("steward_replication_sent_bytes_total").increment(self.live.newly_sent());
        if kept == Kept::Lost {
            self.live.stop(Halt::Lost);
        }
        Ok(())
    }

    async fn attempt(
        &self,
        mut tx: Tx<'_>,
        results: &[Ended],
        lines: &[ExecutionLogRecord],
        (sent, total): (u64, Option<u64>),
    ) -> Result<Step<Kept>, Error> {
        let Some(before) = load_own(&mut tx, &self.id, &self.fence).await? else {
            return Ok(Step::Answer(Kept::Lost));
        };
        let mut record = before.clone();
        for line in lines {
            if record.log_lines >= MAX_LINES {
                break;
            }
            record.log_lines += 1;
            tx.put(keys::log_line(&self.id, last_sequence(&record)), line);
        }
        for ended in results {
            record.results += 1;
            count(&mut record, ended);
            tx.put(keys::result(&self.id, last_sequence(&record)), &ended.result);
        }
        (record.sent_bytes, record.total_bytes) = (sent, total);
        if record != before {
            tx.put(keys::execution(&self.id), &record);
        }
        Ok(tx.answer(Kept::Yes))
    }
}

/// Whether results that wait are worth a commit of their own.
fn are_due(waiting: &[Ended]) -> bool {
    waiting.len() >= RESULTS_AT_ONCE || waiting.iter().any(|ended| outcome(&ended.result) != ArtifactOutcome::Unchanged)
}

/// The number of the newest result or line of a run: both are numbered together.
pub(super) fn last_sequence(record: &ExecutionRecord) -> u64 {
    record.results + record.log_lines
}

/// The record of a run, if whoever has this token is to work on it.
pub(super) async fn load_own(tx: &mut Tx<'_>, id: &str, fence: &str) -> Result<Option<ExecutionRecord>, Error> {
    let record: Option<ExecutionRecord> = tx.get(&keys::execution(id)).await?;
    Ok(record.filter(|record| record.fence == fence && status(record) == ExecutionStatus::Running))
}

/// How a run stands.
pub(super) fn status(record: &ExecutionRecord) -> ExecutionStatus {
    ExecutionStatus::try_from(record.status).unwrap_or_default()
}

/// Whether a run has ended.
pub(super) fn has_ended(record: &ExecutionRecord) -> bool {
    match status(record) {
        ExecutionStatus::Success | ExecutionStatus::Failed | ExecutionStatus::Cancelled => true,
        ExecutionStatus::Unspecified | ExecutionStatus::Queued | ExecutionStatus::Running => false,
    }
}

/// What an artifact came to.
pub(super) fn outcome(result: &ArtifactResultRecord) -> ArtifactOutcome {
    ArtifactOutcome::try_from(result.outcome).unwrap_or_default()
}

fn count(record: &mut ExecutionRecord, ended: &Ended) {
    record.conflict += u64::from(ended.is_conflict);
    match outcome(&ended.result) {
        ArtifactOutcome::Copied | ArtifactOutcome::Unchanged => {
            record.replicated_bytes = record.replicated_bytes.saturating_add(ended.result.size);
            *(if ended.is_file { &mut record.file_success } else { &mut record.success }) += 1;
        }
        ArtifactOutcome::Failed => {
            *(if ended.is_file { &mut record.file_failed } else { &mut record.failed }) += 1;
        }
        ArtifactOutcome::SkippedConflict | ArtifactOutcome::Deleted | ArtifactOutcome::Unspecified => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::replication::queue::Cause;
    use crate::replication::testing::{World, config, is_success};

    #[tokio::test]
    async fn a_run_that_finds_all_unchanged_writes_that_down_in_a_few_commits() {
        const IMAGES: usize = 120;
        let world = World::new();
        let image = world.artifacts.image("app", &[b"a layer"]);
        for number in 0..IMAGES {
            world.artifacts.tag("app", &format!("1.{number}"), &image);
        }
        let task = world.task(config()).await;
        let server = world.server().start();
        let first = server.queue(&task, Cause::Manual).await;
        assert!(is_success(&world.wait_for_end(&first).await));

        let before = world.store.revision();
        let second = server.queue(&task, Cause::Manual).await;
        let ended = world.wait_for_end(&second).await;

        assert!(is_success(&ended), "{ended:?}");
        assert_eq!((world.results(&second).await.len(), ended.results, ended.success), (IMAGES, 120, 120));
        let commits = world.store.revision().0 - before.0;
        assert!(commits < IMAGES as u64 / 4, "{commits} commits");
        server.stop().await;
    }
}

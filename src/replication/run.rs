//! One run of a task: what its plan has is brought to the target, as many artifacts at a time as the task allows.

mod deletions;
mod files;
mod resume;

use std::sync::Arc;

use steward_proto::replication::v1::{ArtifactOutcome, ErrorStrategy};
use steward_proto::store::v1::ExecutionRecord;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use self::files::copy_files;
use super::blob_sessions::StoreSessions;
use super::copy::{Copier, Gone, may_pass, wait_after};
use super::error::Error;
use super::job::{Job, Options};
use super::parts::Replication;
use super::placed::{Names, Placed};
use super::plan::{Extent, GoneItem, Item, PlanError, Planner};
use super::progress::LiveRun;
use super::queue::TaskId;
use super::run_log::{Ended, RunLog, outcome};
use super::select::Selection;
use super::source::Source;
use super::target::{Target, TargetError};

/// How often it is tried to reach the target at the start.
const ATTEMPTS: u32 = 3;
/// After so many artifacts in a row that failed because the target cannot be reached, the run ends.
const UNREACHABLE_IN_A_ROW: usize = 5;
/// How many items of the plan wait.
const WAITING_ITEMS: usize = 16;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Success,
    Failed {
        /// Why.
        reason: String,
        /// All that the run was for has been looked at, and what failed of it would fail again.
        has_seen_all: bool,
    },
    /// It was told to stop.
    Stopped,
}

impl End {
    /// A failure before all was looked at.
    fn failed(reason: &(impl ToString + ?Sized)) -> Self {
        End::Failed { reason: reason.to_string(), has_seen_all: false }
    }
}

/// What several parts of a run work with.
struct Run<'a> {
    replication: &'a Replication,
    record: &'a ExecutionRecord,
    copier: Arc<Copier>,
    log: &'a Arc<RunLog>,
    selection: Selection,
    /// What need not be done again.
    done: Names,
    extent: Extent,
}

/// How far the work on a plan has come.
#[derive(Default)]
struct Tally {
    /// Artifacts that the plan has.
    planned: usize,
    failed: usize,
    first_error: String,
    unreachable: usize,
    /// Some failed of what may not fail the next time.
    may_pass: bool,
    bytes: u64,
    gone: Vec<GoneItem>,
    /// More was deleted here than may be deleted there.
    has_too_many_gone: bool,
}

/// What one item came to.
type Done = (Vec<(Ended, Option<TargetError>)>, bool);

impl Replication {
    /// Does a run, and says what it came to.
    pub(super) async fn execute(
        &self,
        record: &ExecutionRecord,
        live: &Arc<LiveRun>,
        log: &Arc<RunLog>,
    ) -> Result<End, Error> {
        let id = TaskId::of_run(record);
        let job = match self.job(&id).await {
            Ok(job) if job.record.key == record.task_key => job,
            Ok(_) | Err(Error::TaskNotFound(_)) => return Ok(End::failed("the task was deleted")),
            Err(error) => return Err(error),
        };
        if let Some(reason) = self.is_refused(&job.record, &job.config).await? {
            return Ok(End::failed(&reason));
        }
        let selection = match Selection::of(&job.config) {
            Ok(selection) => selection,
            Err(problem) => return Ok(End::failed(&format!("the constraints of the task: {problem}"))),
        };
        let options = Options::of(&job.config);
        live.set_rate(options.rate);
        let target = match self.ready_target(&job, live).await {
            Ok(target) => target,
            Err(TargetError::Cancelled) => return Ok(End::Stopped),
            Err(error) => return Ok(End::failed(&error)),
        };
        live.log("INFO", &format!("attempt {}: copies to {}", record.attempt, target.name()));
        let copier = Arc::new(Copier {
            source: Source::new(self.artifacts.clone(), &record.project, &record.repository),
            target,
            sessions: Arc::new(StoreSessions {
                replication: self.clone(),
                task_key: record.task_key.clone(),
                execution: record.id.clone(),
                fence: record.fence.clone(),
            }),
            live: Arc::clone(live),
            options,
            placed: Placed::default(),
            permits: Semaphore::new(options.parallelism),
        });
        let (done, extent) = self.resume_point(record).await?;
        Run { replication: self, record, copier, log, selection, done, extent }.work().await
    }

    /// The target of a task, once it answers.
    async fn ready_target(&self, job: &Job, live: &LiveRun) -> Result<Arc<dyn Target>, TargetError> {
        let mut failed = 0;
        loop {
            let ready = async {
                let target = self.target_of(job).await?;
                target.prepare().await?;
                Ok(target)
            };
            let error = tokio::select! {
                () = live.halting() => return Err(TargetError::Cancelled),
                ready = ready => match ready {
                    Ok(target) => return Ok(target),
                    Err(error) => error,
                },
            };
            failed += 1;
            if failed >= ATTEMPTS || !may_pass(&error) {
                return Err(error);
            }
            live.log("WARN", &format!("{error}; is tried again"));
            tokio::select! {
                () = live.halting() => return Err(TargetError::Cancelled),
                () = tokio::time::sleep(wait_after(&error, failed)) => {}
            }
        }
    }
}

impl Run<'_> {
    async fn work(&self) -> Result<End, Error> {
        let earlier = usize::try_from(self.record.failed + self.record.file_failed).unwrap_or(usize::MAX);
        if earlier > 0 && self.copier.options.error == ErrorStrategy::FastFail {
            return Ok(End::failed("an artifact failed before the restart; its result says why"));
        }
        let (items, plan) = mpsc::channel(WAITING_ITEMS);
        let planner = Planner { source: &self.copier.source, selection: &self.selection, items };
        let planning = async move { planner.plan(self.extent).await };
        let (planned, worked) = tokio::join!(planning, self.take_up(plan));
        let (mut tally, end) = worked?;
        if let Some(end) = end {
            return Ok(end);
        }
        if let Err(PlanError::Source(error)) = planned {
            return Ok(End::failed(&format!("the repository cannot be read: {error}")));
        }
        tally.failed = tally.failed.saturating_add(earlier);
        self.copier.live.set_total(self.record.replicated_bytes.saturating_add(tally.bytes));
        let is_full = self.extent == Extent::Full;
        if tally.planned == 0 && is_full {
            return Ok(End::failed("there is nothing to copy"));
        }
        if tally.failed > 0 {
            let why = if tally.first_error.is_empty() { "see its results" } else { &tally.first_error };
            let planned = tally.planned;
            let reason = format!("{} of {planned} artifacts failed: {why}", tally.failed);
            return Ok(End::Failed { reason, has_seen_all: !tally.may_pass });
        }
        self.delete(tally).await
    }

    /// Works on the items of the plan. With an end: nothing further is to be done.
    async fn take_up(&self, mut plan: mpsc::Receiver<Item>) -> Result<(Tally, Option<End>), Error> {
        let mut tally = Tally::default();
        let mut working: JoinSet<Result<Done, Error>> = JoinSet::new();
        let mut is_open = true;
        loop {
            if !is_open && working.is_empty() {
                return Ok((tally, None));
            }
            let has_room = working.len() < self.copier.options.parallelism;
            tokio::select! {
                () = self.copier.live.halting() => return self.wind_up(working, tally).await,
                item = plan.recv(), if is_open && has_room => match item {
                    Some(item) => self.begin(item, &mut working, &mut tally),
                    None => is_open = false,
                },
                Some(done) = working.join_next(), if !working.is_empty() => {
                    let done = done.map_err(|error| Error::Internal(format!("an artifact broke off: {error}")))??;
                    if let Some(end) = self.count(done, &mut tally) {
                        return Ok((tally, Some(end)));
                    }
                }
            }
        }
    }

    /// Lets what is under way come to its next chunk. The runner does not wait for that for ever.
    async fn wind_up(
        &self,
        mut working: JoinSet<Result<Done, Error>>,
        tally: Tally,
    ) -> Result<(Tally, Option<End>), Error> {
        while let Some(done) = working.join_next().await {
            done.map_err(|error| Error::Internal(format!("an artifact broke off: {error}")))??;
        }
        Ok((tally, Some(End::Stopped)))
    }

    fn begin(&self, item: Item, working: &mut JoinSet<Result<Done, Error>>, tally: &mut Tally) {
        let (copier, log) = (Arc::clone(&self.copier), Arc::clone(self.log));
        match item {
            Item::Version(item) => {
                tally.planned += 1;
                if !self.done.contains(&item.key, &item.tag) {
                    working.spawn(async move { note(&log, copier.version(&item).await).await });
                }
            }
            Item::Files(mut files) => {
                tally.planned += files.len();
                files.retain(|file| !self.done.contains(&file.path, ""));
                if !files.is_empty() {
                    working.spawn(async move { copy_files(&copier, &log, files).await });
                }
            }
            Item::Missing { artifact, version, reason } => {
                tally.planned += 1;
                if !self.done.contains(&artifact, &version) {
                    let ended = copier.missing_artifact(&artifact, &version, &reason);
                    working.spawn(async move { note(&log, Ok((ended, None))).await });
                }
            }
            Item::Gone(gone) if self.copier.options.propagate_deletes => {
                tally.has_too_many_gone |= tally.gone.len() > self.copier.options.max_deletes;
                if !tally.has_too_many_gone {
                    tally.gone.push(gone);
                }
            }
            Item::Gone(_) => {}
        }
    }

    /// Counts what ended. An end: the run is over.
    fn count(&self, (ended, is_stopped): Done, tally: &mut Tally) -> Option<End> {
        for (ended, error) in ended {
            tally.bytes = tally.bytes.saturating_add(ended.result.size);
            let is_unreachable = error.as_ref().is_some_and(may_pass);
            tally.may_pass |= is_unreachable;
            tally.unreachable = if is_unreachable { tally.unreachable + 1 } else { 0 };
            if outcome(&ended.result) != ArtifactOutcome::Failed {
                continue;
            }
            tally.failed += 1;
            let name = format!("{} {}", ended.result.artifact, ended.result.version);
            let problem = format!("{}: {}", name.trim_end(), ended.result.error);
            if self.copier.options.error == ErrorStrategy::FastFail || tally.unreachable >= UNREACHABLE_IN_A_ROW {
                return Some(End::failed(&problem));
            }
            if tally.first_error.is_empty() {
                tally.first_error = problem;
            }
        }
        is_stopped.then_some(End::Stopped)
    }
}

/// Writes down what an artifact came to.
async fn note(log: &RunLog, copied: Result<(Ended, Option<TargetError>), Gone>) -> Result<Done, Error> {
    match copied {
        Ok((ended, error)) => {
            log.end(ended.clone()).await?;
            Ok((vec![(ended, error)], false))
        }
        Err(gone) => Ok((Vec::new(), gone == Gone::Stopped)),
    }
}

//! The commands on tasks that were claimed.

use super::batch::{About, Batch};
use super::error::Error;
use super::farm::{Decision, Farm, Stored};
use super::keys;
use super::model::{LeaseToken, TaskId, TaskRecord, TaskStatus, TaskUuid, VideoId, VideoRecord, WorkerId, library_of};
use super::sessions::Notice;
use super::transition::{self, Cause, Job, Outcome, Report};

/// How many tasks one loop ends at a time, so that they share flushes.
const AT_A_TIME: usize = 32;

/// What a caller proves with that a task is its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claimant {
    /// The older API: the id of the worker.
    Worker(WorkerId),
    /// The token of the claim.
    Token(LeaseToken),
}

impl Claimant {
    fn owns(self, task: &TaskRecord) -> bool {
        match self {
            Claimant::Worker(id) => task.worker_id == id.0,
            Claimant::Token(LeaseToken(token)) => task.lease_token == token.as_slice(),
        }
    }
}

/// What a report came to.
#[derive(Clone, Debug)]
pub(crate) struct Reported {
    pub(crate) is_applied: bool,
    pub(crate) is_cancelled: bool,
    pub(crate) task: TaskRecord,
}

/// A task, its video, and when they were last changed.
struct Loaded {
    job: Job,
    task: Stored<TaskRecord>,
    video: Stored<VideoRecord>,
}

impl Farm {
    async fn load_job(&self, id: TaskId) -> Result<Loaded, Error> {
        let missing = || Error::TaskNotFound(format!("number {}", id.0));
        let task = self.task(id).await?.ok_or_else(missing)?;
        let video_id = VideoId(task.record.video_id);
        let video = self.video(video_id).await?.ok_or(Error::VideoNotFound(video_id.0))?;
        let job = Job { id, task: task.record.clone(), video: video.record.clone() };
        Ok(Loaded { job, task, video })
    }

    /// The changes of a decision on a job.
    fn write(&self, loaded: Loaded, outcome: &Outcome, in_the_way: Option<Stored<VideoRecord>>) -> Batch {
        let Loaded { job, task, video } = loaded;
        let mut batch = Batch::default();
        let now = self.clock.now();
        for entry in &outcome.logs {
            batch.log(&self.index, now, entry.clone(), About::Task(job.id, &job.task));
        }
        let video_id = VideoId(job.task.video_id);
        let is_moved = job.video.path != video.record.path;
        if is_moved {
            match in_the_way.and_then(|other| Some((self.index.videos.read().at_path(&other.record.path)?, other))) {
                Some((id, other)) => batch.delete_video(id, other.revision),
                None => batch.txn.expect(keys::video_path(&job.video.path), None),
            }
            batch.txn.put(keys::video_path(&job.video.path), super::videos::id_bytes(video_id));
            batch.move_video(video_id, job.video, video.revision, &video.record.path);
        } else if job.video != video.record {
            batch.put_video(video_id, job.video, Some(video.revision));
        } else {
            // The decision depends on it all the same.
            batch.txn.expect(keys::video(video_id), Some(video.revision));
        }
        if job.task != task.record {
            batch.put_task(job.id, job.task, Some(task.revision));
        }
        batch
    }

    /// A worker reports on a task.
    pub(crate) async fn report(&self, uuid: TaskUuid, claimant: Claimant, report: Report) -> Result<Reported, Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            let id = farm.find_task(uuid)?;
            let (reported, _) = farm.decide(format!("task {uuid}"), || farm.try_report(id, claimant, &report)).await?;
            farm.sessions.forget_cancelled(WorkerId(reported.task.worker_id), uuid);
            farm.after_report(&reported, &report);
            Ok(reported)
        })
        .await
    }

    async fn try_report(&self, id: TaskId, claimant: Claimant, report: &Report) -> Result<Decision<Reported>, Error> {
        let mut loaded = self.load_job(id).await?;
        if !claimant.owns(&loaded.job.task) {
            return Err(Error::NotTaskOwner(TaskUuid::of(&loaded.job.task.uuid)));
        }
        let max_attempts = self.max_attempts(&loaded.job.video.path);
        let now = self.clock.now();
        let outcome = transition::report(&mut loaded.job, report, max_attempts, &self.settings.policy, now);
        let in_the_way = if outcome.is_applied { self.move_to_result(&mut loaded.job, report).await? } else { None };
        let reported = Reported {
            is_applied: outcome.is_applied,
            is_cancelled: outcome.is_cancelled,
            task: loaded.job.task.clone(),
        };
        Ok(Decision { batch: self.write(loaded, &outcome, in_the_way), answer: reported })
    }

    /// Whether a worker that connects again can go on with a task.
    pub(crate) async fn may_go_on(&self, uuid: TaskUuid, claimant: Claimant) -> Result<bool, Error> {
        let Ok(id) = self.find_task(uuid) else { return Ok(false) };
        match self.load_job(id).await {
            Ok(loaded) => Ok(claimant.owns(&loaded.job.task) && transition::may_go_on(&loaded.job)),
            Err(Error::TaskNotFound(_) | Error::VideoNotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lets a worker that connects again go on with a task, also one that had failed meanwhile. Says whether it can.
    pub(crate) async fn reopen(&self, uuid: TaskUuid, claimant: Claimant) -> Result<bool, Error> {
        let status = match self.get_task(uuid).await {
            Ok((_, task)) => TaskStatus::try_from(task.status).unwrap_or_default(),
            Err(Error::TaskNotFound(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        if status != TaskStatus::Failed {
            return Ok(matches!(status, TaskStatus::Created | TaskStatus::Running));
        }
        let report = Report { status: TaskStatus::Running, progress: f64::NAN, ..Report::default() };
        match self.report(uuid, claimant, report).await {
            Ok(reported) => Ok(reported.is_applied),
            Err(Error::NotTaskOwner(_) | Error::TaskNotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes back what a worker was given by a stream that it no longer heard: all that it does not name.
    pub(crate) async fn end_unheard(&self, id: WorkerId, named: &[TaskUuid]) -> Result<(), Error> {
        let unheard: Vec<TaskUuid> = {
            let index = self.index.tasks.read();
            let uuids = index.of_worker(id).into_iter().filter_map(|task| index.uuid(task));
            uuids.filter(|uuid| !named.contains(uuid)).collect()
        };
        for uuid in unheard {
            let report = Report {
                status: TaskStatus::Failed,
                error_message: Some("the worker never heard of it".to_owned()),
                is_declined: true,
                ..Report::default()
            };
            self.report(uuid, Claimant::Worker(id), report).await?;
        }
        Ok(())
    }

    /// What follows a report once it is durable: counts, and another look at a file that was replaced.
    fn after_report(&self, reported: &Reported, report: &Report) {
        if !reported.is_applied {
            return;
        }
        let status = TaskStatus::try_from(reported.task.status).unwrap_or_default();
        Self::count_outcome(status);
        if status != TaskStatus::Completed {
            return;
        }
        let path = self.index.videos.read().path(VideoId(reported.task.video_id));
        if let (Some(scanner), Some(path)) = (self.scanner.get(), path) {
            scanner.rescan_path(&path);
            if report.output_path.is_some() && *path != *reported.task.video_path {
                scanner.rescan_path(&reported.task.video_path);
            }
        }
    }

    /// A result with another ending has another path, which has to be of the same library. A video that a scan found
    /// there meanwhile, and that nobody has worked on, is that result: it makes way.
    async fn move_to_result(&self, job: &mut Job, report: &Report) -> Result<Option<Stored<VideoRecord>>, Error> {
        let placed = (report.status == TaskStatus::Completed && !job.task.placed_path.is_empty())
            .then_some(&job.task.placed_path);
        let Some(path) = report.output_path.as_ref().or(placed) else { return Ok(None) };
        let is_fit = library_of(path) == library_of(&job.video.path) && job.video.last_task_id == job.id.0;
        if !is_fit || *path == job.video.path {
            return Ok(None);
        }
        let there = self.index.videos.read().at_path(path);
        let in_the_way = match there {
            Some(id) => self.video(id).await?.filter(|video| video.record.path == *path),
            None => None,
        };
        let is_result = |video: &VideoRecord| {
            let is_alike = !video.exist || video.size_bytes == job.task.output_bytes || *path == job.task.placed_path;
            video.last_task_id == 0 && is_alike
        };
        if in_the_way.as_ref().is_none_or(|video| is_result(&video.record)) {
            job.video.path.clone_from(path);
            return Ok(in_the_way);
        }
        Ok(None)
    }

    /// Ends a task that is in progress; its worker is told.
    pub(crate) async fn cancel_task(&self, uuid: TaskUuid, reason: String, requeue: bool) -> Result<TaskRecord, Error> {
        let farm = self.clone();
        self.to_the_end(async move {
            let id = farm.find_task(uuid)?;
            farm.cancel_by_number(id, &reason, requeue).await?.ok_or(Error::TaskEnded(uuid))
        })
        .await
    }

    /// The same, as a part of another command. `None`: it had ended.
    pub(super) async fn cancel_by_number(
        &self,
        id: TaskId,
        reason: &str,
        requeue: bool,
    ) -> Result<Option<TaskRecord>, Error> {
        let attempt = || async {
            let mut loaded = self.load_job(id).await?;
            let outcome = transition::cancel(&mut loaded.job, reason, requeue, self.clock.now());
            let answer = outcome.is_applied.then(|| loaded.job.task.clone());
            Ok(Decision { batch: self.write(loaded, &outcome, None), answer })
        };
        let (cancelled, _) = self.decide(format!("task number {}", id.0), attempt).await?;
        if let Some(task) = &cancelled {
            Self::count_outcome(TaskStatus::Cancelled);
            let notice = Notice::Cancel { task: TaskUuid::of(&task.uuid), reason: task.error_message.clone() };
            self.sessions.tell(WorkerId(task.worker_id), notice);
        }
        Ok(cancelled)
    }

    /// Lets the video of an ended task wait again, with all its attempts.
    pub(crate) async fn retry_task(&self, uuid: TaskUuid, priority: Option<i32>) -> Result<VideoId, Error> {
        let farm = self.clone();
        self.to_the_end(async move { farm.retry_now(uuid, priority).await }).await
    }

    async fn retry_now(&self, uuid: TaskUuid, priority: Option<i32>) -> Result<VideoId, Error> {
        let id = self.find_task(uuid)?;
        let task = self.task(id).await?.ok_or_else(|| Error::TaskNotFound(uuid.to_string()))?;
        let video = VideoId(task.record.video_id);
        match self.requeue_one(video, priority, true).await? {
            super::videos::Requeued::Busy => Err(Error::TaskInProgress(uuid)),
            super::videos::Requeued::Gone => Err(Error::VideoNotFound(video.0)),
            super::videos::Requeued::Done | super::videos::Requeued::AsItWas => Ok(video),
        }
    }

    /// The server ends a task whose worker cannot; the worker is told if it is there after all.
    pub(super) async fn end_task(&self, id: TaskId, cause: &Cause) -> Result<(), Error> {
        let attempt = || async {
            let mut loaded = self.load_job(id).await?;
            let max_attempts = self.max_attempts(&loaded.job.video.path);
            let policy = &self.settings.policy;
            let outcome = transition::end_by_server(&mut loaded.job, cause, max_attempts, policy, self.clock.now());
            let answer = outcome.is_applied.then(|| loaded.job.task.clone());
            Ok(Decision { batch: self.write(loaded, &outcome, None), answer })
        };
        let (ended, _) = self.decide(format!("task number {}", id.0), attempt).await?;
        if let Some(task) = ended {
            metrics::counter!("steward_transcode_tasks_total", "outcome" => "lost").increment(1);
            let notice = Notice::LeaseLost { task: TaskUuid::of(&task.uuid), reason: task.error_message };
            self.sessions.tell(WorkerId(task.worker_id), notice);
        }
        Ok(())
    }

    /// Ends all tasks that a worker has, but for those in `kept`.
    pub(super) async fn fail_tasks_of(&self, id: WorkerId, cause: &Cause, kept: &[TaskUuid]) -> Result<(), Error> {
        use futures::stream::{StreamExt as _, TryStreamExt as _};
        let tasks: Vec<TaskId> = {
            let index = self.index.tasks.read();
            let is_kept = |task: &TaskId| index.uuid(*task).is_some_and(|uuid| kept.contains(&uuid));
            index.of_worker(id).into_iter().filter(|task| !is_kept(task)).collect()
        };
        let ends = futures::stream::iter(tasks.into_iter().map(|task| self.end_task(task, cause)));
        ends.buffer_unordered(AT_A_TIME).try_collect().await
    }

    /// A task and what its caller may do with it: for transfers.
    pub(crate) async fn owned_task(&self, uuid: TaskUuid, claimant: Claimant) -> Result<TaskRecord, Error> {
        let id = self.find_task(uuid)?;
        let task = self.task(id).await?.ok_or_else(|| Error::TaskNotFound(uuid.to_string()))?.record;
        if !claimant.owns(&task) {
            return Err(Error::NotTaskOwner(uuid));
        }
        if !super::model::is_in_progress(&task) {
            return Err(Error::TaskEnded(uuid));
        }
        Ok(task)
    }
}

//! What a worker says in its session, and what comes of it.

use steward_proto::transcode::v1 as api;
use steward_proto::transcode::v1::session_request::Message as Said;

use super::{Over, Session};
use crate::error::Failure;
use crate::fields::Fields;
use crate::transcode::error::Error;
use crate::transcode::model::{MAX_PATH_BYTES, TaskStatus, TaskUuid};
use crate::transcode::reports::Claimant;
use crate::transcode::service::fields::{MAX_SLOTS, is_video_path};
use crate::transcode::sessions::Notice;
use crate::transcode::transition::Report;

/// Why a task is lost that is not the worker's, or not there.
const NOT_OWN: &str = "there is no such task of this worker";

impl Session {
    /// Does what the worker says, and acknowledges it once it is durable.
    pub(super) async fn hear(&mut self, request: api::SessionRequest) -> Result<Result<(), Over>, Failure> {
        match self.farm.beat(self.worker).await {
            Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(message) = request.message else { return Ok(self.acknowledge(request.seq).await) };
        let outcome = match message {
            Said::Hello(_) => Err(Failure::invalid([("hello", "a session has begun already".to_owned())])),
            Said::Ping(_) => Ok(()),
            Said::Ready(ready) => self.hear_ready(ready),
            Said::Progress(progress) => return self.hear_progress(progress, request.seq).await,
            Said::Finished(finished) => return self.hear_finished(finished, request.seq).await,
            Said::Log(line) => self.hear_log(line).await,
        };
        outcome?;
        Ok(self.acknowledge(request.seq).await)
    }

    fn hear_ready(&mut self, ready: api::Ready) -> Result<(), Failure> {
        let mut fields = Fields::default();
        if !(0..=MAX_SLOTS).contains(&ready.free_slots) {
            fields.reject("free_slots", format!("has to be between 0 and {MAX_SLOTS}"));
        }
        let dest_path = fields.dest_path(ready.dest_path);
        fields.check()?;
        self.free_slots = ready.free_slots;
        self.dest_path = dest_path;
        self.rests_until = None;
        Ok(())
    }

    async fn hear_progress(&mut self, progress: api::TaskProgress, seq: u64) -> Result<Result<(), Over>, Failure> {
        let report = Report {
            status: TaskStatus::Running,
            progress: progress.progress,
            elapsed_time: Some(progress.elapsed_time),
            remaining_time: progress.remaining_time,
            fps: progress.fps,
            speed: progress.speed,
            output_bytes: progress.output_bytes,
            ..Report::default()
        };
        self.report(&progress.task_id, &progress.lease_token, report, seq).await
    }

    async fn hear_finished(&mut self, finished: api::TaskFinished, seq: u64) -> Result<Result<(), Over>, Failure> {
        let mut fields = Fields::default();
        let status: TaskStatus = fields.known("status", finished.status);
        if !matches!(status, TaskStatus::Completed | TaskStatus::Failed) {
            fields.reject("status", "has to be completed or failed");
        }
        fields.check()?;
        // A path that cannot be is no reason to throw the work away: the next scan finds the file.
        let is_path = is_video_path(&finished.output_path) && finished.output_path.len() <= MAX_PATH_BYTES;
        let report = Report {
            status,
            progress: if status == TaskStatus::Completed { 100.0 } else { f64::NAN },
            elapsed_time: Some(finished.elapsed_time),
            error_message: Some(finished.error_message),
            output_bytes: finished.output_bytes,
            output_path: is_path.then_some(finished.output_path),
            is_declined: finished.declined,
            ..Report::default()
        };
        self.report(&finished.task_id, &finished.lease_token, report, seq).await
    }

    /// A report on a task. One that is no longer the worker's is told as such, and the session goes on.
    async fn report(&mut self, task: &str, token: &str, report: Report, seq: u64) -> Result<Result<(), Over>, Failure> {
        let mut fields = Fields::default();
        let uuid = fields.task_uuid(task);
        let claimant = fields.claimant(token, self.worker.0);
        fields.check()?;
        let lost = if self.is_own(uuid).await? { self.losing(uuid, claimant, report).await? } else { Some(NOT_OWN) };
        if let Some(reason) = lost
            && self.tell(Notice::LeaseLost { task: uuid, reason: reason.to_owned() }).await.is_err()
        {
            return Ok(Err(Over));
        }
        Ok(self.acknowledge(seq).await)
    }

    /// Hands a report on. Returns why the task is lost, if it is.
    async fn losing(
        &self,
        task: TaskUuid,
        claimant: Claimant,
        report: Report,
    ) -> Result<Option<&'static str>, Failure> {
        let is_progress = report.status == TaskStatus::Running;
        match self.farm.report(task, claimant, report).await {
            Ok(reported) if is_progress && !reported.is_applied => Ok(Some("the task has ended")),
            Ok(_) => Ok(None),
            Err(Error::NotTaskOwner(_) | Error::TaskNotFound(_)) => Ok(Some(NOT_OWN)),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a task is there and the worker's. One that is another's is told no more of than one that is not there.
    async fn is_own(&self, task: TaskUuid) -> Result<bool, Failure> {
        if self.reach.is_everything() {
            return Ok(true);
        }
        match self.farm.get_task(task).await {
            Ok((_, task)) => Ok(self.reach.is_worker(&task.worker_name)),
            Err(Error::TaskNotFound(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn hear_log(&self, line: api::LogLine) -> Result<(), Failure> {
        let mut fields = Fields::default();
        let uuid = fields.task_uuid(&line.task_id);
        let level = fields.level(line.log_level);
        fields.check()?;
        if !self.is_own(uuid).await? {
            return Ok(());
        }
        match self.farm.log_task(uuid, level, line.log_message).await {
            // Retention may have removed the task: its line is of no use any more.
            Ok(_) | Err(Error::TaskNotFound(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

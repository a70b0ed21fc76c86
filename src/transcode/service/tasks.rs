//! `TaskService`.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use steward_proto::transcode::v1 as api;
use steward_proto::transcode::v1::claim_task_response::Result as ClaimResult;
use steward_proto::transcode::v1::task_service_server::TaskService;
use steward_proto::transcode::v1::watch_tasks_response::Update;
use tonic::{Request, Response, Status};

use super::page::{self, Asked};
use super::rights::reach;
use super::{Answers, FarmServer, answer, stream};
use crate::auth::rights::Right;
use crate::clock::Timestamp;
use crate::error::Failure;
use crate::fields::Fields;
use crate::store::Revision;
use crate::transcode::claim::Claim;
use crate::transcode::claims::Claimed;
use crate::transcode::convert::{self, Secrets, revision, total};
use crate::transcode::index::{TaskFilter, TaskSort};
use crate::transcode::lists::{Outcomes, PageOf};
use crate::transcode::model::{TaskStatus, VideoId, WorkerId, WorkerType};
use crate::transcode::reach::Reach;
use crate::transcode::schedule;
use crate::transcode::transition::Report;
use crate::transcode::watch::{TaskStep, WatchTasks};

/// When a worker that found nothing is to ask again, if nothing is known to come before.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Errors and reasons are cut when they are kept; this only bounds what is looked at, in bytes.
const MAX_SENT_BYTES: usize = 64 * 1024;
const DEFAULT_DAYS: i32 = 7;
const MAX_DAYS: i32 = 366;

impl FarmServer {
    async fn handle_claim(
        &self,
        request: api::ClaimTaskRequest,
        reach: &Reach,
    ) -> Result<api::ClaimTaskResponse, Failure> {
        let mut fields = Fields::default();
        let worker_type: WorkerType = fields.known("worker_type", request.worker_type);
        let claim = Claim {
            worker: fields.worker_id(request.worker_id),
            worker_type: (worker_type != WorkerType::Unspecified).then_some(worker_type),
            wants_vr: request.support_vr,
            dest_path: fields.dest_path(request.dest_path),
        };
        let wait = fields.duration("wait", request.wait, super::fields::WAIT).unwrap_or_default();
        fields.check()?;
        self.require_self(reach, claim.worker)?;
        let claimed = self.claim_within(claim, wait).await?;
        let now = self.farm.clock.now();
        let result = match claimed {
            Claimed::Task(id, task) => ClaimResult::Task(convert::task(id, &task, Secrets::Shown)),
            Claimed::Goes(action) => ClaimResult::Offline(api::WorkerGoes { action: action.into() }),
            Claimed::Nothing(until) => {
                let rest = until.map_or(RETRY_AFTER, |until| until.since(now).min(RETRY_AFTER));
                ClaimResult::NoWork(api::NoWork { retry_after: rest.try_into().ok() })
            }
        };
        Ok(api::ClaimTaskResponse { result: Some(result) })
    }

    /// Claims, and again whenever there may be something, until the wait is over.
    async fn claim_within(&self, claim: Claim, wait: Duration) -> Result<Claimed, Failure> {
        let over = tokio::time::Instant::now() + wait;
        loop {
            let work = self.farm.work.notified();
            tokio::pin!(work);
            work.as_mut().enable();
            let claimed = self.farm.claim(claim.clone()).await?;
            let Claimed::Nothing(until) = claimed else { return Ok(claimed) };
            if tokio::time::Instant::now() >= over {
                return Ok(claimed);
            }
            let rested = async {
                match until {
                    Some(until) => self.farm.clock.sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.farm.shutdown.cancelled() => return Ok(claimed),
                () = work => {}
                () = rested => {}
                () = tokio::time::sleep_until(over) => {}
            }
        }
    }

    async fn handle_list_tasks(
        &self,
        request: &api::ListTasksRequest,
        reach: &Reach,
    ) -> Result<api::ListTasksResponse, Failure> {
        let mut fields = Fields::default();
        let asked = Asked { size: request.page_size, token: &request.page_token, number: request.page };
        let (start, size) = page::read(&mut fields, &asked);
        let sort = match request.sort_by.as_str() {
            "" | "start_time" => TaskSort::Start,
            "progress" => TaskSort::Progress,
            "status" => TaskSort::Status,
            "worker_name" => TaskSort::WorkerName,
            "elapsed_time" => TaskSort::Elapsed,
            "video_path" => TaskSort::Path,
            other => {
                fields.reject("sort_by", format!("{other:?} is not one of the fields that tasks are sorted by"));
                TaskSort::Start
            }
        };
        let order = fields.known("order", request.order);
        let filter = TaskFilter {
            statuses: fields.several("statuses", &request.statuses),
            worker: (request.worker_id != 0).then_some(WorkerId(request.worker_id)),
            video: (request.video_id != 0).then_some(VideoId(request.video_id)),
        };
        fields.check()?;
        let listed = self.farm.list_tasks(filter, PageOf { sort, order, start, size }, reach).await?;
        Ok(api::ListTasksResponse {
            tasks: listed.rows.iter().map(|(id, task)| convert::task(*id, task, Secrets::Hidden)).collect(),
            next_page_token: page::token(listed.next),
            total_size: total(listed.total),
        })
    }

    async fn handle_get_task(
        &self,
        request: &api::GetTaskRequest,
        reach: &Reach,
    ) -> Result<api::GetTaskResponse, Failure> {
        let mut fields = Fields::default();
        let uuid = fields.task_uuid(&request.task_id);
        fields.check()?;
        self.require_task(reach, Right::Read, uuid).await?;
        let (id, task) = self.farm.get_task(uuid).await?;
        Ok(api::GetTaskResponse { task: Some(convert::task(id, &task, Secrets::Hidden)) })
    }

    async fn handle_update_task(
        &self,
        request: api::UpdateTaskRequest,
        reach: &Reach,
    ) -> Result<api::UpdateTaskResponse, Failure> {
        let mut fields = Fields::default();
        let uuid = fields.task_uuid(&request.task_id);
        let claimant = fields.claimant(&request.lease_token, request.worker_id);
        let status: TaskStatus = fields.known("status", request.status);
        if matches!(status, TaskStatus::Unspecified | TaskStatus::Cancelled) {
            fields.reject("status", "has to be created, running, completed or failed");
        }
        fields.text("error_message", request.error_message.as_deref().unwrap_or_default(), MAX_SENT_BYTES);
        fields.check()?;
        let report = Report {
            status,
            progress: request.progress,
            elapsed_time: request.elapsed_time,
            remaining_time: request.remaining_time,
            error_message: request.error_message,
            ..Report::default()
        };
        self.require_own_task(reach, uuid).await?;
        let reported = self.farm.report(uuid, claimant, report).await?;
        Ok(api::UpdateTaskResponse { applied: reported.is_applied, cancel_requested: reported.is_cancelled })
    }

    async fn handle_cancel_task(
        &self,
        request: api::CancelTaskRequest,
        reach: &Reach,
    ) -> Result<api::CancelTaskResponse, Failure> {
        let mut fields = Fields::default();
        let uuid = fields.task_uuid(&request.task_id);
        fields.text("reason", &request.reason, MAX_SENT_BYTES);
        fields.check()?;
        self.require_task(reach, Right::Write, uuid).await?;
        let task = self.farm.cancel_task(uuid, request.reason, request.requeue).await?;
        let id = self.farm.find_task(uuid)?;
        Ok(api::CancelTaskResponse { task: Some(convert::task(id, &task, Secrets::Hidden)) })
    }

    async fn handle_retry_task(
        &self,
        request: &api::RetryTaskRequest,
        reach: &Reach,
    ) -> Result<api::RetryTaskResponse, Failure> {
        let mut fields = Fields::default();
        let uuid = fields.task_uuid(&request.task_id);
        let priority = fields.priority(request.priority);
        fields.check()?;
        self.require_task(reach, Right::Write, uuid).await?;
        let video = self.farm.retry_task(uuid, priority).await?;
        Ok(api::RetryTaskResponse { video_id: video.0 })
    }

    async fn handle_task_stats(
        &self,
        request: &api::GetTaskStatsRequest,
        reach: &Reach,
    ) -> Result<api::GetTaskStatsResponse, Failure> {
        let mut fields = Fields::default();
        let days = if request.days == 0 { DEFAULT_DAYS } else { request.days };
        if !(1..=MAX_DAYS).contains(&days) {
            fields.reject("days", format!("has to be between 1 and {MAX_DAYS}"));
        }
        let zone = schedule::time_zone(&request.time_zone).unwrap_or_else(|| {
            fields.reject("time_zone", "is not a time zone");
            TimeZone::UTC
        });
        fields.check()?;
        // They are counted for the farm as a whole.
        reach.require_all(Right::Read)?;
        let (dates, starts) = days_of(self.farm.clock.now(), &zone, days);
        let (outcomes, in_progress) = self.farm.outcomes_by_day(starts).await?;
        self.farm.settled().await?;
        Ok(api::GetTaskStatsResponse {
            days: dates.into_iter().zip(outcomes).map(|(date, day)| task_day(date, day)).collect(),
            in_progress: total(in_progress),
            waiting_videos: total(self.farm.index.videos.read().waiting()),
        })
    }

    async fn open_watch_tasks(
        &self,
        request: &api::WatchTasksRequest,
        reach: Reach,
    ) -> Result<Answers<api::WatchTasksResponse>, Failure> {
        let mut fields = Fields::default();
        let watch = WatchTasks {
            filter: TaskFilter { statuses: fields.several("statuses", &request.statuses), ..TaskFilter::default() },
            task: fields.optional_task_uuid(&request.task_id),
            only_in_progress: request.only_in_progress,
            reach,
            from: fields.revision(request.from_revision),
        };
        fields.check()?;
        if let Some(uuid) = watch.task {
            self.farm.find_task(uuid)?;
            self.require_task(&watch.reach, Right::Read, uuid).await?;
        }
        let place = self.watcher(&watch.reach)?;
        let steps = self.farm.watch_tasks(watch, place);
        Ok(stream(steps, task_response))
    }
}

/// So many days up to today, and when each of them begins; the last beginning is that of tomorrow.
fn days_of(now: Timestamp, zone: &TimeZone, days: i32) -> (Vec<Date>, Vec<Timestamp>) {
    let now = jiff::Timestamp::from_nanosecond(i128::from(now.nanos())).unwrap_or_default();
    let today = now.to_zoned(zone.clone()).date();
    let first = today.saturating_sub(jiff::Span::new().days(i64::from(days) - 1));
    let start = |date: Date| {
        let start = date.to_zoned(zone.clone()).map_or(i128::from(i64::MAX), |start| start.timestamp().as_nanosecond());
        Timestamp::from_nanos(i64::try_from(start).unwrap_or(i64::MAX))
    };
    let dates = std::iter::successors(Some(first), |date| date.tomorrow().ok()).take_while(|date| *date <= today);
    let dates: Vec<Date> = dates.collect();
    let starts = dates.iter().copied().chain(today.tomorrow().ok()).map(start).collect();
    (dates, starts)
}

fn task_day(date: Date, day: Outcomes) -> api::TaskDay {
    let Outcomes { completed, failed, saved_bytes } = day;
    api::TaskDay { date: date.to_string(), completed, failed, saved_bytes }
}

fn task_response(step: TaskStep) -> api::WatchTasksResponse {
    let shown = |id, task| Update::Task(convert::task(id, task, Secrets::Hidden));
    let (at, update) = match step {
        TaskStep::Snapshot(id, task) => (Revision::default(), shown(id, &task)),
        TaskStep::SnapshotEnd(at) => (at, Update::SnapshotEnd(api::TasksSnapshotEnd {})),
        TaskStep::Changed(id, task, at) => (at, shown(id, &task)),
        TaskStep::Deleted(id, at) => (at, Update::DeletedId(id.0)),
    };
    api::WatchTasksResponse { revision: revision(at), update: Some(update) }
}

#[tonic::async_trait]
impl TaskService for FarmServer {
    async fn claim_task(
        &self,
        request: Request<api::ClaimTaskRequest>,
    ) -> Result<Response<api::ClaimTaskResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_claim(request.into_inner(), &reach).await)
    }

    async fn list_tasks(
        &self,
        request: Request<api::ListTasksRequest>,
    ) -> Result<Response<api::ListTasksResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_list_tasks(request.get_ref(), &reach).await)
    }

    async fn get_task(&self, request: Request<api::GetTaskRequest>) -> Result<Response<api::GetTaskResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_get_task(request.get_ref(), &reach).await)
    }

    async fn update_task(
        &self,
        request: Request<api::UpdateTaskRequest>,
    ) -> Result<Response<api::UpdateTaskResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_update_task(request.into_inner(), &reach).await)
    }

    async fn cancel_task(
        &self,
        request: Request<api::CancelTaskRequest>,
    ) -> Result<Response<api::CancelTaskResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_cancel_task(request.into_inner(), &reach).await)
    }

    async fn retry_task(
        &self,
        request: Request<api::RetryTaskRequest>,
    ) -> Result<Response<api::RetryTaskResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_retry_task(request.get_ref(), &reach).await)
    }

    async fn get_task_stats(
        &self,
        request: Request<api::GetTaskStatsRequest>,
    ) -> Result<Response<api::GetTaskStatsResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_task_stats(request.get_ref(), &reach).await)
    }

    type WatchTasksStream = Answers<api::WatchTasksResponse>;

    async fn watch_tasks(
        &self,
        request: Request<api::WatchTasksRequest>,
    ) -> Result<Response<Self::WatchTasksStream>, Status> {
        let reach = reach(&request)?;
        answer(self.open_watch_tasks(request.get_ref(), reach).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_where_the_clocks_say_so() {
        let zone = schedule::time_zone("Europe/Berlin").expect("a zone");
        // In the night to the 29th, the clocks jump.
        let (dates, starts) = days_of(Timestamp::from_nanos(1_774_828_800_000_000_000), &zone, 2);
        assert_eq!(dates.iter().map(Date::to_string).collect::<Vec<_>>(), ["2026-03-29", "2026-03-30"]);
        let seconds: Vec<i64> = starts.iter().map(|start| start.nanos() / 1_000_000_000).collect();
        assert_eq!(seconds, [1_774_738_800, 1_774_738_800 + 23 * 3600, 1_774_738_800 + 47 * 3600]);
    }
}

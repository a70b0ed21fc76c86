//! `LogService`.

use steward_proto::transcode::v1 as api;
use steward_proto::transcode::v1::log_service_server::LogService;
use tonic::{Request, Response, Status};

use super::page::{self, Asked};
use super::rights::reach;
use super::{Answers, FarmServer, answer, stream};
use crate::auth::rights::Right;
use crate::clock::Timestamp;
use crate::error::Failure;
use crate::fields::Fields;
use crate::store::Revision;
use crate::transcode::convert::{self, revision, total};
use crate::transcode::index::{LogFilter, LogSort};
use crate::transcode::lists::PageOf;
use crate::transcode::model::LogLevel;
use crate::transcode::reach::Reach;
use crate::transcode::watch::{LogStep, WatchLogs};

/// The longest backlog.
const MAX_BACKLOG: i32 = 1000;
/// A message that is sent is cut when it is kept; this only bounds what is looked at, in bytes.
const MAX_SENT_BYTES: usize = 64 * 1024;

impl FarmServer {
    async fn handle_list_logs(
        &self,
        request: &api::ListLogsRequest,
        reach: &Reach,
    ) -> Result<api::ListLogsResponse, Failure> {
        let mut fields = Fields::default();
        let asked = Asked { size: request.page_size, token: &request.page_token, number: request.page };
        let (start, size) = page::read(&mut fields, &asked);
        let sort = match request.sort_by.as_str() {
            "" | "log_time" => LogSort::Time,
            "id" => LogSort::Id,
            "log_level" => LogSort::Level,
            other => {
                fields.reject("sort_by", format!("{other:?} is not log_time, id or log_level"));
                LogSort::Time
            }
        };
        let order = fields.known("order", request.order);
        let task = fields.optional_task_uuid(&request.task_id);
        let filter = LogFilter {
            levels: fields.several("levels", &request.levels),
            start: fields.timestamp("start_time", request.start_time),
            end: fields.timestamp("end_time", request.end_time),
            task: None,
        };
        fields.check()?;
        if let Some(uuid) = task.filter(|_| !reach.is_everything()) {
            self.require_task(reach, Right::Read, uuid).await?;
        }
        let task = task.map(|uuid| self.farm.find_task(uuid)).transpose()?;
        let page = PageOf { sort, order, start, size };
        let listed = self.farm.list_logs(LogFilter { task, ..filter }, page, reach).await?;
        Ok(api::ListLogsResponse {
            logs: listed.rows.iter().map(|(id, log)| convert::log(*id, log)).collect(),
            next_page_token: page::token(listed.next),
            total_size: total(listed.total),
        })
    }

    async fn handle_create_log(
        &self,
        request: api::CreateLogRequest,
        reach: &Reach,
    ) -> Result<api::CreateLogResponse, Failure> {
        let mut fields = Fields::default();
        let task = fields.task_uuid(&request.task_id);
        let level = fields.level(request.log_level);
        fields.required_text("log_message", &request.log_message, MAX_SENT_BYTES);
        fields.check()?;
        // Its worker tells of it.
        if !reach.has_all(Right::Append) {
            self.require_own_task(reach, task).await?;
        }
        let (id, log) = self.farm.log_task(task, level, request.log_message).await?;
        Ok(api::CreateLogResponse { log: Some(convert::log(id, &log)) })
    }

    async fn open_watch_logs(
        &self,
        request: &api::WatchLogsRequest,
        reach: Reach,
    ) -> Result<Answers<api::WatchLogsResponse>, Failure> {
        let mut fields = Fields::default();
        if !(0..=MAX_BACKLOG).contains(&request.backlog) {
            fields.reject("backlog", format!("has to be between 0 and {MAX_BACKLOG}"));
        }
        let watch = WatchLogs {
            levels: fields.several("levels", &request.levels),
            task: fields.optional_task_uuid(&request.task_id),
            backlog: usize::try_from(request.backlog).unwrap_or(0),
            from: fields.revision(request.from_revision),
            reach,
        };
        fields.check()?;
        if let Some(uuid) = watch.task {
            self.farm.find_task(uuid)?;
            self.require_task(&watch.reach, Right::Read, uuid).await?;
        }
        let place = self.watcher(&watch.reach)?;
        let steps = self.farm.watch_logs(watch, place);
        Ok(stream(steps, log_response))
    }
}

impl Fields {
    /// A level that has to be said.
    pub(super) fn level(&mut self, level: i32) -> LogLevel {
        let level = self.known("log_level", level);
        if level == LogLevel::Unspecified {
            self.reject("log_level", "is required");
        }
        level
    }

    fn timestamp(&mut self, field: &'static str, time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
        let read = convert::timestamp(time?);
        if read.is_none() {
            self.reject(field, "is out of range");
        }
        read
    }
}

fn log_response(step: LogStep) -> api::WatchLogsResponse {
    let (at, log) = match step {
        LogStep::Backlog(id, log) => (Revision::default(), Some(convert::log(id, &log))),
        LogStep::BacklogEnd(at) => (at, None),
        LogStep::Added(id, log, at) => (at, Some(convert::log(id, &log))),
    };
    api::WatchLogsResponse { revision: revision(at), log }
}

#[tonic::async_trait]
impl LogService for FarmServer {
    async fn list_logs(
        &self,
        request: Request<api::ListLogsRequest>,
    ) -> Result<Response<api::ListLogsResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_list_logs(request.get_ref(), &reach).await)
    }

    async fn create_log(
        &self,
        request: Request<api::CreateLogRequest>,
    ) -> Result<Response<api::CreateLogResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_create_log(request.into_inner(), &reach).await)
    }

    type WatchLogsStream = Answers<api::WatchLogsResponse>;

    async fn watch_logs(
        &self,
        request: Request<api::WatchLogsRequest>,
    ) -> Result<Response<Self::WatchLogsStream>, Status> {
        let reach = reach(&request)?;
        answer(self.open_watch_logs(request.get_ref(), reach).await)
    }
}

//! `AuditService`.

use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt as _};
use steward_proto::audit::v1 as api;
use steward_proto::audit::v1::audit_service_server::AuditService;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

use super::filter::Filter;
use super::search::{Found, search};
use super::segment::Direction;
use super::watch::{self, MAX_BACKLOG, Start, Watch};
use super::{Audit, Inner};
use crate::auth::{Grants, Identity};
use crate::error::{Category, Failure};
use crate::fields::Fields;
use crate::places::Places;

/// The size of a page that is not asked for.
const DEFAULT_PAGE: usize = 20;
/// The largest page.
const MAX_PAGE: i32 = 1000;
/// Watches that may be open.
const MAX_WATCHERS: usize = 64;

/// Answers questions about the audit.
#[derive(Clone, Debug)]
pub struct AuditServer {
    audit: Audit,
    watchers: Places,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl AuditServer {
    /// Of this log, until shutdown.
    pub fn new(audit: Audit, shutdown: CancellationToken, tasks: TaskTracker) -> Self {
        AuditServer { audit, watchers: Places::new(MAX_WATCHERS), shutdown, tasks }
    }

    async fn list(&self, request: api::ListEntriesRequest) -> Result<api::ListEntriesResponse, Failure> {
        let log = self.audit.log()?;
        let mut fields = Fields::default();
        let size = match request.page_size {
            0 => DEFAULT_PAGE,
            size @ 1..=MAX_PAGE => usize::try_from(size).unwrap_or(DEFAULT_PAGE),
            _ => {
                fields.reject("page_size", format!("has to be between 0 and {MAX_PAGE}"));
                DEFAULT_PAGE
            }
        };
        let direction = match fields.known("order", request.order) {
            api::EntryOrder::OldestFirst => Direction::Forward,
            api::EntryOrder::Unspecified | api::EntryOrder::NewestFirst => Direction::Backward,
        };
        let start = match (request.page_token.as_str(), direction) {
            ("", Direction::Forward) => 0,
            ("", Direction::Backward) => u64::MAX,
            (token, _) => token.parse().unwrap_or_else(|_| {
                fields.reject("page_token", "is none that this server gave");
                0
            }),
        };
        let filter = Filter::read(&mut fields, request.filter);
        fields.check()?;
        let found = look(log, filter, start, direction, size).await?;
        let next_page_token = if found.is_end { String::new() } else { found.next.to_string() };
        Ok(api::ListEntriesResponse { entries: found.entries, next_page_token })
    }

    fn watch(&self, request: api::WatchEntriesRequest, caller: &Identity) -> Result<WatchStream, Failure> {
        let log = self.audit.log()?;
        let mut fields = Fields::default();
        let backlog = usize::try_from(request.backlog).ok().filter(|backlog| *backlog <= MAX_BACKLOG);
        let backlog = backlog.unwrap_or_else(|| {
            fields.reject("backlog", format!("has to be between 0 and {MAX_BACKLOG}"));
            0
        });
        let from = u64::try_from(request.from_number).unwrap_or_else(|_| {
            fields.reject("from_number", "is negative");
            0
        });
        let filter = Filter::read(&mut fields, request.filter);
        fields.check()?;
        let floor = log.files.floor();
        if from != 0 && from < floor {
            return Err(watch::removed(floor));
        }
        let place = self.watchers.take(caller).map_err(|full| {
            let message = format!("there are {} watches of the audit{} already", full.limit, full.whose());
            Failure::new(Category::ResourceExhausted, "TOO_MANY_WATCHERS", message)
                .with("limit", full.limit.to_string())
        })?;
        let start = if from == 0 { Start::Newest(backlog) } else { Start::At(from) };
        let watch = Watch { files: Arc::clone(&log.files), next: log.writer.next(), filter, start };
        let steps = watch.open(place, self.shutdown.clone(), &self.tasks);
        let steps = futures::stream::unfold(steps, |mut steps| async move { Some((steps.recv().await?, steps)) });
        Ok(steps.map(|step| step.map_err(Status::from)).boxed())
    }
}

/// Searches on a thread that may block.
async fn look(log: &Inner, filter: Filter, number: u64, direction: Direction, limit: usize) -> Result<Found, Failure> {
    let files = Arc::clone(&log.files);
    let searching = tokio::task::spawn_blocking(move || search(&files, &filter, number, direction, limit)).await;
    let internal = |problem: String| Failure::new(Category::Internal, "INTERNAL", problem);
    searching.map_err(|error| internal(error.to_string()))?.map_err(|error| internal(error.to_string()))
}

type WatchStream = BoxStream<'static, Result<api::WatchEntriesResponse, Status>>;

#[tonic::async_trait]
impl AuditService for AuditServer {
    async fn list_entries(
        &self,
        request: Request<api::ListEntriesRequest>,
    ) -> Result<Response<api::ListEntriesResponse>, Status> {
        Ok(Response::new(self.list(request.into_inner()).await?))
    }

    type WatchEntriesStream = WatchStream;

    async fn watch_entries(
        &self,
        request: Request<api::WatchEntriesRequest>,
    ) -> Result<Response<Self::WatchEntriesStream>, Status> {
        let grants = Grants::of(&request)?;
        Ok(Response::new(self.watch(request.into_inner(), grants.caller())?))
    }
}

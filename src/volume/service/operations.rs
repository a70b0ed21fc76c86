//! `OperationService`.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use steward_proto::volume::v1 as api;
use steward_proto::volume::v1::operation_service_server::OperationService;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::rights::grants;
use super::{VolumeServer, answer, fields};
use crate::auth::rights::Right;
use crate::error::{Category, Failure};
use crate::fields::Fields;
use crate::volume::convert_operation as convert;
use crate::volume::error::Error;
use crate::volume::namespace::User;
use crate::volume::operation::{State, Type};
use crate::volume::operations::{OperationFilter, OperationStart, Say};

/// For how long a call waits for an operation.
const WAIT: (Duration, Duration) = (Duration::ZERO, Duration::from_mins(5));
/// The most types or states that a filter names.
const MAX_NAMED: usize = 64;
/// The longest path, UUID or name in a filter, in bytes.
const MAX_FILTER_BYTES: usize = 1024;

/// What a watch of an operation sends.
type Watch = BoxStream<'static, Result<api::WatchOperationResponse, Status>>;

impl VolumeServer {
    /// On whose behalf a request about one operation is made, and which.
    async fn operation_asked<T>(
        &self,
        request: &Request<T>,
        user: &str,
        uuid: &str,
        right: Right,
    ) -> Result<(User, Uuid), Failure> {
        let asker = self.asker(request, user)?;
        let shown = &uuid[..uuid.floor_char_boundary(MAX_FILTER_BYTES)];
        let uuid = operation_uuid(uuid)?.ok_or_else(|| Error::NotFound(format!("operation {shown:?}")))?;
        self.require_operation(&asker, right, uuid).await?;
        Ok((asker.user, uuid))
    }

    async fn tell<T>(
        &self,
        request: &Request<T>,
        user: &str,
        uuid: &str,
        say: Say,
    ) -> Result<Option<api::Operation>, Failure> {
        let (user, uuid) = self.operation_asked(request, user, uuid, Right::Write).await?;
        Ok(Some(convert::operation(self.catalog.tell_operation(&user, uuid, say).await?)))
    }

    async fn handle_list_operations(
        &self,
        request: Request<api::ListOperationsRequest>,
    ) -> Result<api::ListOperationsResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let request = request.into_inner();
        let mut fields = Fields::default();
        let start = fields.operation_start(&request);
        let filter = OperationFilter { reach: asker.reach, ..fields.operation_filter(&request) };
        fields.check()?;
        let limit = Fields::volume_page_size(request.page_size);
        let page = self.catalog.list_operations(&asker.user, &filter, start, limit).await?;
        let token = |(create_us, uuid): (u64, Uuid)| fields::page_token(&format!("{create_us} {uuid}"));
        Ok(api::ListOperationsResponse {
            operations: page.operations.into_iter().map(convert::operation).collect(),
            next_page_token: page.next.map_or_else(String::new, token),
            total_size: u64::try_from(page.total).unwrap_or(u64::MAX),
        })
    }

    async fn handle_wait(
        &self,
        request: &Request<api::WaitOperationRequest>,
    ) -> Result<api::WaitOperationResponse, Failure> {
        let asked = request.get_ref();
        let (user, uuid) = self.operation_asked(request, &asked.user, &asked.uuid, Right::Read).await?;
        let mut fields = Fields::default();
        let timeout = fields.duration("timeout", asked.timeout, WAIT).unwrap_or(WAIT.1);
        fields.check()?;
        let shown = self.catalog.wait_operation(&user, uuid, timeout).await?;
        Ok(api::WaitOperationResponse { operation: Some(convert::operation(shown)) })
    }

    async fn open_watch_operation(&self, request: &Request<api::WatchOperationRequest>) -> Result<Watch, Failure> {
        let asked = request.get_ref();
        let (user, uuid) = self.operation_asked(request, &asked.user, &asked.uuid, Right::Read).await?;
        let permit = self.watcher(grants(request)?.caller())?;
        let steps = self.catalog.watch_operation(&user, uuid).await?;
        let answers = steps.map(move |step| {
            let _permit = &permit;
            step.map(|shown| api::WatchOperationResponse { operation: Some(convert::operation(shown)) })
                .map_err(|error| Status::from(Failure::from(error)))
        });
        Ok(answers.boxed())
    }
}

/// What is no UUID names no operation, just as one that nobody has.
fn operation_uuid(uuid: &str) -> Result<Option<Uuid>, Failure> {
    let mut fields = Fields::default();
    if uuid.is_empty() {
        fields.reject("uuid", "is required");
    }
    fields.check()?;
    Ok(Uuid::parse_str(uuid).ok())
}

impl Fields {
    fn operation_start(&mut self, request: &api::ListOperationsRequest) -> OperationStart {
        let skip = OperationStart::Skip(usize::try_from(request.skip).unwrap_or(usize::MAX));
        let Some(last) = self.volume_page_token(&request.page_token) else { return skip };
        if request.skip != 0 {
            self.reject("skip", "is given beside a token");
        }
        let place = last.split_once(' ').and_then(|(time, uuid)| Some((time.parse().ok()?, uuid.parse().ok()?)));
        let Some((create_us, uuid)) = place else {
            self.reject("page_token", "is not one that this list gave");
            return skip;
        };
        OperationStart::After(create_us, uuid)
    }

    fn operation_filter(&mut self, request: &api::ListOperationsRequest) -> OperationFilter {
        if request.types.len() > MAX_NAMED || request.states.len() > MAX_NAMED {
            self.reject("types", format!("are more than {MAX_NAMED}, or the states are"));
        }
        let types = request.types.iter().take(MAX_NAMED).map(|number| self.known::<Type>("types", *number)).collect();
        let states =
            request.states.iter().take(MAX_NAMED).map(|number| self.known::<State>("states", *number)).collect();
        OperationFilter {
            types,
            states,
            target: self.filter_text("target", &request.target),
            source: self.filter_text("source", &request.source),
            owner: self.filter_text("owner", &request.owner),
            uuid: self.uuid("uuid", &request.uuid).map(Uuid::from_bytes),
            ..OperationFilter::default()
        }
    }

    fn filter_text(&mut self, field: &'static str, text: &str) -> Option<String> {
        self.text(field, text, MAX_FILTER_BYTES);
        (!text.is_empty()).then(|| text.to_owned())
    }
}

#[tonic::async_trait]
impl OperationService for VolumeServer {
    async fn get_operation(
        &self,
        request: Request<api::GetOperationRequest>,
    ) -> Result<Response<api::GetOperationResponse>, Status> {
        let get = async {
            let asked = request.get_ref();
            let (user, uuid) = self.operation_asked(&request, &asked.user, &asked.uuid, Right::Read).await?;
            let shown = self.catalog.get_operation(&user, uuid).await?;
            Ok::<_, Failure>(api::GetOperationResponse { operation: Some(convert::operation(shown)) })
        };
        answer(get.await)
    }

    async fn list_operations(
        &self,
        request: Request<api::ListOperationsRequest>,
    ) -> Result<Response<api::ListOperationsResponse>, Status> {
        answer(self.handle_list_operations(request).await)
    }

    async fn wait_operation(
        &self,
        request: Request<api::WaitOperationRequest>,
    ) -> Result<Response<api::WaitOperationResponse>, Status> {
        answer(self.handle_wait(&request).await)
    }

    type WatchOperationStream = Watch;

    async fn watch_operation(
        &self,
        request: Request<api::WatchOperationRequest>,
    ) -> Result<Response<Self::WatchOperationStream>, Status> {
        answer(self.open_watch_operation(&request).await)
    }

    async fn cancel_operation(
        &self,
        request: Request<api::CancelOperationRequest>,
    ) -> Result<Response<api::CancelOperationResponse>, Status> {
        let asked = request.get_ref();
        let told = self.tell(&request, &asked.user, &asked.uuid, Say::Cancel).await;
        answer(told.map(|operation| api::CancelOperationResponse { operation }))
    }

    async fn pause_operation(
        &self,
        request: Request<api::PauseOperationRequest>,
    ) -> Result<Response<api::PauseOperationResponse>, Status> {
        let asked = request.get_ref();
        let told = self.tell(&request, &asked.user, &asked.uuid, Say::Pause).await;
        answer(told.map(|operation| api::PauseOperationResponse { operation }))
    }

    async fn resume_operation(
        &self,
        request: Request<api::ResumeOperationRequest>,
    ) -> Result<Response<api::ResumeOperationResponse>, Status> {
        let asked = request.get_ref();
        let told = self.tell(&request, &asked.user, &asked.uuid, Say::Resume).await;
        answer(told.map(|operation| api::ResumeOperationResponse { operation }))
    }

    async fn set_operation_speed(
        &self,
        request: Request<api::SetOperationSpeedRequest>,
    ) -> Result<Response<api::SetOperationSpeedResponse>, Status> {
        let asked = request.get_ref();
        let told = self.tell(&request, &asked.user, &asked.uuid, Say::Speed(asked.bytes_per_second)).await;
        answer(told.map(|operation| api::SetOperationSpeedResponse { operation }))
    }

    async fn delete_operation(
        &self,
        request: Request<api::DeleteOperationRequest>,
    ) -> Result<Response<api::DeleteOperationResponse>, Status> {
        let delete = async {
            let asked = request.get_ref();
            let asker = self.asker(&request, &asked.user)?;
            if let Some(uuid) = operation_uuid(&asked.uuid)? {
                match self.require_operation(&asker, Right::Write, uuid).await {
                    // As for one that is not there.
                    Err(refused) if refused.category() == Category::NotFound => {}
                    Err(refused) => return Err(refused),
                    Ok(()) => self.catalog.delete_operation(&asker.user, uuid).await?,
                }
            }
            Ok::<_, Failure>(api::DeleteOperationResponse {})
        };
        answer(delete.await)
    }
}

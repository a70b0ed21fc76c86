//! The gRPC face of locking: request, command, answer.

mod admin_requests;
mod convert;
mod lock_requests;
mod page;
mod streams;
mod validate;

use steward_proto::lock::v1 as api;
use steward_proto::lock::v1::lock_service_server::LockService;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use self::streams::{KeepAliveStream, WatchStream};
use super::locks::Locks;
use super::wait::Surroundings;
use crate::auth::Grants;
use crate::error::Failure;
use crate::places::Places;

/// The lock service.
#[derive(Clone)]
pub struct LockServer {
    locks: Locks,
    around: Surroundings,
    watchers: Places,
}

impl LockServer {
    /// A service for these locks. Its tasks run in `tasks`, and its streams end when `shutdown` is cancelled.
    pub fn new(locks: Locks, shutdown: CancellationToken, tasks: TaskTracker) -> Self {
        let watchers = Places::new(locks.settings.max_watchers);
        LockServer { locks, around: Surroundings { shutdown, tasks }, watchers }
    }
}

/// The answer of a handler, or its refusal as a status.
fn answer<T>(result: Result<T, Failure>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(Status::from)
}

#[tonic::async_trait]
impl LockService for LockServer {
    async fn acquire(&self, request: Request<api::AcquireRequest>) -> Result<Response<api::AcquireResponse>, Status> {
        let grants = Grants::of(&request)?;
        answer(self.handle_acquire(request.into_inner(), &grants).await)
    }

    async fn release(&self, request: Request<api::ReleaseRequest>) -> Result<Response<api::ReleaseResponse>, Status> {
        answer(self.handle_release(request.into_inner()).await)
    }

    async fn renew(&self, request: Request<api::RenewRequest>) -> Result<Response<api::RenewResponse>, Status> {
        answer(self.handle_renew(request.into_inner()).await)
    }

    async fn cancel_wait(
        &self,
        request: Request<api::CancelWaitRequest>,
    ) -> Result<Response<api::CancelWaitResponse>, Status> {
        answer(self.handle_cancel_wait(request.into_inner()).await)
    }

    async fn get(&self, request: Request<api::GetRequest>) -> Result<Response<api::GetResponse>, Status> {
        let grants = Grants::of(&request)?;
        answer(self.handle_get(request.into_inner(), &grants).await)
    }

    async fn list(&self, request: Request<api::ListRequest>) -> Result<Response<api::ListResponse>, Status> {
        let grants = Grants::of(&request)?;
        answer(self.handle_list(request.into_inner(), grants).await)
    }

    type WatchStream = WatchStream;

    async fn watch(&self, request: Request<api::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let grants = Grants::of(&request)?;
        answer(self.open_watch(request.into_inner(), grants))
    }

    async fn check_fencing_token(
        &self,
        request: Request<api::CheckFencingTokenRequest>,
    ) -> Result<Response<api::CheckFencingTokenResponse>, Status> {
        answer(self.handle_check_fencing_token(request.into_inner()).await)
    }

    async fn create_lease(
        &self,
        request: Request<api::CreateLeaseRequest>,
    ) -> Result<Response<api::CreateLeaseResponse>, Status> {
        let grants = Grants::of(&request)?;
        answer(self.handle_create_lease(request.into_inner(), &grants).await)
    }

    async fn get_lease(
        &self,
        request: Request<api::GetLeaseRequest>,
    ) -> Result<Response<api::GetLeaseResponse>, Status> {
        let grants = Grants::of(&request)?;
        answer(self.handle_get_lease(request.into_inner(), &grants).await)
    }

    async fn list_leases(
        &self,
        request: Request<api::ListLeasesRequest>,
    ) -> Result<Response<api::ListLeasesResponse>, Status> {
        let grants = Grants::of(&request)?;
        answer(self.handle_list_leases(request.into_inner(), &grants).await)
    }

    type KeepAliveStream = KeepAliveStream;

    async fn keep_alive(
        &self,
        request: Request<Streaming<api::KeepAliveRequest>>,
    ) -> Result<Response<Self::KeepAliveStream>, Status> {
        let grants = Grants::of(&request)?;
        Ok(Response::new(self.open_keep_alive(request.into_inner(), grants)))
    }

    async fn revoke_lease(
        &self,
        request: Request<api::RevokeLeaseRequest>,
    ) -> Result<Response<api::RevokeLeaseResponse>, Status> {
        let grants = Grants::of(&request)?;
        answer(self.handle_revoke_lease(request.into_inner(), &grants).await)
    }

    async fn force_release(
        &self,
        request: Request<api::ForceReleaseRequest>,
    ) -> Result<Response<api::ForceReleaseResponse>, Status> {
        let (grants, request_id) = (Grants::of(&request)?, request_id(&request));
        answer(self.handle_force_release(request.into_inner(), request_id, &grants).await)
    }

    async fn delete_completion(
        &self,
        request: Request<api::DeleteCompletionRequest>,
    ) -> Result<Response<api::DeleteCompletionResponse>, Status> {
        let (grants, request_id) = (Grants::of(&request)?, request_id(&request));
        answer(self.handle_delete_completion(request.into_inner(), request_id, &grants).await)
    }

    async fn list_audit_records(
        &self,
        request: Request<api::ListAuditRecordsRequest>,
    ) -> Result<Response<api::ListAuditRecordsResponse>, Status> {
        answer(self.handle_list_audit_records(request.into_inner()).await)
    }
}

/// The id of the request, which a layer in front of every service has seen to; cut to what an audit record has room for.
fn request_id<T>(request: &Request<T>) -> String {
    let id = request.metadata().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    id.chars().take(64).collect()
}

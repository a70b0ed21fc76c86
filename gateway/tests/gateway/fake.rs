//! A lock service that answers what it was told to, and remembers what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt, unfold};
use steward_gateway::{Options, router};
use steward_proto::lock::v1::lock_service_server::{LockService, LockServiceServer};
use steward_proto::lock::v1::watch_response::Update;
use steward_proto::lock::v1::*;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

type WatchResult = Result<WatchResponse, Status>;

/// The upstream's end of a watch, which ends when this is dropped.
pub(crate) struct Updates(UnboundedSender<WatchResult>);

impl Updates {
    pub(crate) fn send(&self, update: Update) {
        self.0.send(Ok(WatchResponse { revision: 1, update: Some(update) })).unwrap();
    }

    pub(crate) fn break_off(&self) {
        self.0.send(Err(Status::unavailable("gone"))).unwrap();
    }

    /// Returns when nobody watches any more.
    pub(crate) async fn unwatched(&self) {
        self.0.closed().await;
    }
}

/// What the service answers. By default, every call fails.
pub(crate) struct Script {
    pub(crate) acquire: Result<AcquireResponse, Status>,
    pub(crate) release: Result<ReleaseResponse, Status>,
    pub(crate) get: Result<GetResponse, Status>,
    pub(crate) watch: Result<(), Status>,
    /// How long each answer takes.
    pub(crate) delay: Duration,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            acquire: Err(unscripted()),
            release: Err(unscripted()),
            get: Err(unscripted()),
            watch: Err(unscripted()),
            delay: Duration::ZERO,
        }
    }
}

/// What the service was asked, newest last.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) acquire: Vec<AcquireRequest>,
    pub(crate) release: Vec<ReleaseRequest>,
    pub(crate) get: Vec<GetRequest>,
    pub(crate) watch: Vec<WatchRequest>,
    pub(crate) request_ids: Vec<Option<String>>,
}

#[derive(Clone)]
pub(crate) struct Fake {
    script: Arc<Script>,
    asked: Arc<Mutex<Asked>>,
    updates: Arc<Mutex<Option<UnboundedReceiver<WatchResult>>>>,
}

impl Fake {
    pub(crate) fn new(script: Script) -> Self {
        Self { script: Arc::new(script), asked: Arc::default(), updates: Arc::default() }
    }

    /// A service whose one watch sends the updates that it is given.
    pub(crate) fn watched() -> (Self, Updates) {
        let (sender, receiver) = unbounded_channel();
        let fake = Self::new(Script { watch: Ok(()), ..Script::default() });
        *fake.updates.lock().unwrap() = Some(receiver);
        (fake, Updates(sender))
    }

    pub(crate) fn router(&self) -> axum::Router {
        self.router_with(Options::default(), CancellationToken::new())
    }

    pub(crate) fn router_with(&self, options: Options, shutdown: CancellationToken) -> axum::Router {
        router(LockServiceServer::new(self.clone()), options, shutdown)
    }

    pub(crate) fn asked<T>(&self, read: impl FnOnce(&Asked) -> T) -> T {
        read(&self.asked.lock().unwrap())
    }

    async fn note<M>(&self, request: Request<M>, field: impl FnOnce(&mut Asked) -> &mut Vec<M>) {
        {
            let mut asked = self.asked.lock().unwrap();
            let id = request.metadata().get("x-request-id").map(|id| id.to_str().unwrap().to_owned());
            asked.request_ids.push(id);
            field(&mut asked).push(request.into_inner());
        }
        tokio::time::sleep(self.script.delay).await;
    }
}

/// An error as the real services give it. Its message must never reach a client.
pub(crate) fn refusal(code: Code, reason: &str) -> Status {
    Status::with_error_details(code, "secret", ErrorDetails::with_error_info(reason, "steward", HashMap::new()))
}

pub(crate) fn unscripted() -> Status {
    Status::unimplemented("not in the script")
}

#[tonic::async_trait]
impl LockService for Fake {
    type WatchStream = BoxStream<'static, WatchResult>;
    type KeepAliveStream = BoxStream<'static, Result<KeepAliveResponse, Status>>;

    async fn acquire(&self, request: Request<AcquireRequest>) -> Result<Response<AcquireResponse>, Status> {
        self.note(request, |asked| &mut asked.acquire).await;
        self.script.acquire.clone().map(Response::new)
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        self.note(request, |asked| &mut asked.release).await;
        self.script.release.clone().map(Response::new)
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        self.note(request, |asked| &mut asked.get).await;
        self.script.get.clone().map(Response::new)
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.note(request, |asked| &mut asked.watch).await;
        self.script.watch.clone()?;
        let updates = self.updates.lock().unwrap().take().expect("one watch for each fake");
        let stream = unfold(updates, async |mut updates| updates.recv().await.map(|update| (update, updates)));
        Ok(Response::new(stream.boxed()))
    }

    async fn renew(&self, _: Request<RenewRequest>) -> Result<Response<RenewResponse>, Status> {
        Err(unscripted())
    }

    async fn cancel_wait(&self, _: Request<CancelWaitRequest>) -> Result<Response<CancelWaitResponse>, Status> {
        Err(unscripted())
    }

    async fn list(&self, _: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        Err(unscripted())
    }

    async fn check_fencing_token(
        &self,
        _: Request<CheckFencingTokenRequest>,
    ) -> Result<Response<CheckFencingTokenResponse>, Status> {
        Err(unscripted())
    }

    async fn create_lease(&self, _: Request<CreateLeaseRequest>) -> Result<Response<CreateLeaseResponse>, Status> {
        Err(unscripted())
    }

    async fn get_lease(&self, _: Request<GetLeaseRequest>) -> Result<Response<GetLeaseResponse>, Status> {
        Err(unscripted())
    }

    async fn list_leases(&self, _: Request<ListLeasesRequest>) -> Result<Response<ListLeasesResponse>, Status> {
        Err(unscripted())
    }

    async fn keep_alive(
        &self,
        _: Request<tonic::Streaming<KeepAliveRequest>>,
    ) -> Result<Response<Self::KeepAliveStream>, Status> {
        Err(unscripted())
    }

    async fn revoke_lease(&self, _: Request<RevokeLeaseRequest>) -> Result<Response<RevokeLeaseResponse>, Status> {
        Err(unscripted())
    }

    async fn force_release(&self, _: Request<ForceReleaseRequest>) -> Result<Response<ForceReleaseResponse>, Status> {
        Err(unscripted())
    }

    async fn delete_completion(
        &self,
        _: Request<DeleteCompletionRequest>,
    ) -> Result<Response<DeleteCompletionResponse>, Status> {
        Err(unscripted())
    }

    async fn list_audit_records(
        &self,
        _: Request<ListAuditRecordsRequest>,
    ) -> Result<Response<ListAuditRecordsResponse>, Status> {
        Err(unscripted())
    }
}

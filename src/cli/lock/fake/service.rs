//! The service itself: one exclusive lock, whatever its key.

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use steward_proto::lock::v1::lock_service_server::LockService;
use steward_proto::lock::v1::release_request::Holder;
use steward_proto::lock::v1::watch_response::Update;
use steward_proto::lock::v1::*;
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status, Streaming};

use super::State;
use crate::cli::testing::{Answer, AnswerStream, not_here, refusal};

#[derive(Debug)]
pub(super) struct Service {
    pub(super) state: watch::Sender<State>,
}

impl Service {
    fn decide(&self, request: &AcquireRequest) -> AcquireResponse {
        let mut answer = AcquireResponse::default();
        self.state.send_modify(|state| {
            let skips = request.completion_policy() != CompletionPolicy::Ignore;
            if let Some(completion) = state.completion.clone().filter(|_| skips) {
                answer.set_status(AcquireStatus::Skipped);
                answer.completion = Some(completion);
            } else if state.holder.as_ref().is_none_or(|holder| holder.owner == request.owner) {
                let held = state.holder.clone();
                let grant = held.unwrap_or_else(|| state.grant_to(&request.owner));
                answer.set_status(AcquireStatus::Granted);
                answer.grant = Some(Grant { key: request.key.clone(), ttl: request.ttl, ..grant });
            } else {
                answer.set_status(AcquireStatus::Contended);
            }
        });
        answer
    }

    async fn wait(&self, request: &AcquireRequest) -> AcquireResponse {
        let mut changes = self.state.subscribe();
        loop {
            let is_free = |state: &State| state.holder.is_none() || state.completion.is_some();
            changes.wait_for(is_free).await.unwrap();
            let answer = self.decide(request);
            if answer.status() != AcquireStatus::Contended {
                return answer;
            }
        }
    }
}

#[tonic::async_trait]
impl LockService for Service {
    type WatchStream = AnswerStream<WatchResponse>;
    type KeepAliveStream = AnswerStream<KeepAliveResponse>;

    async fn acquire(&self, request: Request<AcquireRequest>) -> Answer<AcquireResponse> {
        let request = request.into_inner();
        self.state.send_modify(|state| state.acquires.push(request.clone()));
        let mut is_ended = false;
        self.state.send_modify(|state| is_ended = std::mem::take(&mut state.is_request_ended));
        if is_ended {
            return Err(refusal(Code::FailedPrecondition, "REQUEST_ENDED"));
        }
        if request.policy() != WaitPolicy::Block {
            return Ok(Response::new(self.decide(&request)));
        }
        let limit = request.wait_timeout.map_or(Duration::MAX, |limit| limit.try_into().unwrap());
        let answer = tokio::time::timeout(limit, self.wait(&request)).await;
        let timed_out = AcquireResponse { status: AcquireStatus::TimedOut.into(), ..AcquireResponse::default() };
        Ok(Response::new(answer.unwrap_or(timed_out)))
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Answer<ReleaseResponse> {
        let request = request.into_inner();
        let mut is_holder = false;
        self.state.send_modify(|state| {
            is_holder = state.holder.as_ref().is_some_and(|grant| match &request.holder {
                Some(Holder::GrantId(id)) => *id == grant.grant_id,
                Some(Holder::Owner(owner)) => *owner == grant.owner,
                None => false,
            });
            state.releases.push(request);
            if is_holder {
                state.holder = None;
            }
        });
        if is_holder { Ok(Response::new(ReleaseResponse::default())) } else { Err(not_holder()) }
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Answer<RenewResponse> {
        let request = request.into_inner();
        self.state.send_modify(|state| state.renewal_count += 1);
        let holder = self.state.borrow().holder.clone();
        let grant = holder.filter(|grant| grant.grant_id == request.grant_id).ok_or_else(not_holder)?;
        Ok(Response::new(RenewResponse { grant: Some(Grant { ttl: request.ttl, ..grant }), revision: 1 }))
    }

    async fn cancel_wait(&self, request: Request<CancelWaitRequest>) -> Answer<CancelWaitResponse> {
        let owner = request.into_inner().owner;
        self.state.send_modify(|state| state.cancel_count += 1);
        let is_holder = self.state.borrow().holder.as_ref().is_some_and(|grant| grant.owner == owner);
        Ok(Response::new(CancelWaitResponse { is_holder, ..CancelWaitResponse::default() }))
    }

    async fn get(&self, request: Request<GetRequest>) -> Answer<GetResponse> {
        let holders: Vec<_> = self.state.borrow().holder.clone().into_iter().collect();
        let holder_count = u32::try_from(holders.len()).unwrap();
        let lock = Lock { key: request.into_inner().key, holders, holder_count, ..Lock::default() };
        Ok(Response::new(GetResponse { lock: Some(lock) }))
    }

    /// The page token is the number of locks that were listed before.
    async fn list(&self, request: Request<ListRequest>) -> Answer<ListResponse> {
        let request = request.into_inner();
        let start: usize = request.page_token.parse().unwrap_or(0);
        let end = start + usize::try_from(request.page_size).unwrap();
        self.state.send_modify(|state| state.lists.push(request));
        let stored = &self.state.borrow().stored_locks;
        let end = end.min(stored.len());
        let next_page_token = if end < stored.len() { end.to_string() } else { String::new() };
        let locks = stored[start..end].to_vec();
        Ok(Response::new(ListResponse { locks, next_page_token, total_size: 0 }))
    }

    /// A snapshot at revision 5, an event at 6, then silence; nothing after a resume.
    async fn watch(&self, request: Request<WatchRequest>) -> Answer<Self::WatchStream> {
        let request = request.into_inner();
        let is_resumed = request.from_revision != 0;
        self.state.send_modify(|state| state.watches.push(request));
        if is_resumed && self.state.borrow().is_watch_compacted {
            return Err(refusal(Code::OutOfRange, "REVISION_COMPACTED"));
        }
        let steps = [
            WatchResponse { revision: 5, update: Some(Update::Snapshot(Lock::default())) },
            WatchResponse { revision: 5, update: Some(Update::SnapshotEnd(SnapshotEnd {})) },
            WatchResponse { revision: 6, update: Some(Update::Event(LockEvent::default())) },
        ];
        let sent = if is_resumed { 0 } else { steps.len() };
        let steps = stream::iter(steps.into_iter().take(sent).map(Ok));
        Ok(Response::new(steps.chain(stream::pending()).boxed()))
    }

    async fn force_release(&self, _: Request<ForceReleaseRequest>) -> Answer<ForceReleaseResponse> {
        Err(refusal(Code::NotFound, "NOT_FOUND"))
    }

    async fn check_fencing_token(&self, _: Request<CheckFencingTokenRequest>) -> Answer<CheckFencingTokenResponse> {
        Err(not_here())
    }

    async fn create_lease(&self, _: Request<CreateLeaseRequest>) -> Answer<CreateLeaseResponse> {
        Err(not_here())
    }

    async fn get_lease(&self, _: Request<GetLeaseRequest>) -> Answer<GetLeaseResponse> {
        Err(not_here())
    }

    async fn list_leases(&self, _: Request<ListLeasesRequest>) -> Answer<ListLeasesResponse> {
        Err(not_here())
    }

    async fn keep_alive(&self, _: Request<Streaming<KeepAliveRequest>>) -> Answer<Self::KeepAliveStream> {
        Err(not_here())
    }

    async fn revoke_lease(&self, _: Request<RevokeLeaseRequest>) -> Answer<RevokeLeaseResponse> {
        Err(not_here())
    }

    async fn delete_completion(&self, _: Request<DeleteCompletionRequest>) -> Answer<DeleteCompletionResponse> {
        Err(not_here())
    }

    async fn list_audit_records(&self, _: Request<ListAuditRecordsRequest>) -> Answer<ListAuditRecordsResponse> {
        Err(not_here())
    }
}

fn not_holder() -> Status {
    refusal(Code::FailedPrecondition, "NOT_HOLDER")
}

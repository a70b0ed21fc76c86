//! Words in which the tests speak to `LockService`.

use std::time::Duration;

use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use steward_proto::lock::v1::watch_response::Update;
use steward_proto::lock::v1::{
    AcquireRequest, AcquireResponse, AcquireStatus, CheckFencingTokenRequest, GetRequest, Grant, Lock, LockEvent,
    LockEventKind, LockKey, LockMode, Outcome, ReleaseRequest, ReleaseResponse, WaitPolicy, WatchRequest,
    WatchResponse, release_request::Holder,
};
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::common::server::Server;
use crate::common::wait::{eventually, within};

/// The lock that protects pulling a layer.
pub(crate) fn pull(resource_id: &str) -> LockKey {
    LockKey { r#type: "pull".to_owned(), resource_id: resource_id.to_owned() }
}

/// A request to hold a lock alone, without waiting.
pub(crate) fn acquire(key: &LockKey, owner: &str) -> AcquireRequest {
    AcquireRequest { key: Some(key.clone()), owner: owner.to_owned(), ..AcquireRequest::default() }
}

/// A release under the grant's id.
pub(crate) fn release(grant: &Grant, outcome: Outcome) -> ReleaseRequest {
    ReleaseRequest {
        key: grant.key.clone(),
        holder: Some(Holder::GrantId(grant.grant_id.clone())),
        outcome: outcome.into(),
        ..ReleaseRequest::default()
    }
}

/// What a request may say besides.
pub(crate) trait AcquireWords {
    fn enqueue(self) -> Self;
    fn block(self) -> Self;
    fn block_for(self, wait: Duration) -> Self;
    fn shared(self) -> Self;
    fn semaphore(self, capacity: u32, permits: u32) -> Self;
    fn ttl(self, ttl: Duration) -> Self;
    fn lease(self, lease_id: &str) -> Self;
    fn request_id(self, id: &str) -> Self;
}

impl AcquireWords for AcquireRequest {
    fn enqueue(mut self) -> Self {
        self.set_policy(WaitPolicy::Enqueue);
        self
    }

    fn block(mut self) -> Self {
        self.set_policy(WaitPolicy::Block);
        self
    }

    fn block_for(mut self, wait: Duration) -> Self {
        self.wait_timeout = Some(duration(wait));
        self.block()
    }

    fn shared(mut self) -> Self {
        self.set_mode(LockMode::Shared);
        self
    }

    fn semaphore(mut self, capacity: u32, permits: u32) -> Self {
        self.set_mode(LockMode::Semaphore);
        self.capacity = capacity;
        self.permits = permits;
        self
    }

    fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(duration(ttl));
        self
    }

    fn lease(mut self, lease_id: &str) -> Self {
        lease_id.clone_into(&mut self.lease_id);
        self
    }

    fn request_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.request_id);
        self
    }
}

/// A client of a server's locks.
#[derive(Clone, Debug)]
pub(crate) struct Locks {
    pub(crate) client: LockServiceClient<Channel>,
}

impl Locks {
    /// On a connection of its own.
    pub(crate) fn of(server: &Server) -> Self {
        Locks { client: LockServiceClient::new(server.channel()) }
    }

    pub(crate) async fn acquire(&self, request: AcquireRequest) -> Result<AcquireResponse, Status> {
        Ok(within("an answer to Acquire", self.client.clone().acquire(request)).await?.into_inner())
    }

    /// Acquires what is expected to be free.
    pub(crate) async fn hold(&self, request: AcquireRequest) -> Grant {
        let answer = self.acquire(request).await.expect("an answer");
        assert_eq!(answer.status(), AcquireStatus::Granted, "{answer:?}");
        answer.grant.expect("a grant")
    }

    /// Joins a queue; returns the place.
    pub(crate) async fn queue(&self, request: AcquireRequest) -> u32 {
        let answer = self.acquire(request.enqueue()).await.expect("an answer");
        assert_eq!(answer.status(), AcquireStatus::Queued, "{answer:?}");
        answer.queue_position
    }

    pub(crate) async fn release(&self, request: ReleaseRequest) -> Result<ReleaseResponse, Status> {
        Ok(within("an answer to Release", self.client.clone().release(request)).await?.into_inner())
    }

    /// Gives back what is surely held.
    pub(crate) async fn give_back(&self, grant: &Grant, outcome: Outcome) -> ReleaseResponse {
        self.release(release(grant, outcome)).await.expect("the holder can release")
    }

    pub(crate) async fn get(&self, key: &LockKey) -> Lock {
        let request = GetRequest { key: Some(key.clone()), claim_as: String::new() };
        let answer = within("an answer to Get", self.client.clone().get(request)).await.expect("any key can be read");
        answer.into_inner().lock.expect("a lock")
    }

    pub(crate) async fn is_current(&self, key: &LockKey, fencing_token: i64) -> bool {
        let request = CheckFencingTokenRequest { key: Some(key.clone()), fencing_token };
        let answer = within("an answer", self.client.clone().check_fencing_token(request)).await;
        answer.expect("any token can be checked").into_inner().is_current
    }

    /// Waits until so many wait.
    pub(crate) async fn see_waiters(&self, key: &LockKey, count: u32) {
        let what = format!("{count} wait for {key:?}");
        eventually(&what, async || (self.get(key).await.waiter_count == count).then_some(())).await;
    }

    pub(crate) async fn watch(&self, request: WatchRequest) -> Watch {
        let stream = within("the watch opens", self.client.clone().watch(request)).await;
        Watch { stream: stream.expect("the watch opens").into_inner(), revision: 0 }
    }

    /// A watch of one lock that has seen its snapshot.
    pub(crate) async fn watch_key(&self, key: &LockKey) -> Watch {
        let mut watch = self.watch(WatchRequest { key: Some(key.clone()), ..WatchRequest::default() }).await;
        watch.snapshot().await;
        watch
    }

    /// A watch of one lock that goes on after a revision.
    pub(crate) async fn resume(&self, key: &LockKey, from_revision: i64) -> Watch {
        self.watch(WatchRequest { key: Some(key.clone()), from_revision, ..WatchRequest::default() }).await
    }
}

/// A stream of changes.
#[derive(Debug)]
pub(crate) struct Watch {
    stream: Streaming<WatchResponse>,
    /// Everything up to it has been seen.
    pub(crate) revision: i64,
}

impl Watch {
    pub(crate) async fn next(&mut self) -> Result<Update, Status> {
        let message = within("the watch goes on", self.stream.message()).await?;
        let message = message.ok_or_else(|| Status::cancelled("the watch ended"))?;
        assert!(message.revision >= self.revision, "revisions never go back");
        self.revision = message.revision;
        Ok(message.update.expect("every message says what it is"))
    }

    /// The locks of the snapshot, up to its end.
    pub(crate) async fn snapshot(&mut self) -> Vec<Lock> {
        let mut locks = Vec::new();
        loop {
            match self.next().await.expect("the snapshot comes whole") {
                Update::Snapshot(lock) => locks.push(lock),
                Update::SnapshotEnd(_) => return locks,
                Update::Event(_) | Update::Progress(_) => panic!("the snapshot comes first"),
            }
        }
    }

    pub(crate) async fn event(&mut self) -> LockEvent {
        loop {
            match self.next().await.expect("an event comes") {
                Update::Event(event) => return event,
                Update::Progress(_) => {}
                Update::Snapshot(_) | Update::SnapshotEnd(_) => panic!("the snapshot is over"),
            }
        }
    }

    /// The kinds and owners of the next events.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<(LockEventKind, String)> {
        let mut seen = Vec::new();
        while seen.len() < count {
            let event = self.event().await;
            seen.push((event.kind(), event.owner));
        }
        seen
    }

    /// The next event of a kind; others are passed over.
    pub(crate) async fn next_of(&mut self, kind: LockEventKind) -> LockEvent {
        loop {
            let event = self.event().await;
            if event.kind() == kind {
                return event;
            }
        }
    }
}

/// The gRPC code and the reason for programs.
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "steward");
    (status.code(), info.reason.clone())
}

/// The fields that a request was refused for.
pub(crate) fn wrong_fields<T: std::fmt::Debug>(answer: Result<T, Status>) -> Vec<String> {
    let status = answer.expect_err("a refusal");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    let request = details.bad_request().unwrap_or_else(|| panic!("no BadRequest in {status:?}"));
    request.field_violations.iter().map(|violation| violation.field.clone()).collect()
}

pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().expect("a short time")
}

/// Nanoseconds from one moment to another.
pub(crate) fn nanos_between(from: Option<prost_types::Timestamp>, to: Option<prost_types::Timestamp>) -> i64 {
    let nanos = |time: Option<prost_types::Timestamp>| {
        let time = time.expect("the moment is known");
        time.seconds * 1_000_000_000 + i64::from(time.nanos)
    };
    nanos(to) - nanos(from)
}

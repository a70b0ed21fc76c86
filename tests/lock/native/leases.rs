//! Leases: one life for several locks.

use std::time::Duration;

use steward_proto::lock::v1::{
    CreateLeaseRequest, GetLeaseRequest, KeepAliveRequest, KeepAliveResponse, Lease, ListLeasesRequest, LockEventKind,
    RenewRequest, RevokeLeaseRequest, RevokeLeaseResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::common::server::Server;
use crate::common::wait::{eventually, within};
use crate::vocabulary::{AcquireWords as _, Locks, acquire, duration, nanos_between, pull, refusal, wrong_fields};

async fn create(locks: &Locks, owner: &str, ttl: Duration) -> Lease {
    let request = CreateLeaseRequest { ttl: Some(duration(ttl)), max_lifetime: None, owner: owner.to_owned() };
    let answer = within("an answer", locks.client.clone().create_lease(request)).await;
    answer.expect("a lease").into_inner().lease.expect("the lease")
}

async fn revoke(locks: &Locks, lease_id: &str) -> Result<RevokeLeaseResponse, Status> {
    let request = RevokeLeaseRequest { lease_id: lease_id.to_owned() };
    Ok(within("an answer", locks.client.clone().revoke_lease(request)).await?.into_inner())
}

async fn read(locks: &Locks, lease_id: &str) -> Result<Vec<String>, Status> {
    let request = GetLeaseRequest { lease_id: lease_id.to_owned() };
    let answer = within("an answer", locks.client.clone().get_lease(request)).await?.into_inner();
    assert_eq!(answer.lease.expect("the lease").lease_id, lease_id);
    Ok(answer.keys.into_iter().map(|key| key.resource_id).collect())
}

/// A stream of keep-alives.
struct KeepAlive {
    requests: mpsc::UnboundedSender<KeepAliveRequest>,
    answers: Streaming<KeepAliveResponse>,
}

impl KeepAlive {
    async fn open(locks: &Locks) -> Self {
        let (requests, receiver) = mpsc::unbounded_channel();
        let mut client = locks.client.clone();
        let answers = within("the stream opens", client.keep_alive(UnboundedReceiverStream::new(receiver))).await;
        KeepAlive { requests, answers: answers.expect("the stream opens").into_inner() }
    }

    async fn beat(&mut self, lease_id: &str) -> Option<Lease> {
        let request = KeepAliveRequest { lease_id: lease_id.to_owned() };
        self.requests.send(request).expect("the stream is open");
        let answer = within("an answer", self.answers.message()).await.expect("an answer").expect("it goes on");
        assert_eq!(answer.lease_id, lease_id, "answers come in order");
        answer.lease
    }
}

fn lease_expired() -> (Code, String) {
    (Code::NotFound, "LEASE_EXPIRED".to_owned())
}

const NOBODY: &str = "6e4a3f2a-3c58-4b0e-9f44-0f6f3b9a7f10";

#[tokio::test]
async fn a_lease_carries_its_locks_through_a_crash_and_gives_all_of_them_back() {
    let mut server = Server::start().await;
    let locks = Locks::of(&server);
    let lease = create(&locks, "NODEA", Duration::from_mins(10)).await;
    let keys = ["sha256:1", "sha256:2", "sha256:3"].map(pull);
    for key in &keys {
        let grant = locks.hold(acquire(key, "NODEA").lease(&lease.lease_id)).await;
        assert_eq!((grant.lease_id.as_str(), grant.expire_time), (lease.lease_id.as_str(), lease.expire_time));
        locks.queue(acquire(key, "NODEB")).await;
    }
    server.restart().await;
    assert_eq!(read(&locks, &lease.lease_id).await.expect("it lives").len(), 3);

    let revoked = revoke(&locks, &lease.lease_id).await.expect("it lives");

    assert_eq!(revoked.released_count, 3);
    for key in &keys {
        assert_eq!(locks.get(key).await.holders[0].owner, "NODEB", "released as failed: the queue is served");
    }
    assert_eq!(refusal(read(&locks, &lease.lease_id).await), lease_expired());
}

#[tokio::test]
async fn a_lease_lives_as_long_as_it_is_kept_alive() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:alive");
    let lease = create(&locks, "A", Duration::from_mins(1)).await;
    let grant = locks.hold(acquire(&key, "A").lease(&lease.lease_id)).await;
    let mut stream = KeepAlive::open(&locks).await;

    let mut end = lease.expire_time;
    for _ in 0..3 {
        let kept = stream.beat(&lease.lease_id).await.expect("it lives");
        assert!(nanos_between(end, kept.expire_time) > 0);
        end = kept.expire_time;
    }

    assert!(locks.is_current(&key, grant.fencing_token).await);
    assert_eq!(locks.get(&key).await.holders[0].expire_time, end, "the grant ends with its lease");
}

#[tokio::test]
async fn a_lease_that_is_gone_does_not_end_the_stream() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let lease = create(&locks, "A", Duration::from_mins(1)).await;
    let gone = create(&locks, "A", Duration::from_mins(1)).await;
    revoke(&locks, &gone.lease_id).await.expect("it lived");
    let mut stream = KeepAlive::open(&locks).await;

    assert_eq!(stream.beat(&gone.lease_id).await, None);
    assert_eq!(stream.beat(NOBODY).await, None);
    assert!(stream.beat(&lease.lease_id).await.is_some());
}

#[tokio::test]
async fn a_lease_that_ends_takes_its_locks_along() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:lost");
    let mut watch = locks.watch_key(&key).await;
    let lease = create(&locks, "A", Duration::from_secs(1)).await;
    locks.hold(acquire(&key, "A").lease(&lease.lease_id)).await;
    locks.queue(acquire(&key, "B")).await;

    let lost = watch.next_of(LockEventKind::LeaseLost).await;

    assert_eq!(lost.owner, "A");
    assert!(nanos_between(lease.expire_time, lost.event_time) >= 0, "not before its end");
    assert_eq!(watch.event().await.owner, "B");
    assert_eq!(refusal(read(&locks, &lease.lease_id).await), lease_expired());
}

#[tokio::test]
async fn keep_alives_cannot_pass_the_longest_life() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let request = CreateLeaseRequest {
        ttl: Some(duration(Duration::from_mins(1))),
        max_lifetime: Some(duration(Duration::from_mins(1))),
        owner: String::new(),
    };
    let lease = within("an answer", locks.client.clone().create_lease(request)).await.expect("a lease");
    let lease = lease.into_inner().lease.expect("the lease");
    let mut stream = KeepAlive::open(&locks).await;

    let kept = stream.beat(&lease.lease_id).await.expect("it lives");

    assert_eq!(kept.expire_time, lease.max_expire_time);
}

#[tokio::test]
async fn nothing_can_be_tied_to_a_lease_that_is_not() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let answer = locks.acquire(acquire(&pull("sha256:tied"), "A").lease(NOBODY)).await;
    assert_eq!(refusal(answer), lease_expired());
    assert_eq!(refusal(revoke(&locks, NOBODY).await), lease_expired());
    assert_eq!(locks.get(&pull("sha256:tied")).await.holder_count, 0);
}

#[tokio::test]
async fn a_grant_that_follows_a_lease_is_not_renewed_by_itself() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let lease = create(&locks, "A", Duration::from_mins(1)).await;
    let grant = locks.hold(acquire(&pull("sha256:follow"), "A").lease(&lease.lease_id)).await;
    let request = RenewRequest { key: grant.key, grant_id: grant.grant_id, ttl: None };

    let answer = within("an answer", locks.client.clone().renew(request)).await;

    assert_eq!(answer.expect_err("a refusal").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_lease_needs_a_ttl_in_bounds() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    for ttl in [None, Some(Duration::from_millis(9)), Some(Duration::from_secs(30 * 24 * 60 * 60 + 1))] {
        let request = CreateLeaseRequest { ttl: ttl.map(duration), ..CreateLeaseRequest::default() };
        let answer = within("an answer", locks.client.clone().create_lease(request)).await;
        assert_eq!(wrong_fields(answer), ["ttl"], "{ttl:?}");
    }
}

#[tokio::test]
async fn leases_are_listed_by_pages_and_by_owner() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    for number in 0..7 {
        create(&locks, if number < 5 { "A" } else { "B" }, Duration::from_mins(1)).await;
    }
    let mut seen = Vec::new();
    let mut request = ListLeasesRequest { owner: "A".to_owned(), page_size: 2, page_token: String::new() };
    loop {
        let is_first = request.page_token.is_empty();
        let page = within("an answer", locks.client.clone().list_leases(request.clone())).await;
        let page = page.expect("a page").into_inner();
        assert_eq!(page.total_size, if is_first { 5 } else { 0 });
        assert!(page.leases.len() <= 2);
        seen.extend(page.leases.into_iter().map(|lease| lease.lease_id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn an_ended_lease_is_not_listed() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    create(&locks, "A", Duration::from_millis(50)).await;
    let list = async || {
        let page = within("an answer", locks.client.clone().list_leases(ListLeasesRequest::default())).await;
        page.expect("a page").into_inner().leases.len()
    };
    eventually("it is gone from the list", async || (list().await == 0).then_some(())).await;
}

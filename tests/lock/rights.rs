//! Two tenants on one server: neither touches what the other holds.

use steward_proto::auth::v1::CreateTokenRequest;
use steward_proto::auth::v1::token_service_client::TokenServiceClient;
use steward_proto::lock::v1::{
    AcquireRequest, AcquireResponse, AcquireStatus, CreateLeaseRequest, ForceReleaseRequest, GetLeaseRequest,
    GetRequest, KeepAliveRequest, ListAuditRecordsRequest, ListLeasesRequest, LockKey, RevokeLeaseRequest,
    WatchRequest,
};
use tonic::{Code, Request, Response, Status};

use crate::common::server::{Server, Setup};
use crate::common::users::by;
use crate::common::wait::within;
use crate::common::{temporary, users};
use crate::vocabulary::{AcquireWords as _, Locks, acquire, duration, refusal};

const TABLE: &str = r"
ops lock * admin
alice lock team-a/* read,write
bob lock team-b/* admin
carol lock team-b/* read,write as node-*
carol lock team-c/* read,write
dave lock team-a/* read
";

/// A server with two tenants. The password of everybody is the name.
async fn start() -> Server {
    let home = temporary::directory();
    let config = users::settings(home.path(), &["ops", "alice", "bob", "carol", "dave"], TABLE);
    Setup::default().config(&format!("{config}[lock]\nmax_watchers = 8\n")).start_in(home).await
}

fn key(team: &str, resource_id: &str) -> LockKey {
    LockKey { r#type: team.to_owned(), resource_id: resource_id.to_owned() }
}

fn denied() -> (Code, String) {
    (Code::PermissionDenied, "PERMISSION_DENIED".to_owned())
}

fn expired() -> (Code, String) {
    (Code::NotFound, "LEASE_EXPIRED".to_owned())
}

async fn take(locks: &Locks, user: &str, request: AcquireRequest) -> Result<Response<AcquireResponse>, Status> {
    within("an answer to Acquire", locks.client.clone().acquire(by(user, request))).await
}

/// The id of a lease that a user makes, for an owner or without one.
async fn lease(locks: &Locks, user: &str, owner: &str) -> String {
    let answer = within("an answer", locks.client.clone().create_lease(by(user, wish(owner)))).await;
    answer.expect("a lease").into_inner().lease.expect("the lease").lease_id
}

fn wish(owner: &str) -> CreateLeaseRequest {
    let ttl = Some(duration(std::time::Duration::from_hours(1)));
    CreateLeaseRequest { ttl, owner: owner.to_owned(), max_lifetime: None }
}

async fn owners_of_leases(locks: &Locks, user: &str) -> Vec<String> {
    let answer = within("a list", locks.client.clone().list_leases(by(user, ListLeasesRequest::default()))).await;
    let mut owners: Vec<_> = answer.expect("a list").into_inner().leases.into_iter().map(|lease| lease.owner).collect();
    owners.sort();
    owners
}

#[tokio::test]
async fn a_lease_is_for_its_owner_and_for_who_administers_all_locks() {
    let server = start().await;
    let locks = Locks::of(&server);
    let lease_id = lease(&locks, "alice", "").await;
    let mine = acquire(&key("team-a", "x"), "alice").lease(&lease_id);
    let taken = take(&locks, "alice", mine.clone()).await.expect("an answer").into_inner();
    assert_eq!(taken.status(), AcquireStatus::Granted);
    lease(&locks, "carol", "node-1").await;

    for (user, seen) in [("alice", &["alice"][..]), ("bob", &[]), ("carol", &["node-1"]), ("ops", &["alice", "node-1"])]
    {
        assert_eq!(owners_of_leases(&locks, user).await, seen, "{user}");
    }
    for user in ["bob", "carol"] {
        let mut client = locks.client.clone();
        let get = GetLeaseRequest { lease_id: lease_id.clone() };
        assert_eq!(refusal(client.get_lease(by(user, get)).await), expired(), "{user}");
        let revoke = RevokeLeaseRequest { lease_id: lease_id.clone() };
        assert_eq!(refusal(client.revoke_lease(by(user, revoke)).await), expired(), "{user}");
        let beat = tokio_stream::once(KeepAliveRequest { lease_id: lease_id.clone() });
        let mut beats = client.keep_alive(by(user, beat)).await.expect("a stream").into_inner();
        let beat = within("an answer", beats.message()).await.expect("an answer").expect("an answer");
        assert_eq!(beat.lease, None, "{user}");
        let tied = acquire(&key("team-b", user), user).lease(&lease_id);
        assert_eq!(refusal(take(&locks, user, tied).await), expired(), "{user}");
        assert_eq!(refusal(client.create_lease(by(user, wish("alice"))).await), denied(), "{user}");
    }
    let again = take(&locks, "alice", mine).await.expect("an answer").into_inner();
    assert_eq!(again.grant.map(|grant| grant.grant_id), taken.grant.map(|grant| grant.grant_id), "it is held still");
    let revoke = RevokeLeaseRequest { lease_id };
    let revoked = within("an answer", locks.client.clone().revoke_lease(by("ops", revoke))).await.expect("an answer");
    assert_eq!(revoked.into_inner().released_count, 1);
}

/// The same request by a token.
fn with<T>(token: &str, message: T) -> Request<T> {
    users::signed(&format!("Bearer {token}"), message)
}

#[tokio::test]
async fn a_token_changes_no_lease_that_has_locks_beyond_its_scopes() {
    let server = start().await;
    let mut client = Locks::of(&server).client;
    let scopes = vec!["lock:team-c/*:read,write".to_owned()];
    let request = by("carol", CreateTokenRequest { scopes, ..CreateTokenRequest::default() });
    let made = TokenServiceClient::new(server.channel()).create_token(request).await.expect("a token");
    let token = made.into_inner().secret;
    let lease_id = lease(&Locks::of(&server), "carol", "").await;
    let tied = |team: &str| acquire(&key(team, "x"), "carol").lease(&lease_id);
    let beat = || tokio_stream::once(KeepAliveRequest { lease_id: lease_id.clone() });
    let revoke = || RevokeLeaseRequest { lease_id: lease_id.clone() };

    client.acquire(with(&token, tied("team-c"))).await.expect("it is free");
    let mut beats = client.keep_alive(with(&token, beat())).await.expect("a stream").into_inner();
    assert!(beats.message().await.expect("an answer").expect("an answer").lease.is_some());

    client.acquire(by("carol", tied("team-b"))).await.expect("it is free");
    let again = AcquireRequest { key: Some(key("team-c", "y")), ..tied("team-c") };
    assert_eq!(refusal(client.acquire(with(&token, again)).await), denied());
    let mut beats = client.keep_alive(with(&token, beat())).await.expect("a stream").into_inner();
    assert_eq!(beats.message().await.expect("an answer").expect("an answer").lease, None);
    assert_eq!(refusal(client.revoke_lease(with(&token, revoke())).await), denied());
    let get = GetLeaseRequest { lease_id: lease_id.clone() };
    let seen = client.get_lease(with(&token, get)).await.expect("its owner sees it").into_inner();
    assert_eq!(seen.keys, [key("team-c", "x")]);

    let revoked = client.revoke_lease(by("carol", revoke())).await.expect("all of it is the user's");
    assert_eq!(revoked.into_inner().released_count, 2);
}

#[tokio::test]
async fn one_user_has_a_quarter_of_the_watches_at_most() {
    let server = start().await;
    let mut client = Locks::of(&server).client;
    let watch = || WatchRequest { key: Some(key("team-b", "x")), ..WatchRequest::default() };
    let mut watches = Vec::new();
    for user in ["carol", "carol", "bob"] {
        watches.push(client.watch(by(user, watch())).await.expect("a watch"));
    }
    let third = refusal(client.watch(by("carol", watch())).await);
    assert_eq!(third, (Code::ResourceExhausted, "TOO_MANY_WATCHERS".to_owned()));
    watches.push(client.watch(by("ops", watch())).await.expect("a watch"));
}

#[tokio::test]
async fn who_may_only_read_a_lock_claims_nothing() {
    let server = start().await;
    let mut client = Locks::of(&server).client;
    let get = |claim_as: &str| GetRequest { key: Some(key("team-a", "x")), claim_as: claim_as.to_owned() };
    assert_eq!(refusal(client.get(by("dave", get("dave"))).await), denied());
    client.get(by("dave", get(""))).await.expect("it may be read");
    client.get(by("alice", get("alice"))).await.expect("it may be claimed");
}

#[tokio::test]
async fn an_act_is_recorded_of_the_user_who_has_signed_in() {
    let server = start().await;
    let locks = Locks::of(&server);
    let key = key("team-b", "x");
    take(&locks, "bob", acquire(&key, "bob")).await.expect("it is free");
    let reason = "a test".to_owned();
    let request = ForceReleaseRequest { key: Some(key), reason, actor: "alice".to_owned(), ..Default::default() };
    locks.client.clone().force_release(by("bob", request)).await.expect("it is held");
    let request = ListAuditRecordsRequest::default();
    let answer = locks.client.clone().list_audit_records(by("ops", request)).await.expect("a list");
    let actors: Vec<_> = answer.into_inner().records.into_iter().map(|record| record.actor).collect();
    assert_eq!(actors, ["bob (alice)"]);
}

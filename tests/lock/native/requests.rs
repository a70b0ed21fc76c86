//! Grants: their tokens, ids and ends; retries that are safe; requests that are wrong.

use std::time::Duration;

use steward_proto::lock::v1::release_request::Holder;
use steward_proto::lock::v1::{
    AcquireRequest, AcquireStatus, CheckFencingTokenRequest, Grant, LockKey, Outcome, ReleaseRequest, RenewRequest,
    RenewResponse,
};
use tonic::{Code, Status};

use crate::common::server::Server;
use crate::common::wait::{eventually, within};
use crate::vocabulary::{
    AcquireWords as _, Locks, acquire, duration, nanos_between, pull, refusal, release, wrong_fields,
};

async fn renew(locks: &Locks, grant: &Grant, ttl: Option<Duration>) -> Result<RenewResponse, Status> {
    let request = RenewRequest { key: grant.key.clone(), grant_id: grant.grant_id.clone(), ttl: ttl.map(duration) };
    Ok(within("an answer to Renew", locks.client.clone().renew(request)).await?.into_inner())
}

#[tokio::test]
async fn a_grant_says_all_about_itself_to_its_holder_only() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:grant");

    let grant = locks.hold(acquire(&key, "A").ttl(Duration::from_mins(1))).await;

    assert_eq!((grant.key.as_ref(), grant.owner.as_str()), (Some(&key), "A"));
    let id: uuid::Uuid = grant.grant_id.parse().expect("a UUID");
    assert_eq!(id.get_version_num(), 4, "random");
    assert_eq!(nanos_between(grant.grant_time, grant.expire_time), 60_000_000_000);
    assert_eq!(grant.ttl, Some(duration(Duration::from_mins(1))));
    assert_eq!(grant.max_expire_time, None);
    let shown = locks.get(&key).await.holders.remove(0);
    assert_eq!(shown, Grant { grant_id: String::new(), ..grant });
}

#[tokio::test]
async fn every_grant_has_a_greater_token_and_another_id() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:tokens");
    let mut last = locks.hold(acquire(&key, "A")).await;
    for round in 0..10 {
        locks.give_back(&last, if round % 2 == 0 { Outcome::Failed } else { Outcome::Released }).await;
        let grant = locks.hold(acquire(&key, "A")).await;
        assert!(grant.fencing_token > last.fencing_token);
        assert_ne!(grant.grant_id, last.grant_id);
        last = grant;
    }
}

#[tokio::test]
async fn a_writer_that_was_overtaken_is_told_so() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:fencing");
    let check = async |token: i64| {
        let request = CheckFencingTokenRequest { key: Some(key.clone()), fencing_token: token };
        let answer = within("an answer", locks.client.clone().check_fencing_token(request)).await;
        let answer = answer.expect("any token can be checked").into_inner();
        (answer.is_current, answer.newest_fencing_token)
    };
    assert_eq!(check(7).await, (false, 0), "nothing is known of the lock");
    let first = locks.hold(acquire(&key, "A")).await;
    assert_eq!(check(first.fencing_token).await, (true, first.fencing_token));

    locks.queue(acquire(&key, "B")).await;
    locks.give_back(&first, Outcome::Failed).await;

    let (is_current, newest) = check(first.fencing_token).await;
    assert!(!is_current && newest > first.fencing_token);
    assert!(!check(newest).await.0, "it is not claimed yet");
    let second = locks.hold(acquire(&key, "B")).await;
    assert_eq!(check(second.fencing_token).await, (true, newest));
    assert!(!check(newest + 1).await.0, "a token of the future is not current");
}

#[tokio::test]
async fn renewing_moves_the_end() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let grant = locks.hold(acquire(&pull("sha256:renew"), "A").ttl(Duration::from_secs(20))).await;

    let same = renew(&locks, &grant, None).await.expect("the holder can renew").grant.expect("the grant");
    let longer = renew(&locks, &grant, Some(Duration::from_secs(90))).await.expect("with another ttl");

    assert!(nanos_between(grant.expire_time, same.expire_time) > 0);
    assert_eq!((same.fencing_token, &same.grant_id), (grant.fencing_token, &grant.grant_id));
    assert!(nanos_between(same.expire_time, longer.grant.expect("the grant").expire_time) > 60_000_000_000);
}

#[tokio::test]
async fn renewals_cannot_pass_the_longest_life() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:lifetime");
    let mut request = acquire(&key, "A").ttl(Duration::from_mins(1));
    request.max_lifetime = Some(duration(Duration::from_secs(90)));
    let grant = locks.hold(request).await;
    assert_eq!(nanos_between(grant.grant_time, grant.max_expire_time), 90_000_000_000);

    let renewed = renew(&locks, &grant, Some(Duration::from_mins(10))).await.expect("the holder can renew");

    let renewed = renewed.grant.expect("the grant");
    assert_eq!(renewed.expire_time, grant.max_expire_time);
}

#[tokio::test]
async fn a_grant_without_ttl_needs_one_to_be_renewed() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let grant = locks.hold(acquire(&pull("sha256:endless"), "A")).await;
    assert_eq!(wrong_fields(renew(&locks, &grant, None).await), ["ttl"]);
    renew(&locks, &grant, Some(Duration::from_secs(30))).await.expect("now it has one");
}

#[tokio::test]
async fn only_the_living_grant_can_be_renewed_or_released() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:holder");
    let not_holder = || (Code::FailedPrecondition, "NOT_HOLDER".to_owned());
    let old = locks.hold(acquire(&key, "A")).await;
    locks.give_back(&old, Outcome::Released).await;
    locks.hold(acquire(&key, "A")).await;

    assert_eq!(refusal(renew(&locks, &old, Some(Duration::from_secs(30))).await), not_holder());
    assert_eq!(refusal(locks.release(release(&old, Outcome::Released)).await), not_holder(), "its id is stale");
    let by_name = |owner: &str| ReleaseRequest {
        key: Some(key.clone()),
        holder: Some(Holder::Owner(owner.to_owned())),
        ..ReleaseRequest::default()
    };
    assert_eq!(refusal(locks.release(by_name("B")).await), not_holder());
    locks.release(by_name("A")).await.expect("the name will do");
    assert_eq!(refusal(locks.release(by_name("A")).await), not_holder());
}

#[tokio::test]
async fn a_success_can_be_reported_again_by_its_grant() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let grant = locks.hold(acquire(&pull("sha256:twice"), "A")).await;
    let first = locks.give_back(&grant, Outcome::Succeeded).await;

    let second = locks.give_back(&grant, Outcome::Succeeded).await;

    assert_eq!(second.completion, first.completion);
    let failed = locks.release(release(&grant, Outcome::Failed)).await;
    assert_eq!(refusal(failed), (Code::FailedPrecondition, "NOT_HOLDER".to_owned()));
}

#[tokio::test]
async fn a_repeated_request_finds_what_the_first_one_got_even_after_a_crash() {
    let mut server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:retry");
    let request = acquire(&key, "A").request_id("pull-1");
    let grant = locks.hold(request.clone()).await;
    assert_eq!(locks.hold(request.clone()).await, grant);
    server.restart().await;
    assert_eq!(locks.hold(request.clone()).await, grant);

    let back = ReleaseRequest { request_id: "release-1".to_owned(), ..release(&grant, Outcome::Failed) };
    locks.release(back.clone()).await.expect("the holder can release");
    server.restart().await;

    locks.release(back).await.expect("the retry gets the first answer");
    let late = locks.acquire(request).await;
    assert_eq!(refusal(late), (Code::FailedPrecondition, "REQUEST_ENDED".to_owned()));
    locks.hold(acquire(&key, "A").request_id("pull-2")).await;
}

#[tokio::test]
async fn the_store_revision_of_an_answer_is_where_a_watch_goes_on() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:revision");
    let answer = locks.acquire(acquire(&key, "A")).await.expect("an answer");
    assert_eq!(answer.status(), AcquireStatus::Granted);
    assert!(answer.revision > 0);

    let mut watch = locks.resume(&key, answer.revision).await;
    locks.queue(acquire(&key, "B")).await;

    assert_eq!(watch.event().await.owner, "B", "the grant itself is behind the revision");
}

#[tokio::test]
async fn an_expired_grant_is_gone_for_its_holder() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:expired");
    let grant = locks.hold(acquire(&key, "A").ttl(Duration::from_millis(50))).await;

    eventually("it expires", async || (!locks.is_current(&key, grant.fencing_token).await).then_some(())).await;

    let not_holder = (Code::FailedPrecondition, "NOT_HOLDER".to_owned());
    assert_eq!(refusal(renew(&locks, &grant, None).await), not_holder);
    assert_eq!(refusal(locks.release(release(&grant, Outcome::Succeeded)).await), not_holder);
    assert_eq!(locks.get(&key).await.holder_count, 0);
}

#[tokio::test]
async fn a_wrong_request_is_told_every_wrong_field() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:wrong");
    let long = "x".repeat(1025);
    let longest = "x".repeat(1024);
    let with_key = |kind: &str, resource: &str| {
        acquire(&LockKey { r#type: kind.to_owned(), resource_id: resource.to_owned() }, "A")
    };
    let lifetime =
        |seconds| AcquireRequest { max_lifetime: Some(duration(Duration::from_secs(seconds))), ..acquire(&key, "A") };
    let day = 24 * 60 * 60;
    let cases: Vec<(AcquireRequest, &[&str])> = vec![
        (AcquireRequest { owner: "A".to_owned(), ..AcquireRequest::default() }, &["key"]),
        (with_key("", "sha256:wrong"), &["key.type"]),
        (with_key("pull", ""), &["key.resource_id"]),
        (with_key(&long, "sha256:wrong"), &["key.type"]),
        (with_key("pull", &long), &["key.resource_id"]),
        (acquire(&key, ""), &["owner"]),
        (acquire(&key, &long), &["owner"]),
        (acquire(&with_key(&long, "").key.expect("a key"), ""), &["key.resource_id", "key.type", "owner"]),
        (AcquireRequest { mode: 9, ..acquire(&key, "A") }, &["mode"]),
        (AcquireRequest { policy: 9, ..acquire(&key, "A") }, &["policy"]),
        (acquire(&key, "A").semaphore(0, 1), &["capacity"]),
        (acquire(&key, "A").semaphore(1_000_001, 1), &["capacity"]),
        (acquire(&key, "A").semaphore(2, 3), &["permits"]),
        (acquire(&key, "A").ttl(Duration::from_millis(9)), &["ttl"]),
        (acquire(&key, "A").ttl(Duration::from_secs(30 * day + 1)), &["ttl"]),
        (lifetime(365 * day + 1), &["max_lifetime"]),
        (acquire(&key, "A").block_for(Duration::from_secs(day + 1)), &["wait_timeout"]),
        (acquire(&key, "A").request_id(&"x".repeat(129)), &["request_id"]),
    ];
    for (request, expected) in cases {
        let shown = format!("{expected:?} of {request:?}");
        let answer = locks.acquire(request).await;
        assert_eq!(answer.as_ref().map_err(Status::code).err(), Some(Code::InvalidArgument), "{shown}");
        let mut fields = wrong_fields(answer);
        fields.sort();
        assert_eq!(fields, expected, "{shown}");
    }
    locks.hold(acquire(&LockKey { r#type: longest.clone(), resource_id: longest.clone() }, &longest)).await;
}

//! Watching: a snapshot, then every change, from any revision on.

use std::time::Duration;

use steward_proto::lock::v1::watch_response::Update;
use steward_proto::lock::v1::{LockEventKind, LockKey, Outcome, WatchRequest};

use LockEventKind::{Assigned, Claimed, Completed, Enqueued, Granted, Released, Renewed};

use crate::common::server::Server;
use crate::common::wait::within;
use crate::vocabulary::{AcquireWords as _, Locks, acquire, duration, pull};

#[tokio::test]
async fn a_watch_starts_with_how_things_are() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let (held, done, other) = (pull("sha256:a"), pull("sha256:b"), pull("md5:c"));
    locks.hold(acquire(&held, "A")).await;
    let grant = locks.hold(acquire(&done, "A")).await;
    locks.give_back(&grant, Outcome::Succeeded).await;
    locks.hold(acquire(&other, "A")).await;
    locks.hold(acquire(&LockKey { r#type: "update".to_owned(), ..held.clone() }, "A")).await;
    let snapshot = async |r#type: &str, prefix: &str| {
        let request = WatchRequest {
            r#type: r#type.to_owned(),
            resource_id_prefix: prefix.to_owned(),
            ..WatchRequest::default()
        };
        locks.watch(request).await.snapshot().await
    };

    let layers = snapshot("pull", "sha256:").await;

    let keys: Vec<_> = layers.iter().map(|lock| lock.key.clone().expect("a key")).collect();
    assert_eq!(keys, [held, done]);
    assert_eq!((layers[0].holder_count, &layers[1].completion.is_some()), (1, &true));
    assert!(layers.iter().all(|lock| lock.holders.iter().all(|grant| grant.grant_id.is_empty())));
    assert_eq!(snapshot("pull", "").await.len(), 3);
    assert_eq!(snapshot("", "").await.len(), 4);
    assert_eq!(snapshot("delete", "").await.len(), 0);
}

#[tokio::test]
async fn every_change_is_told_in_order() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:story");
    let mut watch = locks.watch_key(&key).await;

    let first = locks.hold(acquire(&key, "A")).await;
    locks.queue(acquire(&key, "B")).await;
    locks.give_back(&first, Outcome::Failed).await;
    let second = locks.hold(acquire(&key, "B")).await;
    locks.hold(acquire(&key, "B").ttl(Duration::from_mins(1))).await;
    locks.give_back(&second, Outcome::Succeeded).await;

    let story = [
        (Granted, "A"),
        (Enqueued, "B"),
        (Released, "A"),
        (Assigned, "B"),
        (Claimed, "B"),
        (Renewed, "B"),
        (Released, "B"),
        (Completed, "B"),
    ];
    assert_eq!(watch.events(story.len()).await, story.map(|(kind, owner)| (kind, owner.to_owned())));
}

#[tokio::test]
async fn an_event_says_what_happened_but_not_the_secret_of_the_grant() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:event");
    let mut watch = locks.watch_key(&key).await;
    let grant = locks.hold(acquire(&key, "A")).await;
    let mut back = crate::vocabulary::release(&grant, Outcome::Failed);
    back.error = "下载失败".to_owned();
    locks.release(back).await.expect("the holder can release");

    let released = watch.next_of(LockEventKind::Released).await;

    assert_eq!((released.outcome(), released.error.as_str()), (Outcome::Failed, "下载失败"));
    assert_eq!(released.key, Some(key));
    assert!(released.event_time.is_some());
    let told = released.grant.expect("the grant");
    assert_eq!((told.fencing_token, told.grant_id.as_str()), (grant.fencing_token, ""));
}

#[tokio::test]
async fn a_watch_goes_on_where_it_stopped_even_after_a_crash() {
    let mut server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:resume");
    let mut watch = locks.watch_key(&key).await;
    let first = locks.hold(acquire(&key, "A")).await;
    assert_eq!(watch.event().await.kind(), LockEventKind::Granted);
    let seen = watch.revision;
    drop(watch);
    locks.give_back(&first, Outcome::Released).await;
    server.restart().await;
    locks.hold(acquire(&key, "B")).await;

    let mut resumed = locks.resume(&key, seen).await;

    let missed = [(LockEventKind::Released, "A".to_owned()), (LockEventKind::Granted, "B".to_owned())];
    assert_eq!(resumed.events(2).await, missed);
}

#[tokio::test]
async fn many_changes_are_all_told_to_who_resumes() {
    const ROUNDS: usize = 300;
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:many");
    let from = locks.acquire(acquire(&key, "first")).await.expect("an answer").revision;
    for number in 0..ROUNDS {
        locks.queue(acquire(&key, &format!("waiter-{number}"))).await;
        locks.hold(acquire(&pull(&format!("sha256:elsewhere-{number}")), "X")).await;
    }

    let mut watch = locks.resume(&key, from).await;

    for number in 0..ROUNDS {
        assert_eq!(watch.event().await.owner, format!("waiter-{number}"));
    }
}

#[tokio::test]
async fn a_quiet_watch_shows_that_it_lives() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let request = WatchRequest {
        key: Some(pull("sha256:quiet")),
        progress_interval: Some(duration(Duration::from_secs(1))),
        ..WatchRequest::default()
    };
    let mut watch = locks.watch(request).await;
    watch.snapshot().await;

    for _ in 0..2 {
        assert!(matches!(watch.next().await.expect("it goes on"), Update::Progress(_)));
    }
}

#[tokio::test]
async fn progress_lets_a_watch_resume_past_what_did_not_concern_it() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:mine");
    let request = WatchRequest {
        key: Some(key.clone()),
        progress_interval: Some(duration(Duration::from_secs(1))),
        ..WatchRequest::default()
    };
    let mut watch = locks.watch(request).await;
    watch.snapshot().await;
    let elsewhere = locks.acquire(acquire(&pull("sha256:elsewhere"), "A")).await.expect("an answer");

    within("progress passes what happened elsewhere", async {
        while watch.revision < elsewhere.revision {
            assert!(matches!(watch.next().await.expect("it goes on"), Update::Progress(_)));
        }
    })
    .await;

    let mut resumed = locks.resume(&key, watch.revision).await;
    locks.hold(acquire(&key, "A")).await;
    assert_eq!(resumed.event().await.kind(), LockEventKind::Granted);
}

#[tokio::test]
async fn a_holder_learns_of_its_loss() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:loss");
    let mut watch = locks.watch_key(&key).await;
    let grant = locks.hold(acquire(&key, "A").ttl(Duration::from_millis(100))).await;

    let lost = watch.next_of(LockEventKind::Expired).await;

    assert_eq!(lost.owner, "A");
    assert_eq!(lost.grant.expect("the grant").fencing_token, grant.fencing_token);
}

#[tokio::test]
async fn a_watch_that_is_never_read_delays_nobody() {
    const ROUNDS: usize = 2000;
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = LockKey { r#type: "pull".to_owned(), resource_id: format!("sha256:{}", "s".repeat(1000)) };
    let owner = "A".repeat(1000);
    // On a connection of its own, whose window it fills.
    let asleep = Locks::of(&server).watch_key(&key).await;
    let mut awake = Locks::of(&server).watch_key(&key).await;

    for _ in 0..ROUNDS {
        let grant = locks.hold(acquire(&key, &owner)).await;
        locks.give_back(&grant, Outcome::Released).await;
        awake.events(2).await;
    }

    drop(asleep);
}

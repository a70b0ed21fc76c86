//! Limits, and how they are told.

use futures::{StreamExt as _, stream};
use steward_proto::lock::v1::{CancelWaitRequest, LockEventKind, Outcome, ReleaseRequest, WatchRequest};
use tonic::Code;

use crate::common::server::Server;
use crate::common::wait::{eventually, within};
use crate::legacy::{Api, QUEUED};
use crate::vocabulary::{Locks, acquire, pull, refusal, release};

const MAX_WAITERS: u32 = 10_000;
const MAX_WATCHERS: usize = 1000;
/// Calls that run at the same time.
const AT_ONCE: usize = 128;

#[tokio::test]
async fn ten_thousand_owners_may_wait_for_one_lock() {
    let server = Server::start().await;
    let (api, locks) = (Api::of(&server), Locks::of(&server));
    let key = pull("sha256:wanted");
    locks.hold(acquire(&key, "holder")).await;
    let queued = stream::iter(0..MAX_WAITERS).map(|number| {
        let (locks, request) = (locks.clone(), acquire(&key, &format!("waiter-{number}")));
        async move { locks.queue(request).await }
    });
    let mut places: Vec<u32> = queued.buffer_unordered(AT_ONCE).collect().await;
    places.sort_unstable();
    assert!(places.into_iter().eq(1..=MAX_WAITERS), "everybody has a place of its own");

    let mut request = acquire(&key, "one too many");
    request.set_policy(steward_proto::lock::v1::WaitPolicy::Enqueue);
    let native = locks.acquire(request).await;
    let legacy = api.lock("pull", "sha256:wanted", "one too many").await;

    assert_eq!(refusal(native), (Code::ResourceExhausted, "QUEUE_FULL".to_owned()));
    assert_eq!(legacy.status, 403);
    assert!(legacy.text().starts_with(r#"{"acquired":false,"error":""#), "{}", legacy.text());
    assert_eq!(api.lock("pull", "sha256:wanted", "waiter-77").await.parts(), QUEUED, "who waits may ask again");
    let leave = CancelWaitRequest { key: Some(key.clone()), owner: "waiter-77".to_owned() };
    within("an answer", locks.client.clone().cancel_wait(leave)).await.expect("anybody may leave");
    assert_eq!(api.lock("pull", "sha256:wanted", "one too many").await.parts(), QUEUED);
    let lock = locks.get(&key).await;
    assert_eq!((lock.waiter_count, lock.waiters.len()), (MAX_WAITERS, 100), "a list of all would be too long");
}

#[tokio::test]
async fn a_thousand_watches_may_be_open() {
    let server = Server::start().await;
    let request = || WatchRequest { key: Some(pull("sha256:watched")), ..WatchRequest::default() };
    let mut open = Vec::new();
    let mut locks = Locks::of(&server);
    for number in 0..MAX_WATCHERS {
        if number % 100 == 0 {
            locks = Locks::of(&server);
        }
        open.push(locks.watch(request()).await);
    }
    let refused = async || within("an answer", locks.client.clone().watch(request())).await;

    assert_eq!(refusal(refused().await), (Code::ResourceExhausted, "TOO_MANY_WATCHERS".to_owned()));

    open.pop();
    eventually("a place is free again", async || refused().await.ok()).await;
    locks.hold(acquire(&pull("sha256:watched"), "A")).await;
    for watch in &mut open {
        watch.snapshot().await;
        assert_eq!(watch.event().await.kind(), LockEventKind::Granted);
    }
}

#[tokio::test]
async fn a_long_error_is_cut_between_letters() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:error");
    let mut watch = locks.watch_key(&key).await;
    for (error, kept) in [("x".repeat(2048), 2048), ("x".repeat(5000), 2048), ("错".repeat(1000), 2046)] {
        let grant = locks.hold(acquire(&key, "A")).await;
        let back = ReleaseRequest { error: error.clone(), ..release(&grant, Outcome::Failed) };
        locks.release(back).await.expect("the holder can release");

        let told = watch.next_of(LockEventKind::Released).await.error;

        assert_eq!(told, error[..kept]);
    }
}

#[tokio::test]
async fn a_watch_cannot_go_back_behind_the_kept_history() {
    let server = Server::setup().config("[store]\nhistory = 100").start().await;
    let locks = Locks::of(&server);
    let first = locks.acquire(acquire(&pull("sha256:history"), "A")).await.expect("an answer").revision;
    let old = WatchRequest { from_revision: first, ..WatchRequest::default() };

    let status = eventually("the first revision is forgotten", async || {
        let noise = stream::iter(0..1000).map(|number| {
            // A long name fills what is kept the sooner.
            let (locks, request) = (locks.clone(), acquire(&pull(&format!("noise-{number}")), &"A".repeat(1000)));
            async move {
                let grant = locks.hold(request).await;
                locks.give_back(&grant, Outcome::Released).await;
            }
        });
        noise.buffer_unordered(AT_ONCE).collect::<()>().await;
        let mut client = locks.client.clone();
        match within("an answer", client.watch(old.clone())).await {
            Err(status) => Some(status),
            // The stream may open before it is found out.
            Ok(stream) => stream.into_inner().message().await.err(),
        }
    })
    .await;

    assert_eq!(refusal(Err::<(), _>(status)), (Code::OutOfRange, "REVISION_COMPACTED".to_owned()));
}

#[tokio::test]
async fn names_of_a_kilobyte_are_kept_whole() {
    let mut server = Server::start().await;
    let (api, locks) = (Api::of(&server), Locks::of(&server));
    let longest = "锁".repeat(341) + "x";
    assert_eq!(longest.len(), 1024);
    assert_eq!(api.lock(&longest, &longest, &longest).await.status, 200);
    server.restart().await;
    let key = steward_proto::lock::v1::LockKey { r#type: longest.clone(), resource_id: longest.clone() };
    assert_eq!(locks.get(&key).await.holders[0].owner, longest);
    let too_long = format!("{longest}x");
    let legacy = api.lock("pull", &too_long, "A").await;
    assert!((400..500).contains(&legacy.status), "refused, not failed: {}", legacy.status);
    assert!(legacy.text().contains("resource_id"), "it names the field: {}", legacy.text());
}

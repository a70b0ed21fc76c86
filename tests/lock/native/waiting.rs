//! Waiting for a lock: try, enqueue, block; and leaving the queue for sure.

use std::time::Duration;

use steward_proto::lock::v1::{
    AcquireStatus, CancelWaitRequest, CancelWaitResponse, GetRequest, LockEventKind, LockKey, Outcome,
};

use crate::common::server::Server;
use crate::common::wait::within;
use crate::vocabulary::{AcquireWords as _, Locks, acquire, pull};

async fn cancel_wait(locks: &Locks, key: &LockKey, owner: &str) -> CancelWaitResponse {
    let request = CancelWaitRequest { key: Some(key.clone()), owner: owner.to_owned() };
    let answer = within("an answer", locks.client.clone().cancel_wait(request)).await;
    answer.expect("anybody may leave").into_inner()
}

#[tokio::test]
async fn trying_leaves_no_trace() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:try");
    locks.hold(acquire(&key, "A")).await;

    let answer = locks.acquire(acquire(&key, "B")).await.expect("contention is no error");

    assert_eq!(answer.status(), AcquireStatus::Contended);
    assert_eq!(answer.grant, None);
    assert_eq!(locks.get(&key).await.waiter_count, 0);
}

#[tokio::test]
async fn a_blocked_call_is_answered_with_a_claimed_grant() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:block");
    let held = locks.hold(acquire(&key, "A")).await;
    let waiting = {
        let (locks, request) = (locks.clone(), acquire(&key, "B").block());
        tokio::spawn(async move { locks.acquire(request).await })
    };
    locks.see_waiters(&key, 1).await;

    let released = locks.give_back(&held, Outcome::Released).await;

    assert_eq!(released.next_owner, "B");
    let answer = waiting.await.expect("the call ends").expect("an answer");
    let grant = answer.grant.expect("a grant");
    assert!(!grant.is_unclaimed);
    assert!(grant.fencing_token > held.fencing_token);
    assert_eq!(grant.expire_time, None);
    locks.give_back(&grant, Outcome::Released).await;
}

#[tokio::test]
async fn blocked_calls_are_served_in_order() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:fifo");
    let first = locks.hold(acquire(&key, "holder")).await;
    let (turns, mut order) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..10_u32 {
        let (locks, key, turns) = (locks.clone(), key.clone(), turns.clone());
        let waiter = locks.clone();
        let watched = key.clone();
        tokio::spawn(async move {
            let grant = locks.hold(acquire(&key, &format!("waiter-{number}")).block()).await;
            turns.send(number).expect("the test listens");
            locks.give_back(&grant, Outcome::Failed).await;
        });
        waiter.see_waiters(&watched, number + 1).await;
    }

    locks.give_back(&first, Outcome::Failed).await;

    for number in 0..10 {
        assert_eq!(within("the next turn", order.recv()).await, Some(number));
    }
}

#[tokio::test]
async fn a_wait_that_times_out_has_surely_left_the_queue() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:timeout");
    let held = locks.hold(acquire(&key, "A")).await;

    let wait = Duration::from_millis(200);
    let answer = locks.acquire(acquire(&key, "B").block_for(wait)).await.expect("a time-out is no error");

    assert_eq!(answer.status(), AcquireStatus::TimedOut);
    assert_eq!(locks.get(&key).await.waiter_count, 0);
    assert_eq!(locks.give_back(&held, Outcome::Failed).await.next_owner, "");
    assert_eq!(locks.get(&key).await.holder_count, 0);
}

#[tokio::test]
async fn a_blocked_call_that_is_cancelled_gives_up_its_place() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:cancelled");
    let held = locks.hold(acquire(&key, "A")).await;
    let waiting = {
        // On a connection of its own, as a client that goes away has.
        let (locks, request) = (Locks::of(&server), acquire(&key, "B").block());
        tokio::spawn(async move { locks.acquire(request).await })
    };
    locks.see_waiters(&key, 1).await;

    waiting.abort();

    locks.see_waiters(&key, 0).await;
    assert_eq!(locks.give_back(&held, Outcome::Failed).await.next_owner, "");
}

#[tokio::test]
async fn whoever_waits_learns_that_the_work_is_done() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:done");
    let held = locks.hold(acquire(&key, "A")).await;
    let waiting = {
        let (locks, request) = (locks.clone(), acquire(&key, "B").block());
        tokio::spawn(async move { locks.acquire(request).await })
    };
    locks.see_waiters(&key, 1).await;

    locks.give_back(&held, Outcome::Succeeded).await;

    let answer = waiting.await.expect("the call ends").expect("an answer");
    assert_eq!(answer.status(), AcquireStatus::Skipped);
    let completion = answer.completion.expect("the record");
    assert_eq!((completion.owner.as_str(), completion.fencing_token), ("A", held.fencing_token));
}

#[tokio::test]
async fn a_queued_owner_claims_by_asking_or_by_reading() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    for (name, by_reading) in [("sha256:asking", false), ("sha256:reading", true)] {
        let key = pull(name);
        let held = locks.hold(acquire(&key, "A")).await;
        assert_eq!(locks.queue(acquire(&key, "B")).await, 1);
        assert_eq!(locks.queue(acquire(&key, "C")).await, 2);
        assert_eq!(locks.queue(acquire(&key, "B")).await, 1, "one place for each owner");
        locks.give_back(&held, Outcome::Failed).await;
        assert!(locks.get(&key).await.holders[0].is_unclaimed, "reading alone claims nothing");

        if by_reading {
            let request = GetRequest { key: Some(key.clone()), claim_as: "B".to_owned() };
            let mut client = locks.client.clone();
            within("an answer", client.get(request)).await.expect("any key can be read");
        } else {
            locks.hold(acquire(&key, "B")).await;
        }

        let holder = locks.get(&key).await.holders.remove(0);
        assert_eq!((holder.owner.as_str(), holder.is_unclaimed), ("B", false));
    }
}

#[tokio::test]
async fn a_cancelled_wait_never_becomes_a_grant() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:cancel");
    let held = locks.hold(acquire(&key, "A")).await;
    locks.queue(acquire(&key, "B")).await;
    locks.queue(acquire(&key, "C")).await;
    let mut watch = locks.watch_key(&key).await;

    let answer = cancel_wait(&locks, &key, "B").await;

    assert!(answer.is_cancelled && !answer.is_holder);
    assert_eq!(watch.event().await.kind(), LockEventKind::WaitCancelled);
    assert_eq!(locks.give_back(&held, Outcome::Failed).await.next_owner, "C");
    let again = cancel_wait(&locks, &key, "B").await;
    assert!(!again.is_cancelled && !again.is_holder, "there is nothing left to cancel");
}

#[tokio::test]
async fn cancelling_passes_on_what_was_handed_over_and_not_claimed() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:handed");
    let held = locks.hold(acquire(&key, "A")).await;
    locks.queue(acquire(&key, "B")).await;
    locks.queue(acquire(&key, "C")).await;
    locks.give_back(&held, Outcome::Failed).await;

    let answer = cancel_wait(&locks, &key, "B").await;

    assert!(answer.is_cancelled && !answer.is_holder);
    assert_eq!(locks.get(&key).await.holders[0].owner, "C");
}

#[tokio::test]
async fn cancelling_leaves_a_claimed_grant_alone() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:mine");
    let held = locks.hold(acquire(&key, "A")).await;

    let answer = cancel_wait(&locks, &key, "A").await;

    assert!(answer.is_holder && !answer.is_cancelled);
    assert!(locks.is_current(&key, held.fencing_token).await);
}

#[tokio::test]
async fn the_queue_can_be_read() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:queue");
    locks.hold(acquire(&key, "A")).await;
    for owner in ["B", "C", "D"] {
        locks.queue(acquire(&key, owner)).await;
    }

    let lock = locks.get(&key).await;

    let places: Vec<_> = lock.waiters.iter().map(|waiter| (waiter.owner.as_str(), waiter.queue_position)).collect();
    assert_eq!(places, [("B", 1), ("C", 2), ("D", 3)]);
    assert!(lock.waiters.iter().all(|waiter| waiter.enqueue_time.is_some()));
    assert_eq!((lock.waiter_count, lock.holder_count), (3, 1));
}

//! Shared locks, semaphores, and what outcomes need.

use steward_proto::lock::v1::{AcquireStatus, CompletionPolicy, LockMode, Outcome};
use tonic::Code;

use crate::common::server::Server;
use crate::vocabulary::{AcquireWords as _, Locks, acquire, pull, refusal, release};

#[tokio::test]
async fn readers_share_and_a_writer_is_not_overtaken() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:shared");
    let readers = [locks.hold(acquire(&key, "R1").shared()).await, locks.hold(acquire(&key, "R2").shared()).await];
    assert_eq!(locks.get(&key).await.mode(), LockMode::Shared);
    assert_eq!(locks.queue(acquire(&key, "W")).await, 1);

    let late = locks.queue(acquire(&key, "R3").shared()).await;

    assert_eq!(late, 2, "it could share, but the writer came first");
    assert_eq!(locks.give_back(&readers[0], Outcome::Released).await.next_owner, "");
    assert_eq!(locks.give_back(&readers[1], Outcome::Released).await.next_owner, "W");
    let writer = locks.hold(acquire(&key, "W")).await;
    assert_eq!(locks.give_back(&writer, Outcome::Released).await.next_owner, "R3");
}

#[tokio::test]
async fn all_readers_at_the_head_of_the_queue_are_served() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:readers");
    let writer = locks.hold(acquire(&key, "W")).await;
    let readers: Vec<_> = ["R1", "R2", "R3"]
        .map(|owner| {
            let (locks, request) = (locks.clone(), acquire(&key, owner).shared().block());
            tokio::spawn(async move { locks.hold(request).await })
        })
        .into();
    locks.see_waiters(&key, 3).await;

    locks.give_back(&writer, Outcome::Released).await;

    for reader in readers {
        reader.await.expect("a grant");
    }
    assert_eq!(locks.get(&key).await.holder_count, 3);
}

#[tokio::test]
async fn a_semaphore_gives_out_its_permits_and_no_more() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:semaphore");
    let two = locks.hold(acquire(&key, "A").semaphore(3, 2)).await;
    assert_eq!(two.permits, 2);
    let one = locks.hold(acquire(&key, "B").semaphore(3, 0)).await;
    assert_eq!(one.permits, 1, "the default");

    let contended = locks.acquire(acquire(&key, "C").semaphore(3, 1)).await.expect("an answer");
    assert_eq!(contended.status(), AcquireStatus::Contended);
    locks.queue(acquire(&key, "D").semaphore(3, 2)).await;
    assert_eq!(locks.give_back(&one, Outcome::Released).await.next_owner, "", "two are needed, one is free");
    assert_eq!(locks.give_back(&two, Outcome::Released).await.next_owner, "D");

    let lock = locks.get(&key).await;
    assert_eq!((lock.mode(), lock.capacity), (LockMode::Semaphore, 3));
}

#[tokio::test]
async fn everybody_has_to_name_the_same_capacity() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:capacity");
    let held = locks.hold(acquire(&key, "A").semaphore(3, 1)).await;

    let other = locks.acquire(acquire(&key, "B").semaphore(4, 1)).await;
    let exclusive = locks.acquire(acquire(&key, "B")).await;

    assert_eq!(refusal(other), (Code::FailedPrecondition, "CAPACITY_MISMATCH".to_owned()));
    assert_eq!(refusal(exclusive), (Code::FailedPrecondition, "CAPACITY_MISMATCH".to_owned()));
    locks.give_back(&held, Outcome::Released).await;
    locks.hold(acquire(&key, "B").semaphore(4, 1)).await;
}

#[tokio::test]
async fn one_owner_has_one_mode_at_a_time() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:mode");
    locks.hold(acquire(&key, "A").shared()).await;

    let upgrade = locks.acquire(acquire(&key, "A")).await;

    assert_eq!(refusal(upgrade), (Code::FailedPrecondition, "MODE_MISMATCH".to_owned()));
}

#[tokio::test]
async fn success_can_be_reported_only_by_who_worked_alone() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let shared = locks.hold(acquire(&pull("sha256:together"), "A").shared()).await;
    let permit = locks.hold(acquire(&pull("sha256:permit"), "A").semaphore(2, 1)).await;

    for grant in [shared, permit] {
        let answer = locks.release(release(&grant, Outcome::Succeeded)).await;
        assert_eq!(refusal(answer), (Code::FailedPrecondition, "OUTCOME_NEEDS_EXCLUSIVE".to_owned()));
        locks.give_back(&grant, Outcome::Failed).await;
    }
}

#[tokio::test]
async fn work_that_is_done_can_be_done_again_on_purpose() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull("sha256:again");
    let held = locks.hold(acquire(&key, "A")).await;
    let completion = locks.give_back(&held, Outcome::Succeeded).await.completion.expect("the record");
    assert_eq!(completion.owner, "A");
    assert!(completion.complete_time.is_some() && completion.expire_time.is_some());
    let skipped = locks.acquire(acquire(&key, "B")).await.expect("an answer");
    assert_eq!((skipped.status(), skipped.completion), (AcquireStatus::Skipped, Some(completion)));

    let mut request = acquire(&key, "B");
    request.set_completion_policy(CompletionPolicy::Ignore);
    let grant = locks.hold(request).await;

    assert!(grant.fencing_token > held.fencing_token);
    assert_eq!(locks.get(&key).await.completion, None);
}

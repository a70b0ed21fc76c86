//! Histories that take a coincidence: retries that overtake, callers that go away, decisions that cross.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::acquire::{Acquire, Acquired, OnCompleted, Policy};
use super::admin::Act;
use super::engine::ExpiryEngine;
use super::error::Error;
use super::leases::NewLease;
use super::locks::{Locks, Settings};
use super::model::{Lifetime, LockKey, Mode, Outcome};
use super::release::{HolderRef, Release};
use super::wait::{Surroundings, Waited};
use crate::clock::{Clock, ManualClock};
use crate::engine::{self, Engine as _};
use crate::store::Store;
use crate::store::suite::{self, Harness as _};

struct World {
    _harness: suite::Memory,
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    locks: Locks,
    around: Surroundings,
}

impl World {
    fn new() -> Self {
        let (mut harness, clock) = (suite::Memory::default(), Arc::new(ManualClock::new()));
        let store = harness.open(100_000) as Arc<dyn Store>;
        let locks = Locks::new(Arc::clone(&store), Arc::clone(&clock) as Arc<dyn Clock>, Settings::default());
        let around = Surroundings { shutdown: CancellationToken::new(), tasks: TaskTracker::new() };
        World { _harness: harness, store, clock, locks, around }
    }

    async fn hold(&self, command: &Acquire) {
        let (acquired, _) = self.locks.acquire(command).await.expect("an answer");
        assert!(matches!(acquired, Acquired::Granted { .. }), "{acquired:?}");
    }

    /// Runs what was left to be done after callers went away.
    async fn finish_tasks(&self) {
        self.around.tasks.close();
        self.around.tasks.wait().await;
        self.around.tasks.reopen();
    }

    async fn holders(&self, key: &LockKey) -> Vec<String> {
        let view = self.locks.view(key).await.expect("a view");
        view.holders.into_iter().map(|grant| grant.owner).collect()
    }

    async fn queue(&self, key: &LockKey) -> Vec<String> {
        let view = self.locks.view(key).await.expect("a view");
        view.waiters.into_iter().map(|waiter| waiter.owner).collect()
    }
}

fn key(lock_type: &str) -> LockKey {
    LockKey { lock_type: lock_type.to_owned(), resource_id: "layer".to_owned() }
}

fn acquire(owner: &str, policy: Policy) -> Acquire {
    Acquire {
        key: key("work"),
        owner: owner.to_owned(),
        mode: Mode::Exclusive,
        capacity: 0,
        policy,
        lifetime: Lifetime::default(),
        on_completed: OnCompleted::Skip,
        request_id: String::new(),
    }
}

fn permit_of(capacity: u32, owner: &str, policy: Policy) -> Acquire {
    Acquire { mode: Mode::Semaphore { permits: 1 }, capacity, ..acquire(owner, policy) }
}

fn release(owner: &str, outcome: Outcome) -> Release {
    Release {
        key: key("work"),
        holder: HolderRef::Owner(owner.to_owned()),
        outcome,
        error: String::new(),
        request_id: String::new(),
    }
}

fn with_id(command: Acquire) -> Acquire {
    Acquire { request_id: "request".to_owned(), ..command }
}

#[tokio::test]
async fn a_release_that_arrives_twice_leaves_the_next_grant_alone() {
    let world = World::new();
    let once = Release { request_id: "request".to_owned(), ..release("a", Outcome::Failed) };
    world.hold(&acquire("a", Policy::Try)).await;
    world.locks.release(&once).await.expect("it holds");
    world.hold(&acquire("a", Policy::Try)).await;

    world.locks.release(&once).await.expect("the first answer again");

    assert_eq!(world.holders(&key("work")).await, ["a"]);
}

#[tokio::test]
async fn a_request_that_a_holder_made_does_not_take_the_lock_after_its_release() {
    let world = World::new();
    world.hold(&acquire("a", Policy::Try)).await;
    world.hold(&with_id(acquire("a", Policy::Try))).await;
    world.locks.release(&release("a", Outcome::Failed)).await.expect("it holds");

    let late = world.locks.acquire(&with_id(acquire("a", Policy::Try))).await;

    assert!(matches!(late, Err(Error::RequestEnded { .. })), "{late:?}");
}

#[tokio::test]
async fn a_grant_whose_caller_went_away_before_it_heard_is_given_back() {
    let world = World::new();
    let mut call = Box::pin(world.locks.acquire_waiting(acquire("a", Policy::Enqueue), None, &world.around));
    assert!(futures::poll!(&mut call).is_pending());
    // The task that asks for the caller has put its answer into the channel by then.
    world.finish_tasks().await;
    assert_eq!(world.holders(&key("work")).await, ["a"]);

    drop(call);
    world.finish_tasks().await;

    assert!(world.holders(&key("work")).await.is_empty());
}

#[tokio::test]
async fn a_call_that_was_cut_off_takes_nothing_from_its_retry() {
    let world = World::new();
    let command = with_id(acquire("a", Policy::Enqueue));
    let mut first = Box::pin(world.locks.acquire_waiting(command.clone(), None, &world.around));
    assert!(futures::poll!(&mut first).is_pending());

    drop(first);
    let (retry, _) = world.locks.acquire_waiting(command, None, &world.around).await.expect("an answer");

    assert!(matches!(retry, Waited::Answered(Acquired::Granted { .. })));
    world.finish_tasks().await;
    assert_eq!(world.holders(&key("work")).await, ["a"]);
}

#[tokio::test]
async fn a_retry_keeps_the_place_of_the_call_that_was_cut_off() {
    let world = World::new();
    world.hold(&acquire("holder", Policy::Try)).await;
    let waiting = || world.locks.acquire_waiting(acquire("a", Policy::Enqueue), None, &world.around);
    let mut old = Box::pin(waiting());
    while world.queue(&key("work")).await.is_empty() {
        assert!(futures::poll!(&mut old).is_pending());
    }
    world.locks.acquire(&acquire("b", Policy::Enqueue)).await.expect("a place");
    let mut new = Box::pin(waiting());
    assert!(futures::poll!(&mut new).is_pending());

    drop(old);
    world.finish_tasks().await;

    assert_eq!(world.queue(&key("work")).await, ["a", "b"]);
}

#[tokio::test]
async fn a_forced_release_reaches_every_holder_and_nobody_who_came_later() {
    let world = World::new();
    for number in 0..40 {
        world.hold(&permit_of(40, &format!("old{number}"), Policy::Try)).await;
    }
    for number in 0..40 {
        let waiter = permit_of(40, &format!("new{number}"), Policy::Enqueue);
        world.locks.acquire(&waiter).await.expect("a place");
    }
    let act = Act { actor: String::new(), reason: "gone".to_owned(), request_id: String::new() };

    let released = world.locks.force_release(&key("work"), None, &act).await.expect("holders");

    assert_eq!(released.count, 40);
    assert!(world.holders(&key("work")).await.iter().all(|owner| owner.starts_with("new")));
}

#[tokio::test]
async fn the_newest_of_many_tokens_is_current() {
    let world = World::new();
    for number in 0..200 {
        world.hold(&permit_of(200, &format!("node{number}"), Policy::Try)).await;
        let (newest, is_alive) = world.locks.newest_token(&key("work")).await.expect("an answer");
        assert!(newest.is_some() && is_alive, "holder {number}");
    }
}

#[tokio::test]
async fn the_engine_serves_a_whole_queue_while_time_stands_still() {
    let world = World::new();
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let engine = ExpiryEngine::new(world.locks.clone());
    let stop = CancellationToken::new();
    let running = tokio::spawn(engine::run(engine, Arc::clone(&world.store), clock, stop.clone()));
    let whole = Acquire { mode: Mode::Semaphore { permits: 4 }, ..permit_of(4, "whole", Policy::Try) };
    world.hold(&whole).await;
    for number in 0..4 {
        let waiter = permit_of(4, &format!("node{number}"), Policy::Enqueue);
        world.locks.acquire(&waiter).await.expect("a place");
    }

    world.locks.release(&release("whole", Outcome::Released)).await.expect("it holds");

    let served = async {
        while world.holders(&key("work")).await.len() < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), served).await.expect("all are served");
    stop.cancel();
    running.await.expect("the engine ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn related_work_that_completes_at_one_time_does_not_stay_completed_both() {
    let world = World::new();
    for round in 0..500 {
        let of = |lock_type: &str| LockKey { resource_id: format!("layer{round}"), ..key(lock_type) };
        for lock_type in ["pull", "update"] {
            world.hold(&Acquire { key: of(lock_type), ..acquire("a", Policy::Try) }).await;
        }
        let succeed = |lock_type: &str| {
            let (locks, key) = (world.locks.clone(), of(lock_type));
            let command = Release { key, ..release("a", Outcome::Succeeded) };
            tokio::spawn(async move { locks.release(&command).await.expect("it holds") })
        };
        let (pull, update) = (succeed("pull"), succeed("update"));
        pull.await.expect("an answer");
        update.await.expect("an answer");

        let mut completed = 0;
        for lock_type in ["pull", "update"] {
            let view = world.locks.view(&of(lock_type)).await.expect("a view");
            completed += u32::from(view.head.completion.is_some());
        }
        assert_eq!(completed, 1, "round {round}");
    }
}

#[tokio::test]
async fn a_large_lease_ends_in_steps_between_which_others_are_served() {
    let world = World::new();
    let wish = NewLease { owner: String::new(), ttl: Duration::from_secs(10), max_lifetime: None };
    let (lease, _) = world.locks.create_lease(&wish).await.expect("a lease");
    for number in 0..100 {
        let key = LockKey { resource_id: format!("layer{number}"), ..key("work") };
        let lifetime = Lifetime { lease: Some(lease), ..Lifetime::default() };
        world.hold(&Acquire { key, lifetime, ..acquire("a", Policy::Try) }).await;
    }
    world.clock.advance(Duration::from_secs(10));
    let mut engine = ExpiryEngine::new(world.locks.clone());

    let mut steps = 0;
    while engine.activate().await.expect("a step").is_some() {
        steps += 1;
        assert!(steps < 20, "it does not come to an end");
    }

    assert!(steps > 2, "all in {steps} steps");
    let kept = world
        .locks
        .list(&super::query::Filter::everything(crate::auth::Grants::everything()), None, 10)
        .await
        .expect("a list")
        .0;
    assert!(kept.is_empty(), "{kept:?}");
    assert!(matches!(world.locks.lease(lease, 1).await, Err(Error::LeaseExpired { .. })));
}

//! What locks mean, in the order of the contract's points, mostly through the legacy API.

use std::time::{Duration, Instant};

use steward_proto::lock::v1::{LockEventKind, Outcome};

use crate::common::server::Server;
use crate::common::wait::eventually;
use crate::legacy::{
    Api, Ending, GRANTED, NOT_RELEASED, QUEUED, SKIPPED, STATUS_DONE, STATUS_HELD, STATUS_UNKNOWN, UNLOCKED, body,
};
use crate::vocabulary::{AcquireWords as _, Locks, acquire, nanos_between, pull};

const LAYER: &str = "sha256:layer";

// 1. Identity

#[tokio::test]
async fn pull_update_and_delete_of_one_layer_are_three_locks() {
    let server = Server::start().await;
    let api = Api::of(&server);
    for kind in ["pull", "update", "delete"] {
        assert_eq!(api.lock(kind, LAYER, "A").await.parts(), GRANTED, "{kind}");
    }
    assert_eq!(api.lock("pull", "sha256:another", "B").await.parts(), GRANTED);
    assert_eq!(api.lock("pull", LAYER, "B").await.parts(), QUEUED);
}

#[tokio::test]
async fn asking_again_is_not_counted() {
    let server = Server::start().await;
    let api = Api::of(&server);
    for _ in 0..3 {
        assert_eq!(api.lock("pull", LAYER, "A").await.parts(), GRANTED);
    }

    assert_eq!(api.unlock("pull", LAYER, "A", Ending::Failure).await.parts(), UNLOCKED);

    assert_eq!(api.lock("pull", LAYER, "B").await.parts(), GRANTED);
}

// 2. The queue

#[tokio::test]
async fn the_queue_is_served_in_order_and_has_one_place_for_each_node() {
    let server = Server::start().await;
    let api = Api::of(&server);
    api.lock("pull", LAYER, "A").await;
    for node in ["B", "C", "D"] {
        assert_eq!(api.lock("pull", LAYER, node).await.parts(), QUEUED);
    }

    let again = api.lock("pull", LAYER, "B").await;
    assert_eq!(again.header("x-lock-queue-position"), Some("1"), "it keeps its place");

    for (holder, next) in [("A", "B"), ("B", "C"), ("C", "D")] {
        assert_eq!(api.unlock("pull", LAYER, holder, Ending::Failure).await.parts(), UNLOCKED);
        assert_eq!(api.status("pull", LAYER, holder).await.parts(), STATUS_UNKNOWN);
        assert_eq!(api.lock("pull", LAYER, next).await.parts(), GRANTED, "after {holder}");
    }
    assert_eq!(api.unlock("pull", LAYER, "D", Ending::Failure).await.parts(), UNLOCKED);
    assert_eq!(api.lock("pull", LAYER, "E").await.parts(), GRANTED, "nobody is left in the queue");
}

// 3. Success

#[tokio::test]
async fn after_a_success_everybody_skips_and_the_queue_is_dismissed() {
    let server = Server::start().await;
    let api = Api::of(&server);
    api.lock("pull", LAYER, "A").await;
    api.lock("pull", LAYER, "B").await;

    api.unlock("pull", LAYER, "A", Ending::Success).await;

    for node in ["A", "B", "C"] {
        assert_eq!(api.lock("pull", LAYER, node).await.parts(), SKIPPED, "{node}");
        assert_eq!(api.status("pull", LAYER, node).await.parts(), STATUS_DONE, "{node}");
    }
    assert_eq!(Locks::of(&server).get(&pull(LAYER)).await.waiter_count, 0);
}

#[tokio::test]
async fn a_success_is_forgotten_after_its_retention() {
    let server = Server::setup().config("[lock]\ncompleted_retention = \"2s\"").start().await;
    let api = Api::of(&server);
    api.lock("pull", LAYER, "A").await;
    api.unlock("pull", LAYER, "A", Ending::Success).await;
    assert_eq!(api.lock("pull", LAYER, "B").await.parts(), SKIPPED);

    eventually("the work may be done again", async || {
        (api.lock("pull", LAYER, "B").await.parts() == GRANTED).then_some(())
    })
    .await;

    assert_eq!(api.status("pull", LAYER, "B").await.parts(), STATUS_HELD);
}

#[tokio::test]
async fn without_retention_nothing_is_skipped() {
    let server = Server::setup().config("[lock]\ncompleted_retention = \"0s\"").start().await;
    let api = Api::of(&server);
    api.lock("pull", LAYER, "A").await;
    api.lock("pull", LAYER, "B").await;

    assert_eq!(api.unlock("pull", LAYER, "A", Ending::Success).await.parts(), UNLOCKED);

    assert_eq!(api.lock("pull", LAYER, "B").await.parts(), GRANTED);
    assert_eq!(api.status("pull", LAYER, "A").await.parts(), STATUS_UNKNOWN);
}

#[tokio::test]
async fn updating_or_deleting_a_layer_makes_its_pull_untrue_and_the_reverse() {
    let server = Server::start().await;
    let api = Api::of(&server);
    let succeed = async |kind: &str, layer: &str| {
        assert_eq!(api.lock(kind, layer, "A").await.parts(), GRANTED, "{kind} {layer}");
        assert_eq!(api.unlock(kind, layer, "A", Ending::Success).await.parts(), UNLOCKED);
    };
    for (first, second) in [("pull", "update"), ("pull", "delete"), ("update", "pull"), ("delete", "pull")] {
        let layer = format!("sha256:{first}-{second}");
        let unrelated = format!("{layer}-unrelated");
        succeed(first, &layer).await;
        succeed(first, &unrelated).await;

        succeed(second, &layer).await;

        assert_eq!(api.lock(first, &layer, "B").await.parts(), GRANTED, "{second} makes {first} untrue");
        assert_eq!(api.lock(second, &layer, "B").await.parts(), SKIPPED);
        assert_eq!(api.lock(first, &unrelated, "B").await.parts(), SKIPPED);
    }
}

// 4. Failure

#[tokio::test]
async fn after_a_failure_the_head_of_the_queue_learns_by_status_that_it_holds_the_lock() {
    let server = Server::start().await;
    let api = Api::of(&server);
    api.lock("pull", LAYER, "A").await;
    api.lock("pull", LAYER, "B").await;

    api.unlock("pull", LAYER, "A", Ending::Failure).await;

    assert_eq!(api.status("pull", LAYER, "B").await.parts(), STATUS_HELD);
    assert_eq!(api.unlock("pull", LAYER, "B", Ending::Success).await.parts(), UNLOCKED);
}

#[tokio::test]
async fn being_told_by_status_is_a_claim() {
    let server = Server::start().await;
    let (api, locks) = (Api::of(&server), Locks::of(&server));
    api.lock("pull", LAYER, "A").await;
    api.lock("pull", LAYER, "B").await;
    api.unlock("pull", LAYER, "A", Ending::Failure).await;
    let handed = locks.get(&pull(LAYER)).await.holders.remove(0);
    assert!(handed.is_unclaimed && handed.expire_time.is_some());

    assert_eq!(api.status("pull", LAYER, "B").await.parts(), STATUS_HELD);

    let claimed = locks.get(&pull(LAYER)).await.holders.remove(0);
    assert!(!claimed.is_unclaimed && claimed.expire_time.is_none(), "{claimed:?}");
}

#[tokio::test]
async fn a_lock_that_is_not_claimed_goes_to_the_next() {
    let server = Server::setup().config("[lock]\nclaim_timeout = \"1s\"").start().await;
    let api = Api::of(&server);
    for node in ["A", "B", "C"] {
        api.lock("pull", LAYER, node).await;
    }

    api.unlock("pull", LAYER, "A", Ending::Failure).await;

    api.see_holder("pull", LAYER, "C").await;
    assert_eq!(api.lock("pull", LAYER, "B").await.parts(), QUEUED, "it has lost its turn");
}

// 5. What an unlock without `success` means

#[tokio::test]
async fn without_a_word_about_success_the_work_has_failed() {
    let server = Server::start().await;
    let api = Api::of(&server);
    for error in ["", "下载失败"] {
        assert_eq!(api.lock("pull", LAYER, "A").await.parts(), GRANTED);
        assert_eq!(api.unlock("pull", LAYER, "A", Ending::Unsaid(error)).await.parts(), UNLOCKED);
        assert_eq!(api.status("pull", LAYER, "A").await.parts(), STATUS_UNKNOWN);
    }
}

/// The routes that infer success: those under the prefix, and all when the server is set so.
async fn assert_inferring(api: Api) {
    let layer = api.layer("infer");
    api.lock("pull", &layer, "A").await;
    api.unlock("pull", &layer, "A", Ending::Unsaid("下载失败")).await;
    assert_eq!(api.lock("pull", &layer, "A").await.parts(), GRANTED, "an error is no success");

    api.unlock("pull", &layer, "A", Ending::Failure).await;
    assert_eq!(api.lock("pull", &layer, "A").await.parts(), GRANTED, "what is said is true");

    api.unlock("pull", &layer, "A", Ending::Unsaid("")).await;
    assert_eq!(api.lock("pull", &layer, "B").await.parts(), SKIPPED, "no error is a success");
}

#[tokio::test]
async fn under_the_prefix_infer_no_error_means_success() {
    let server = Server::start().await;
    assert_inferring(Api::inferring(&server)).await;
}

#[tokio::test]
async fn a_server_can_be_set_to_infer_everywhere() {
    let server = Server::setup().config("[gateway]\nabsent_success = \"infer\"").start().await;
    for api in Api::both(&server) {
        assert_inferring(api).await;
    }
}

#[tokio::test]
async fn a_success_that_is_said_wins_over_an_error() {
    let server = Server::start().await;
    for api in Api::both(&server) {
        let layer = api.layer("said");
        api.lock("pull", &layer, "A").await;
        let body = body("pull", &layer, "A", r#","success":true,"error":"a warning only""#);
        assert_eq!(api.post("/unlock", &body).await.parts(), UNLOCKED);
        assert_eq!(api.lock("pull", &layer, "B").await.parts(), SKIPPED);
    }
}

// 6. Unlocking twice

#[tokio::test]
async fn the_same_success_can_be_reported_again_but_nothing_else() {
    let server = Server::start().await;
    let api = Api::of(&server);
    api.lock("pull", LAYER, "A").await;
    api.unlock("pull", LAYER, "A", Ending::Success).await;

    assert_eq!(api.unlock("pull", LAYER, "A", Ending::Success).await.parts(), UNLOCKED);
    assert_eq!(api.unlock("pull", LAYER, "A", Ending::Failure).await.parts(), NOT_RELEASED);
    assert_eq!(api.unlock("pull", LAYER, "B", Ending::Success).await.parts(), NOT_RELEASED);
    assert_eq!(api.status("pull", LAYER, "A").await.parts(), STATUS_DONE);
}

#[tokio::test]
async fn a_failure_cannot_be_reported_again() {
    let server = Server::start().await;
    let api = Api::of(&server);
    api.lock("pull", LAYER, "A").await;
    assert_eq!(api.unlock("pull", LAYER, "A", Ending::Failure).await.parts(), UNLOCKED);
    assert_eq!(api.unlock("pull", LAYER, "A", Ending::Failure).await.parts(), NOT_RELEASED);
}

// 7. Leases

async fn lock_for(api: Api, node: &str, ttl: &str) -> crate::common::http::Answer {
    api.post("/lock", &body("pull", LAYER, node, &format!(r#","ttl_seconds":{ttl}"#))).await
}

fn expires(answer: &crate::common::http::Answer) -> jiff::Timestamp {
    answer.header("x-lock-expires").expect("it expires").parse().expect("a time")
}

#[tokio::test]
async fn a_lock_with_a_ttl_ends_as_failed_and_goes_to_the_next() {
    let server = Server::start().await;
    let api = Api::of(&server);
    let mut stream = api.subscribe("pull", LAYER).await;
    let held = lock_for(api, "A", "2").await;
    assert_eq!(held.parts(), GRANTED);
    assert!(held.header("x-lock-expires").is_some());
    api.lock("pull", LAYER, "B").await;

    let event = stream.event().await;

    assert!(event.contains(r#""node_id":"B","success":false,"error":"""#), "{event}");
    assert_eq!(api.unlock("pull", LAYER, "A", Ending::Success).await.parts(), NOT_RELEASED, "too late");
    assert_eq!(api.lock("pull", LAYER, "B").await.parts(), GRANTED);
}

#[tokio::test]
async fn asking_again_renews_a_lock_with_a_ttl() {
    let server = Server::start().await;
    let api = Api::of(&server);
    let first = expires(&lock_for(api, "A", "30").await);

    let renewed = eventually("a later end", async || {
        let renewed = expires(&api.lock("pull", LAYER, "A").await);
        (renewed > first).then_some(renewed)
    })
    .await;

    assert!(renewed.duration_since(first) < jiff::SignedDuration::from_secs(30), "by its own ttl");
}

#[tokio::test]
async fn a_server_can_give_every_lock_a_ttl() {
    let server = Server::setup().config("[lock]\ndefault_ttl = \"1s\"").start().await;
    let api = Api::of(&server);
    let held = api.lock("pull", LAYER, "A").await;
    assert!(held.header("x-lock-expires").is_some());
    api.lock("pull", LAYER, "B").await;

    api.see_holder("pull", LAYER, "B").await;
}

/// How many locks expire while one test looks; half of them may be disturbed by a busy machine.
const EXPIRIES: usize = 11;

#[tokio::test]
async fn expiry_is_exact() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull(LAYER);
    let mut lateness = Vec::new();
    for round in 0..EXPIRIES {
        let mut watch = locks.watch_key(&key).await;
        let holder = format!("holder-{round}");
        let grant = locks.hold(acquire(&key, &holder).ttl(Duration::from_millis(130))).await;
        let next = locks.acquire(acquire(&key, "next").block()).await.expect("an answer").grant.expect("a grant");

        let expired = watch.next_of(LockEventKind::Expired).await;

        assert_eq!(expired.owner, holder);
        let late = nanos_between(grant.expire_time, expired.event_time);
        let handed_late = nanos_between(grant.expire_time, next.grant_time);
        assert!(late >= 0 && handed_late >= 0, "never before the deadline");
        lateness.push(late.max(handed_late));
        locks.give_back(&next, Outcome::Released).await;
    }
    lateness.sort_unstable();
    let median = Duration::from_nanos(lateness[EXPIRIES / 2].unsigned_abs());
    assert!(median < Duration::from_millis(100), "{lateness:?}");
}

#[tokio::test]
async fn an_expired_lock_is_free_at_its_deadline_even_if_nobody_waited() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let key = pull(LAYER);
    let grant = locks.hold(acquire(&key, "A").ttl(Duration::from_millis(200))).await;

    let next =
        eventually("B gets it", async || locks.acquire(acquire(&key, "B")).await.expect("an answer").grant).await;

    assert!(nanos_between(grant.expire_time, next.grant_time) >= 0, "never before the deadline");
    assert!(next.fencing_token > grant.fencing_token);
    assert!(!locks.is_current(&key, grant.fencing_token).await);
}

// 8. Restarts

#[tokio::test]
async fn locks_queues_tokens_and_successes_survive_a_crash() {
    let mut server = Server::start().await;
    let api = Api::of(&server);
    let held = api.lock("pull", LAYER, "A").await;
    for node in ["B", "C"] {
        api.lock("pull", LAYER, node).await;
    }
    api.lock("pull", "sha256:done", "A").await;
    api.unlock("pull", "sha256:done", "A", Ending::Success).await;

    server.restart().await;

    assert_eq!(api.lock("pull", "sha256:done", "B").await.parts(), SKIPPED);
    assert_eq!(api.status("pull", "sha256:done", "A").await.parts(), STATUS_DONE);
    let again = api.lock("pull", LAYER, "A").await;
    assert_eq!(again.parts(), GRANTED);
    assert_eq!(again.header("x-lock-fencing-token"), held.header("x-lock-fencing-token"));
    let waiting = api.lock("pull", LAYER, "C").await;
    assert_eq!(waiting.header("x-lock-queue-position"), Some("2"));
    api.unlock("pull", LAYER, "A", Ending::Failure).await;
    assert_eq!(api.lock("pull", LAYER, "B").await.parts(), GRANTED);
}

#[tokio::test]
async fn a_fencing_token_grows_over_a_crash_even_when_nothing_is_kept_of_the_lock() {
    let mut server = Server::setup().config("[lock]\ncompleted_retention = \"0s\"").start().await;
    let locks = Locks::of(&server);
    let key = pull(LAYER);
    let mut last = 0;
    for round in 0..4 {
        for _ in 0..3 {
            let grant = locks.hold(acquire(&key, "A")).await;
            assert!(grant.fencing_token > last, "round {round}");
            last = grant.fencing_token;
            locks.give_back(&grant, Outcome::Succeeded).await;
        }
        server.restart().await;
    }
}

#[tokio::test]
async fn deadlines_that_pass_while_the_server_is_away_are_kept_when_it_is_back() {
    let mut server = Server::setup().config("[lock]\nclaim_timeout = \"600ms\"").start().await;
    let locks = Locks::of(&server);
    let (leased, handed) = (pull("sha256:leased"), pull("sha256:handed"));
    let short = locks.hold(acquire(&leased, "A").ttl(Duration::from_millis(600))).await;
    locks.queue(acquire(&leased, "B")).await;
    let grant = locks.hold(acquire(&handed, "A")).await;
    locks.queue(acquire(&handed, "B")).await;
    locks.queue(acquire(&handed, "C")).await;
    locks.give_back(&grant, Outcome::Failed).await;

    server.kill9().await;
    server.restart().await;

    let inherited = locks.resume(&leased, 1).await.next_of(LockEventKind::Assigned).await;
    assert_eq!(inherited.owner, "B");
    let mut watch = locks.resume(&handed, 1).await;
    for owner in ["B", "C"] {
        assert_eq!(watch.next_of(LockEventKind::Assigned).await.owner, owner);
    }
    assert!(!locks.is_current(&leased, short.fencing_token).await);
}

// 9. Never a long wait

#[tokio::test]
async fn asking_for_a_held_lock_answers_at_once() {
    let server = Server::start().await;
    let api = Api::of(&server);
    api.lock("pull", LAYER, "A").await;
    let mut times = Vec::new();
    for number in 0..11 {
        let start = Instant::now();
        assert_eq!(api.lock("pull", LAYER, &format!("N{number}")).await.parts(), QUEUED);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    assert!(times[times.len() / 2] < Duration::from_secs(1), "{times:?}");
}

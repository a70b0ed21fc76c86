use std::time::Duration;

use steward_proto::store::v1::SnapshotPolicyRecord;

use super::*;
use crate::clock::{Clock as _, Timestamp};
use crate::engine::Engine as _;
use crate::volume::policies::SetPolicy;
use crate::volume::policy_engine::{ExpiryEngine, PolicyEngine};
use crate::volume::retention::Retention;
use crate::volume::snapshots::SnapshotFilter;
use crate::volume::{SnapshotChange, VolumeChange};

const HOUR: Duration = Duration::from_hours(1);

fn hourly(retention: Retention) -> SetPolicy {
    SetPolicy {
        name: "hourly".to_owned(),
        owner: None,
        schedule: "@hourly".to_owned(),
        time_zone: String::new(),
        retention,
        paused: false,
    }
}

impl World {
    async fn set_policy(&self, name: &str, what: &SetPolicy) -> Result<SnapshotPolicyRecord, Error> {
        self.catalog.set_policy(&user(name), what).await
    }

    async fn follow(&self, text: &str, policies: &[&str]) {
        let policies = Some(policies.iter().map(|name| (*name).to_owned()).collect());
        let change = VolumeChange { policies, ..VolumeChange::default() };
        self.catalog.update_volume(&user("root"), &at(text), &change, None).await.expect("a change");
    }

    /// Looks for what is due, as the loop does.
    async fn look(&self) -> Option<Timestamp> {
        PolicyEngine::new(self.catalog.clone()).activate().await.expect("a look")
    }

    /// The names of the snapshots that are not being deleted.
    async fn snapshots(&self, text: &str) -> Vec<String> {
        let filter = SnapshotFilter { volume: Some(at(text)), is_deleting: Some(false), ..SnapshotFilter::default() };
        let (listed, _) = self.catalog.list_snapshots(&user("root"), &filter, 0, 100).await.expect("a list");
        listed.into_iter().map(|shown| shown.record.name).collect()
    }
}

#[tokio::test]
async fn a_policy_makes_one_snapshot_a_tick_and_one_for_those_that_were_missed() {
    let world = World::new().await;
    world.create("eva", "/a").await;
    world.set_policy("eva", &hourly(Retention::default())).await.expect("a policy");
    world.follow("/a", &["hourly"]).await;
    let next = world.look().await.expect("a time");
    assert!(next > world.clock.now() && world.snapshots("/a").await.is_empty());
    world.pass(HOUR);
    assert!(world.look().await.expect("a time") > next);
    world.look().await;
    assert_eq!(world.snapshots("/a").await, ["hourly-20231114-230000Z"]);
    world.pass(5 * HOUR);
    world.look().await;
    assert_eq!(world.snapshots("/a").await.len(), 2, "ticks that were missed are one");
    let policy = world.catalog.get_policy("hourly").await.expect("a policy");
    assert_eq!((policy.last_us, policy.last_error.as_str()), (world.catalog.now_us(), ""));
}

#[tokio::test]
async fn a_tick_that_broke_off_is_finished_and_makes_nothing_twice() {
    let world = World::new().await;
    world.create("eva", "/a").await;
    let policy = world.set_policy("eva", &hourly(Retention::default())).await.expect("a policy");
    world.follow("/a", &["hourly"]).await;
    world.pass(HOUR);
    world.look().await;
    // As if nothing of the policy had been committed.
    let again = crate::store::Txn {
        ops: vec![crate::store::Op::Put(
            crate::volume::keys::policy("hourly"),
            prost::Message::encode_to_vec(&policy).into(),
        )],
        preconditions: Vec::new(),
    };
    world.store().commit(again).await.expect("a commit");
    world.look().await;
    assert_eq!(world.snapshots("/a").await.len(), 1);
}

#[tokio::test]
async fn what_no_rule_keeps_is_deleted_but_for_what_is_needed_or_of_others() {
    let world = World::new().await;
    world.create("eva", "/a").await;
    world.set_policy("eva", &hourly(Retention { last: 1, ..Retention::default() })).await.expect("a policy");
    world.follow("/a", &["hourly"]).await;
    world.snapshot("eva", "/a", "mine").await;
    let mut names = Vec::new();
    for _ in 0..3 {
        world.pass(HOUR);
        world.look().await;
        names = world.snapshots("/a").await;
    }
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(names[0], "mine");
    world.clone_of_snapshot("eva", "/a", &names[1], "/c").await;
    world.pass(HOUR);
    world.look().await;
    assert_eq!(world.snapshots("/a").await.len(), 3, "one that a clone needs stays");
}

#[tokio::test]
async fn nothing_is_made_while_a_policy_is_paused_or_of_what_is_in_the_trash() {
    let world = World::new().await;
    let volume = world.create("eva", "/a").await;
    world.set_policy("eva", &SetPolicy { paused: true, ..hourly(Retention::default()) }).await.expect("a policy");
    world.follow("/a", &["hourly"]).await;
    world.pass(HOUR);
    assert_eq!(world.look().await, None);
    assert!(world.snapshots("/a").await.is_empty());
    world.set_policy("eva", &hourly(Retention::default())).await.expect("a policy");
    world.delete("eva", "/a").await.expect("a deletion");
    world.pass(HOUR);
    world.look().await;
    assert_eq!(world.record(volume.id).await.expect("a volume").snapshot_count, 0);
}

#[tokio::test]
async fn what_goes_wrong_is_told_at_the_policy() {
    let world = World::with(crate::volume::Settings { max_snapshots: 1, ..crate::volume::testing::settings() }).await;
    world.create("eva", "/a").await;
    world.snapshot("eva", "/a", "s").await;
    world.set_policy("eva", &hourly(Retention::default())).await.expect("a policy");
    world.follow("/a", &["hourly"]).await;
    world.pass(HOUR);
    assert!(world.look().await.expect("a time") > world.clock.now(), "it is not tried without end");
    let policy = world.catalog.get_policy("hourly").await.expect("a policy");
    assert!(policy.last_error.contains("limit"), "{}", policy.last_error);
}

#[tokio::test]
async fn a_policy_is_its_owners_and_goes_with_all_who_follow_it() {
    let world = World::new().await;
    world.set_policy("eva", &hourly(Retention::default())).await.expect("a policy");
    let refused = world.set_policy("tom", &hourly(Retention::default())).await;
    assert!(matches!(refused, Err(Error::InvalidUser { .. })));
    let mut ids = Vec::new();
    for number in 0..35 {
        ids.push(world.create("eva", &format!("/{number}")).await.id);
        world.follow(&format!("/{number}"), &["hourly"]).await;
    }
    assert_eq!(world.catalog.members_of("hourly").await.expect("members").len(), 35);
    assert!(matches!(world.catalog.delete_policy(&user("tom"), "hourly").await, Err(Error::InvalidUser { .. })));
    world.catalog.delete_policy(&user("eva"), "hourly").await.expect("a deletion");
    world.catalog.delete_policy(&user("eva"), "hourly").await.expect("no error");
    assert!(matches!(world.catalog.get_policy("hourly").await, Err(Error::NotFound(_))));
    assert!(world.catalog.members_of("hourly").await.expect("members").is_empty());
    for id in ids {
        assert!(world.record(id).await.expect("a volume").policies.is_empty());
    }
}

#[tokio::test]
async fn a_policy_that_is_said_again_keeps_what_is_due() {
    let world = World::new().await;
    let first = world.set_policy("eva", &hourly(Retention::default())).await.expect("a policy");
    world.pass(2 * HOUR);
    let again =
        world.set_policy("eva", &hourly(Retention { last: 3, ..Retention::default() })).await.expect("a policy");
    assert_eq!((again.next_us, again.keep_last), (first.next_us, 3));
    let other = SetPolicy { schedule: "@daily".to_owned(), ..hourly(Retention::default()) };
    assert!(world.set_policy("eva", &other).await.expect("a policy").next_us > world.catalog.now_us());
    let wrong = SetPolicy { schedule: "now and then".to_owned(), ..hourly(Retention::default()) };
    assert!(matches!(world.set_policy("eva", &wrong).await, Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn a_snapshot_goes_when_its_time_is_over_unless_it_is_protected() {
    let world = World::new().await;
    world.create("eva", "/a").await;
    let made = async |name: &str, ttl| {
        let what = CreateSnapshot { name: name.to_owned(), ttl: Some(ttl), ..CreateSnapshot::default() };
        world.catalog.create_snapshot(&user("eva"), at("/a"), what).await.expect("a snapshot");
    };
    made("short", HOUR).await;
    made("long", 5 * HOUR).await;
    made("kept", HOUR).await;
    let kept = WhichSnapshot::Named(path("/a"), "kept".to_owned());
    let protected = |protected| SnapshotChange { protected: Some(protected), ..SnapshotChange::default() };
    world.catalog.update_snapshot(&user("eva"), &kept, &protected(true)).await.expect("a change");
    let mut engine = ExpiryEngine::new(world.catalog.clone());
    assert_eq!(engine.activate().await.expect("a look"), Some(world.clock.now().plus(HOUR)));
    world.pass(HOUR);
    let next = engine.activate().await.expect("a look").expect("a time");
    assert!(next < world.clock.now().plus(HOUR), "what is protected is looked at again");
    assert_eq!(world.snapshots("/a").await, ["long", "kept"]);
    world.catalog.update_snapshot(&user("eva"), &kept, &protected(false)).await.expect("a change");
    engine.activate().await.expect("a look");
    assert_eq!(world.snapshots("/a").await, ["long"]);
}

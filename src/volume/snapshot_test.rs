//! Snapshots, clones, rollbacks, and what becomes of layers, on a driver without bytes.

use steward_proto::store::v1::LayerRecord;

use super::clone::{CloneVolume, MadeClone, Source};
use super::create::CreateVolume;
use super::error::Error;
use super::keys;
use super::layer_tree;
use super::lookup::WithSpace;
use super::namespace::Which;
use super::operation::{State, state};
use super::snapshot_create::{CreateSnapshot, MadeSnapshots};
use super::snapshot_delete::{Children, SnapshotChange};
use super::snapshots::{SnapshotFilter, WhichSnapshot};
use super::testing::{GIB, World, at, path, user};
use crate::store::tx;

async fn volume(world: &World, name: &str) -> u64 {
    let what = CreateVolume {
        path: path(name),
        size_bytes: GIB,
        stripe_unit: 0,
        stripe_count: 0,
        pool: String::new(),
        labels: std::collections::HashMap::new(),
        checksums: false,
    };
    world.catalog.create_volume(&user("ann"), what).await.expect("a volume").0.record.id
}

fn named(name: &str) -> CreateSnapshot {
    CreateSnapshot { name: name.to_owned(), ..CreateSnapshot::default() }
}

async fn snapshot(world: &World, volume: &str, name: &str) -> Result<MadeSnapshots, Error> {
    world.catalog.create_snapshot(&user("ann"), at(volume), named(name)).await
}

fn snap(volume: &str, name: &str) -> WhichSnapshot {
    WhichSnapshot::Named(path(volume), name.to_owned())
}

fn to(destination: &str) -> CloneVolume {
    CloneVolume {
        destination: path(destination),
        read_only: false,
        full_copy: false,
        pool: String::new(),
        labels: std::collections::HashMap::new(),
        size_bytes: 0,
    }
}

async fn clone(world: &World, source: WhichSnapshot, destination: &str) -> Result<MadeClone, Error> {
    world.catalog.clone_volume(&user("ann"), Source::Snapshot(source), to(destination)).await
}

async fn delete(world: &World, which: &WhichSnapshot) -> Result<(), Error> {
    world.catalog.delete_snapshot(&user("ann"), which, Children::Fail).await.map(drop)
}

/// The layers of a volume, the bottom first.
async fn chain(world: &World, volume: u64) -> Vec<u64> {
    let top = world.record(volume).await.expect("a volume").top_layer;
    let chain = layer_tree::chain(world.store(), top).await.expect("a chain");
    chain.iter().map(|layer| layer.id.0).collect()
}

async fn layer(world: &World, id: u64) -> Option<LayerRecord> {
    tx::read(world.store(), &keys::layer(id)).await.expect("a readable record")
}

#[tokio::test]
async fn a_snapshot_freezes_the_top_and_takes_the_next_number() {
    let world = World::new().await;
    let id = volume(&world, "/a").await;

    let first = snapshot(&world, "/a", "one").await.expect("a snapshot");
    let again = snapshot(&world, "/a", "one").await.expect("the same snapshot");
    let second = snapshot(&world, "/a", "two").await.expect("a snapshot");

    assert!(first.created && !again.created);
    assert_eq!(first.snapshots[0].record.uuid, again.snapshots[0].record.uuid);
    assert_eq!((first.snapshots[0].record.seq, second.snapshots[0].record.seq), (1, 2));
    assert_eq!(chain(&world, id).await.len(), 3);
    assert_eq!(world.record(id).await.expect("a volume").snapshot_count, 2);
    assert_eq!(world.has("ann").await.snapshots, 2);
}

#[tokio::test]
async fn a_group_has_a_snapshot_of_each_volume_or_none() {
    let world = World::new().await;
    let (first, second) = (volume(&world, "/a").await, volume(&world, "/b").await);
    let ann = user("ann");
    let group = |name: &str| world.catalog.create_group_snapshot(&ann, vec![at("/a"), at("/b")], named(name));

    let made = group("one").await.expect("two snapshots");
    assert_eq!(made.snapshots.len(), 2);
    assert!(made.snapshots.iter().all(|shown| shown.record.group == made.group && !made.group.is_empty()));

    snapshot(&world, "/b", "two").await.expect("a snapshot");
    assert!(matches!(group("two").await, Err(Error::AlreadyExists(_))));
    assert_eq!(chain(&world, first).await.len(), 2, "the first volume was left alone");
    assert_eq!(chain(&world, second).await.len(), 3);
}

#[tokio::test]
async fn only_its_owner_and_root_make_read_and_delete_a_snapshot() {
    let world = World::new().await;
    volume(&world, "/a").await;
    snapshot(&world, "/a", "one").await.expect("a snapshot");
    let which = snap("/a", "one");
    let bob = user("bob");

    let refused = world.catalog.create_snapshot(&bob, at("/a"), named("two")).await;
    assert!(matches!(refused, Err(Error::InvalidUser { .. })), "{refused:?}");
    assert!(matches!(world.catalog.get_snapshot(&bob, &which).await, Err(Error::InvalidUser { .. })));
    let refused = world.catalog.delete_snapshot(&bob, &which, Children::Fail).await;
    assert!(matches!(refused, Err(Error::InvalidUser { .. })));
    let (seen, total) = world.catalog.list_snapshots(&bob, &SnapshotFilter::default(), 0, 10).await.expect("a list");
    assert_eq!((seen.len(), total), (0, 0));
    world.catalog.get_snapshot(&user("root"), &which).await.expect("root may");
}

#[tokio::test]
async fn the_limit_of_snapshots_holds() {
    let world = World::new().await;
    volume(&world, "/a").await;
    for number in 0..8 {
        snapshot(&world, "/a", &number.to_string()).await.expect("a snapshot");
    }
    assert!(matches!(snapshot(&world, "/a", "more").await, Err(Error::SnapshotLimit { limit: 8, .. })));
}

#[tokio::test]
async fn a_deleted_snapshot_in_the_middle_joins_its_layer_with_the_next() {
    let world = World::new().await;
    let id = volume(&world, "/a").await;
    for name in ["one", "two"] {
        snapshot(&world, "/a", name).await.expect("a snapshot");
    }
    let before = chain(&world, id).await;
    world.driver.set_used(before[0], 100);
    world.driver.set_used(before[1], 7);

    delete(&world, &snap("/a", "one")).await.expect("it is deleted");
    let shown = world.catalog.get_snapshot(&user("ann"), &snap("/a", "one")).await.expect("until it is tidied");
    assert!(shown.record.is_deleting);
    world.catalog.tidy_all().await.expect("it is tidied");

    // The smaller one moved into the larger one, which has its name now.
    assert_eq!(chain(&world, id).await, [before[0], before[2]]);
    let two = world.catalog.get_snapshot(&user("ann"), &snap("/a", "two")).await.expect("the other snapshot");
    assert_eq!(two.record.layer, before[0]);
    assert!(layer(&world, before[1]).await.is_none());
    assert_eq!(world.driver.size_of(before[1]), None);
    assert!(matches!(world.catalog.get_snapshot(&user("ann"), &snap("/a", "one")).await, Err(Error::NotFound(_))));
    assert_eq!(world.has("ann").await.snapshots, 1);
}

#[tokio::test]
async fn the_layer_of_the_newest_snapshot_stays_until_the_next_one_is_made() {
    let world = World::new().await;
    let id = volume(&world, "/a").await;
    snapshot(&world, "/a", "one").await.expect("a snapshot");
    delete(&world, &snap("/a", "one")).await.expect("it is deleted");
    world.catalog.tidy_all().await.expect("it is tidied");
    assert_eq!(world.record(id).await.expect("a volume").snapshot_count, 0);
    assert_eq!(chain(&world, id).await.len(), 2, "writes go on in the top");

    snapshot(&world, "/a", "two").await.expect("a snapshot");
    world.catalog.tidy_all().await.expect("it is tidied");

    assert_eq!(chain(&world, id).await.len(), 2);
}

#[tokio::test]
async fn however_often_snapshots_come_and_go_the_chain_stays_short() {
    let world = World::new().await;
    let id = volume(&world, "/a").await;
    for round in 0..20 {
        snapshot(&world, "/a", &format!("s{round}")).await.expect("a snapshot");
        if round >= 3 {
            delete(&world, &snap("/a", &format!("s{}", round - 3))).await.expect("it is deleted");
        }
        world.catalog.tidy_all().await.expect("it is tidied");
    }
    assert!(chain(&world, id).await.len() <= 5, "{:?}", chain(&world, id).await);
}

#[tokio::test]
async fn layers_on_which_many_clones_stand_are_joined_within_one_transaction() {
    for clones in [24, 26] {
        let world = World::new().await;
        let id = volume(&world, "/a").await;
        for name in ["one", "two"] {
            snapshot(&world, "/a", name).await.expect("a snapshot");
        }
        for number in 0..clones {
            clone(&world, snap("/a", "two"), &format!("/c{number}")).await.expect("a clone");
        }
        let before = chain(&world, id).await;
        world.driver.set_used(before[0], 100);

        delete(&world, &snap("/a", "one")).await.expect("it is deleted");
        world.catalog.tidy_all().await.expect("it is tidied");

        let after = chain(&world, id).await;
        assert_eq!(after.len(), 2, "{clones} clones");
        let last = world.catalog.get_volume(&user("ann"), &at(&format!("/c{}", clones - 1)), WithSpace::No).await;
        let last = last.expect("a clone").record;
        assert_eq!(chain(&world, last.id).await[0], after[0], "the clones stand on what is left");
    }
}

#[tokio::test]
async fn a_snapshot_with_clones_is_deleted_only_when_they_need_it_no_more() {
    let world = World::new().await;
    volume(&world, "/a").await;
    snapshot(&world, "/a", "one").await.expect("a snapshot");
    let clone = clone(&world, snap("/a", "one"), "/b").await.expect("a clone");

    assert!(matches!(delete(&world, &snap("/a", "one")).await, Err(Error::SnapshotInUse(_))));
    let deferred = world.catalog.delete_snapshot(&user("ann"), &snap("/a", "one"), Children::Defer).await;
    let deferred = deferred.expect("it waits");
    assert_eq!(state(&deferred), State::Queued);
    world.catalog.tidy_all().await.expect("nothing to do");
    assert_eq!(layer_tree::chain(world.store(), clone.volume.top_layer).await.expect("a chain").len(), 2);

    world.catalog.delete_volume(&user("ann"), &at("/b")).await.expect("the clone is in the trash");
    world.catalog.tidy_all().await.expect("it is tidied");
    assert!(matches!(world.catalog.get_snapshot(&user("ann"), &snap("/a", "one")).await, Err(Error::NotFound(_))));
    let uuid = super::operation::uuid_of(&deferred.uuid).expect("a UUID");
    let operation = world.catalog.get_operation(&user("ann"), uuid).await.expect("the operation");
    assert_eq!(state(&operation.record), State::Succeeded);
}

#[tokio::test]
async fn a_protected_or_locked_snapshot_is_not_deleted() {
    let world = World::new().await;
    volume(&world, "/a").await;
    snapshot(&world, "/a", "one").await.expect("a snapshot");
    let which = snap("/a", "one");
    let ann = user("ann");

    let protect = SnapshotChange { protected: Some(true), ..SnapshotChange::default() };
    world.catalog.update_snapshot(&ann, &which, &protect).await.expect("protected");
    assert!(matches!(delete(&world, &which).await, Err(Error::Protected(_))));

    let until = world.catalog.now_us() + 60_000_000;
    let lock = SnapshotChange { protected: Some(false), locked_until_us: Some(until), ..SnapshotChange::default() };
    world.catalog.update_snapshot(&ann, &which, &lock).await.expect("locked");
    assert!(matches!(delete(&world, &which).await, Err(Error::Protected(_))));
    let sooner = SnapshotChange { locked_until_us: Some(until - 1), ..SnapshotChange::default() };
    assert!(matches!(world.catalog.update_snapshot(&ann, &which, &sooner).await, Err(Error::Protected(_))));

    world.pass(std::time::Duration::from_secs(61));
    delete(&world, &which).await.expect("the lock is over");
}

#[tokio::test]
async fn the_same_clone_again_is_answered_with_the_same_operation() {
    let world = World::new().await;
    volume(&world, "/a").await;
    for name in ["one", "two"] {
        snapshot(&world, "/a", name).await.expect("a snapshot");
    }

    let first = clone(&world, snap("/a", "one"), "/b").await.expect("a clone");
    let again = clone(&world, snap("/a", "one"), "/b").await.expect("the same");
    assert!(first.created && !again.created);
    assert_eq!(first.operation.uuid, again.operation.uuid);
    assert_eq!(state(&first.operation), State::MetaInstalled);

    assert!(matches!(clone(&world, snap("/a", "two"), "/b").await, Err(Error::AlreadyExists(_))));
    assert!(matches!(clone(&world, snap("/a", "one"), "/a").await, Err(Error::AlreadyExists(_))));
    assert!(matches!(clone(&world, snap("/a", "none"), "/c").await, Err(Error::NotFound(_))));
    let bob = world.catalog.clone_volume(&user("bob"), Source::Snapshot(snap("/a", "one")), to("/c")).await;
    assert!(matches!(bob, Err(Error::InvalidUser { .. })));
}

#[tokio::test]
async fn a_clone_of_a_volume_has_a_snapshot_that_nobody_sees_and_that_goes_with_it() {
    let world = World::new().await;
    let id = volume(&world, "/a").await;
    let bob = user("bob");

    let made = world.catalog.clone_volume(&bob, Source::Volume(at("/a")), to("/b")).await.expect("a clone");
    assert!(made.operation.source_is_volume);
    assert_eq!(made.operation.source, "/a");
    let (seen, _) =
        world.catalog.list_snapshots(&user("root"), &SnapshotFilter::default(), 0, 10).await.expect("a list");
    assert!(seen.is_empty());
    let refused = world.catalog.delete_volume(&user("ann"), &at("/a")).await;
    assert!(matches!(refused, Err(Error::VolumeInUse(_))), "{refused:?}");

    world.catalog.delete_volume(&bob, &at("/b")).await.expect("the clone is in the trash");
    world.catalog.tidy_all().await.expect("it is tidied");
    assert_eq!(world.record(id).await.expect("a volume").snapshot_count, 0);
    world.catalog.delete_volume(&user("ann"), &at("/a")).await.expect("nothing needs it");
}

#[tokio::test]
async fn a_rollback_goes_back_and_can_keep_what_was() {
    let world = World::new().await;
    let id = volume(&world, "/a").await;
    snapshot(&world, "/a", "one").await.expect("a snapshot");
    let old = chain(&world, id).await;

    let rolled = world.catalog.rollback(&user("ann"), at("/a"), "one".to_owned(), "before".to_owned()).await;
    let (operation, record) = rolled.expect("it is rolled back");
    assert_eq!(state(&operation), State::Succeeded);
    let new = chain(&world, id).await;
    assert_eq!((new.len(), new[0]), (2, old[0]));
    assert_ne!(new[1], old[1]);
    assert_eq!(record.top_layer, new[1]);
    let kept = world.catalog.get_snapshot(&user("ann"), &snap("/a", "before")).await.expect("what was");
    assert_eq!(kept.record.layer, old[1]);

    world.catalog.rollback(&user("ann"), at("/a"), "one".to_owned(), String::new()).await.expect("once more");
    world.catalog.tidy_all().await.expect("it is tidied");
    assert!(layer(&world, new[1]).await.is_none(), "what nobody kept is gone");
    assert!(layer(&world, old[1]).await.is_some());
}

#[tokio::test]
async fn a_rollback_needs_a_snapshot_of_the_volume_itself() {
    let world = World::new().await;
    volume(&world, "/a").await;
    volume(&world, "/b").await;
    let made = snapshot(&world, "/b", "one").await.expect("a snapshot");
    let foreign = made.snapshots[0].record.uuid.clone();
    let rolled = world.catalog.rollback(&user("ann"), at("/a"), foreign, String::new()).await;
    assert!(matches!(rolled, Err(Error::SnapshotInvalid(_))), "{rolled:?}");
    let rolled = world.catalog.rollback(&user("ann"), at("/a"), "one".to_owned(), String::new()).await;
    assert!(matches!(rolled, Err(Error::NotFound(_))), "{rolled:?}");
}

#[tokio::test]
async fn what_a_purged_volume_leaves_is_removed_or_joined_with_what_stands_on_it() {
    let world = World::new().await;
    let id = volume(&world, "/a").await;
    snapshot(&world, "/a", "one").await.expect("a snapshot");
    let layers = chain(&world, id).await;
    let made = clone(&world, snap("/a", "one"), "/b").await.expect("a clone");
    world.catalog.delete_snapshot(&user("ann"), &snap("/a", "one"), Children::Defer).await.expect("it waits");
    world.catalog.delete_volume(&user("ann"), &at("/b")).await.expect("in the trash");
    world.catalog.tidy_all().await.expect("it is tidied");
    world.catalog.delete_volume(&user("ann"), &at("/a")).await.expect("in the trash");
    world.catalog.purge_volume(&user("ann"), &Which::Id(id)).await.expect("purged");
    world.catalog.tidy_all().await.expect("it is tidied");

    assert!(layer(&world, layers[1]).await.is_none(), "the top of the purged volume");
    let restored =
        world.catalog.restore_volume(&user("ann"), &Which::Id(made.volume.id), None).await.expect("it is back");
    let layers = chain(&world, restored.record.id).await;
    assert!(layers.iter().all(|layer| world.driver.size_of(*layer).is_some()), "all its bytes are there");
    assert!(restored.record.parent_snapshot.is_empty());
}

#[tokio::test]
async fn no_number_of_a_layer_is_given_out_twice() {
    let mut world = World::new().await;
    volume(&world, "/a").await;
    let given = world.catalog.next_layer();
    world.driver.set_used(given.0 + 10, 5);
    world.restart().await;
    let next = world.catalog.next_layer();
    assert!(next.0 > given.0 + 10, "also not that of a layer that no record knows");
    world.restart().await;
    assert!(world.catalog.next_layer() > next, "also not one of which nothing is left");
}

#[tokio::test]
async fn the_same_clone_is_answered_also_when_its_operation_is_long_forgotten() {
    let world = World::new().await;
    volume(&world, "/a").await;
    snapshot(&world, "/a", "s").await.expect("a snapshot");
    let ann = user("ann");
    let full = CloneVolume { full_copy: true, ..to("/full") };
    let of_snapshot = Source::Snapshot(snap("/a", "s"));
    let of_volume = Source::Volume(at("/a"));
    let requests = [(of_snapshot.clone(), full), (of_volume.clone(), to("/path")), (of_snapshot.clone(), to("/lazy"))];
    for (source, what) in &requests {
        let made = world.catalog.clone_volume(&ann, source.clone(), what.clone()).await.expect("a clone");
        let uuid = super::operation::uuid_of(&made.operation.uuid).expect("a UUID");
        let forget = world.catalog.decide("an operation", |mut tx| async move {
            tx.delete(keys::operation(uuid));
            Ok::<_, Error>(tx.answer(()))
        });
        forget.await.expect("it is forgotten");
    }
    for (source, what) in requests {
        let again = world.catalog.clone_volume(&ann, source, what).await.expect("the same clone");
        assert!(!again.created);
    }
    let other = world.catalog.clone_volume(&ann, of_volume, to("/lazy")).await;
    assert!(matches!(other, Err(Error::AlreadyExists(_))));
    let other = world.catalog.clone_volume(&ann, of_snapshot, to("/full")).await;
    assert!(matches!(other, Err(Error::AlreadyExists(_))));
}

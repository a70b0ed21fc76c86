//! Flattens and full copies: how they run, rest, fail and are taken back, on a driver without bytes.

use std::collections::HashMap;
use std::time::Duration;

use steward_proto::store::v1::{VolumeOperationRecord, VolumeRecord};
use uuid::Uuid;

use super::clone::{CloneVolume, MadeClone, Source};
use super::create::CreateVolume;
use super::driver::{Driver as _, LayerId, LayerSpec};
use super::error::Error;
use super::keys;
use super::operation::{State, Type, kind, state, uuid_of};
use super::operations::{OperationFilter, OperationStart, Say};
use super::reach::Reach;
use super::runner::Runner;
use super::snapshot_create::CreateSnapshot;
use super::snapshot_delete::Children;
use super::snapshots::WhichSnapshot;
use super::testing::{GIB, World, at, path, user};
use crate::auth::{Authenticator, Identity};
use crate::config;
use crate::store::tx;

/// A volume `/a` with a snapshot `s`, and a clone of it at `/c`.
async fn cloned(world: &World, full_copy: bool) -> MadeClone {
    let what = CreateVolume {
        path: path("/a"),
        size_bytes: GIB,
        stripe_unit: 0,
        stripe_count: 0,
        pool: String::new(),
        labels: HashMap::new(),
        checksums: false,
    };
    let volume = world.catalog.create_volume(&user("ann"), what).await.expect("a volume").0.record;
    world.driver.set_used(volume.top_layer, 1000);
    let what = CreateSnapshot { name: "s".to_owned(), ..CreateSnapshot::default() };
    world.catalog.create_snapshot(&user("ann"), at("/a"), what).await.expect("a snapshot");
    let what = CloneVolume {
        destination: path("/c"),
        read_only: false,
        full_copy,
        pool: String::new(),
        labels: HashMap::new(),
        size_bytes: 0,
    };
    let source = Source::Snapshot(WhichSnapshot::Named(path("/a"), "s".to_owned()));
    world.catalog.clone_volume(&user("ann"), source, what).await.expect("a clone")
}

async fn flatten(world: &World) -> Uuid {
    let flattened = world.catalog.flatten(&user("ann"), &at("/c"), 0).await.expect("a flatten");
    uuid_of(&flattened.operation.expect("an operation").record.uuid).expect("a UUID")
}

/// Lets the runner look once, and waits until all that it has started is over.
async fn run(world: &World) {
    Runner::new(world.catalog.clone()).activate().await.expect("a look");
    world.settle().await;
}

async fn operation(world: &World, uuid: Uuid) -> VolumeOperationRecord {
    tx::read(world.store(), &keys::operation(uuid)).await.expect("a readable record").expect("an operation")
}

async fn clone_state(world: &World, made: &MadeClone) -> State {
    state(&operation(world, uuid_of(&made.operation.uuid).expect("a UUID")).await)
}

async fn volume(world: &World, made: &MadeClone) -> VolumeRecord {
    world.record(made.volume.id).await.expect("a volume")
}

#[tokio::test]
async fn a_flattened_clone_needs_its_parent_no_more() {
    let world = World::new().await;
    let made = cloned(&world, false).await;
    assert_eq!(clone_state(&world, &made).await, State::MetaInstalled);
    let uuid = flatten(&world).await;
    assert_eq!(clone_state(&world, &made).await, State::Running);
    run(&world).await;
    let record = operation(&world, uuid).await;
    assert_eq!((state(&record), record.bytes_done, record.bytes_total), (State::Succeeded, 1000, 1000));
    assert_eq!(clone_state(&world, &made).await, State::Succeeded);
    let volume = volume(&world, &made).await;
    assert!(volume.parent_snapshot.is_empty() && volume.operation.is_empty() && volume.base_layer == 0);
    let chain = super::layer_tree::chain(world.store(), volume.top_layer).await.expect("a chain");
    assert_eq!(chain.iter().map(|layer| layer.id.0).collect::<Vec<_>>(), [record.into_layer, made.volume.top_layer]);
    let again = world.catalog.flatten(&user("ann"), &at("/c"), 0).await.expect("an answer");
    assert!(again.operation.is_none());
}

#[tokio::test]
async fn what_is_open_reads_the_new_layer_after_a_flatten() {
    let world = World::new().await;
    let made = cloned(&world, false).await;
    let opener = super::open_volume::Opener::server(super::open_volume::Wish::Read, "test");
    let session = world.catalog.open_volume(&at("/c"), opener).await.expect("a session");
    let uuid = flatten(&world).await;
    run(&world).await;
    let into = operation(&world, uuid).await.into_layer;
    let view = world.catalog.open.view(made.volume.id).expect("a view");
    assert_eq!(view.chain().first().map(|layer| layer.id.0), Some(into));
    drop(session);
}

#[tokio::test]
async fn a_volume_that_is_being_flattened_is_answered_with_the_same_operation() {
    let world = World::new().await;
    cloned(&world, false).await;
    let first = flatten(&world).await;
    assert_eq!(flatten(&world).await, first);
}

#[tokio::test]
async fn only_the_owner_flattens_and_only_clones_are() {
    let world = World::new().await;
    cloned(&world, false).await;
    let other = world.catalog.flatten(&user("bob"), &at("/c"), 0).await;
    assert!(matches!(other, Err(Error::InvalidUser { .. })));
    let directory = world.catalog.flatten(&user("root"), &at("/clone"), 0).await;
    assert!(matches!(directory, Err(Error::IsDirectory(_))));
    let plain = world.catalog.flatten(&user("ann"), &at("/a"), 0).await.expect("an answer");
    assert!(plain.operation.is_none());
}

#[tokio::test]
async fn a_full_copy_runs_by_itself() {
    let world = World::new().await;
    let made = cloned(&world, true).await;
    assert_eq!(clone_state(&world, &made).await, State::Queued);
    run(&world).await;
    assert_eq!(clone_state(&world, &made).await, State::Succeeded);
    assert!(volume(&world, &made).await.parent_snapshot.is_empty());
}

#[tokio::test]
async fn a_cancelled_flatten_leaves_a_clone_as_it_was() {
    let world = World::new().await;
    let made = cloned(&world, false).await;
    let uuid = flatten(&world).await;
    let told = world.catalog.tell_operation(&user("ann"), uuid, Say::Cancel).await.expect("told");
    assert_eq!(state(&told.record), State::Canceling);
    run(&world).await;
    let record = operation(&world, uuid).await;
    assert_eq!(state(&record), State::Cancelled);
    assert_eq!(world.driver.size_of(record.into_layer), None);
    assert_eq!(clone_state(&world, &made).await, State::MetaInstalled);
    let volume = volume(&world, &made).await;
    assert!(!volume.parent_snapshot.is_empty() && volume.operation.is_empty());
    let again = world.catalog.tell_operation(&user("ann"), uuid, Say::Cancel).await;
    assert!(matches!(again, Err(Error::NotCancellable(_))));
    assert_ne!(flatten(&world).await, uuid);
}

#[tokio::test]
async fn a_clone_that_is_being_flattened_is_told_things_by_either_operation() {
    let world = World::new().await;
    let made = cloned(&world, false).await;
    let uuid = flatten(&world).await;
    let clone = uuid_of(&made.operation.uuid).expect("a UUID");
    world.catalog.tell_operation(&user("ann"), clone, Say::Cancel).await.expect("told");
    assert_eq!(state(&operation(&world, uuid).await), State::Canceling);
}

#[tokio::test]
async fn what_was_paused_rests_over_a_restart_until_it_is_told_to_go_on() {
    let mut world = World::new().await;
    let made = cloned(&world, false).await;
    let uuid = flatten(&world).await;
    world.catalog.tell_operation(&user("ann"), uuid, Say::Pause).await.expect("told");
    world.restart().await;
    run(&world).await;
    assert_eq!(state(&operation(&world, uuid).await), State::Paused);
    world.catalog.tell_operation(&user("ann"), uuid, Say::Resume).await.expect("told");
    run(&world).await;
    assert_eq!(state(&operation(&world, uuid).await), State::Succeeded);
    assert!(volume(&world, &made).await.parent_snapshot.is_empty());
    let resumed = world.catalog.tell_operation(&user("ann"), uuid, Say::Resume).await;
    assert!(matches!(resumed, Err(Error::BadState(_))));
}

#[tokio::test]
async fn what_fails_is_tried_again_and_given_up_in_the_end() {
    let world = World::new().await;
    let made = cloned(&world, false).await;
    let parent = volume(&world, &made).await.base_layer;
    let parent: steward_proto::store::v1::LayerRecord =
        tx::read(world.store(), &keys::layer(parent)).await.expect("a readable record").expect("a layer");
    world.driver.remove_layer(LayerId(parent.parent)).expect("removed");
    let uuid = flatten(&world).await;
    run(&world).await;
    assert_eq!(state(&operation(&world, uuid).await), State::Retrying);
    // It rests.
    run(&world).await;
    assert_eq!(operation(&world, uuid).await.attempts, 1);
    for _ in 0..20 {
        world.pass(Duration::from_mins(2));
        run(&world).await;
    }
    let record = operation(&world, uuid).await;
    assert_eq!((state(&record), record.attempts), (State::Failed, 20));
    assert!(!record.error_message.is_empty());
    assert_eq!(clone_state(&world, &made).await, State::MetaInstalled);
    assert!(volume(&world, &made).await.operation.is_empty());
}

#[tokio::test]
async fn what_failed_once_goes_on_when_the_reason_is_gone() {
    let world = World::new().await;
    let made = cloned(&world, false).await;
    let base: steward_proto::store::v1::LayerRecord =
        tx::read(world.store(), &keys::layer(made.volume.base_layer)).await.expect("readable").expect("a layer");
    world.driver.remove_layer(LayerId(base.parent)).expect("removed");
    let uuid = flatten(&world).await;
    run(&world).await;
    let source = LayerSpec { id: LayerId(base.parent), size: GIB, checksums: false };
    world.driver.create_layer(source).expect("made");
    world.pass(Duration::from_secs(1));
    run(&world).await;
    assert_eq!(state(&operation(&world, uuid).await), State::Succeeded);
}

#[tokio::test]
async fn operations_are_listed_by_type_and_page_and_forgotten_only_when_they_have_ended() {
    let world = World::new().await;
    let made = cloned(&world, false).await;
    let uuid = flatten(&world).await;
    let list = async |who: &str, filter: &OperationFilter, start, limit| {
        world.catalog.list_operations(&user(who), filter, start, limit).await.expect("a list")
    };
    let all = OperationFilter::default();
    let first = list("ann", &all, OperationStart::Skip(0), 1).await;
    assert_eq!((first.operations.len(), first.total), (1, 2));
    let (create_us, last) = first.next.expect("a second page");
    let second = list("ann", &all, OperationStart::After(create_us, last), 1).await;
    assert_eq!((second.operations.len(), second.next), (1, None));
    assert_ne!(first.operations[0].record.uuid, second.operations[0].record.uuid);
    let flattens = OperationFilter { types: vec![Type::Flatten], ..OperationFilter::default() };
    let found = list("root", &flattens, OperationStart::Skip(0), 10).await;
    assert_eq!(found.operations.iter().map(|shown| kind(&shown.record)).collect::<Vec<_>>(), [Type::Flatten]);
    assert_eq!(list("bob", &all, OperationStart::Skip(0), 10).await.total, 0);
    let unfinished = world.catalog.delete_operation(&user("ann"), uuid).await;
    assert!(matches!(unfinished, Err(Error::TaskUnfinished(_))));
    run(&world).await;
    assert!(matches!(world.catalog.delete_operation(&user("bob"), uuid).await, Err(Error::InvalidUser { .. })));
    world.catalog.delete_operation(&user("ann"), uuid).await.expect("forgotten");
    world.catalog.delete_operation(&user("ann"), uuid).await.expect("no error");
    let clone = uuid_of(&made.operation.uuid).expect("a UUID");
    assert_eq!(world.catalog.get_operation(&user("ann"), clone).await.expect("one").percent, 100);
}

#[tokio::test]
async fn who_waits_for_an_operation_hears_of_its_end() {
    let world = World::new().await;
    cloned(&world, false).await;
    let uuid = flatten(&world).await;
    let ann = user("ann");
    let early = world.catalog.wait_operation(&ann, uuid, Duration::ZERO).await.expect("an answer");
    assert_eq!(state(&early.record), State::Queued);
    let waiting = world.catalog.wait_operation(&ann, uuid, Duration::from_mins(1));
    let (shown, ()) = tokio::join!(waiting, run(&world));
    assert_eq!(state(&shown.expect("an answer").record), State::Succeeded);
}

#[tokio::test]
async fn operations_that_ended_long_ago_are_forgotten() {
    let world = World::new().await;
    let made = cloned(&world, false).await;
    let uuid = flatten(&world).await;
    world.pass(Duration::from_hours(48));
    assert_eq!(world.catalog.forget_operations().await.expect("a look"), 0);
    run(&world).await;
    world.pass(Duration::from_hours(23));
    assert_eq!(world.catalog.forget_operations().await.expect("a look"), 0);
    world.pass(Duration::from_hours(2));
    assert_eq!(world.catalog.forget_operations().await.expect("a look"), 2);
    for gone in [uuid, uuid_of(&made.operation.uuid).expect("a UUID")] {
        assert!(matches!(world.catalog.get_operation(&user("ann"), gone).await, Err(Error::NotFound(_))));
    }
}

#[tokio::test]
async fn a_snapshot_is_deleted_with_its_clones_flattened_whoever_owns_them() {
    let world = World::new().await;
    let made = cloned(&world, false).await;
    let moved = world.catalog.make_directory(&user("ann"), &path("/d"), None).await;
    moved.expect("a directory");
    world.catalog.rename_volume(&user("ann"), &at("/c"), &path("/d/c")).await.expect("it is in it");
    let change = super::change::VolumeChange { owner: Some("bob".to_owned()), ..Default::default() };
    world.catalog.update_volume(&user("root"), &at("/d/c"), &change, None).await.expect("it is another's");

    let which = WhichSnapshot::Named(path("/a"), "s".to_owned());
    world.catalog.delete_snapshot(&user("ann"), &which, Children::Flatten).await.expect("a deletion");
    let flatten = uuid_of(&volume(&world, &made).await.operation).expect("an operation");
    assert_eq!(operation(&world, flatten).await.owner, "bob");
    run(&world).await;
    assert!(volume(&world, &made).await.parent_snapshot.is_empty());
}

#[tokio::test]
async fn a_clone_that_the_caller_does_not_reach_is_not_flattened_for_a_snapshot_that_it_deletes() {
    let world = World::new().await;
    let made = cloned(&world, false).await;
    let auth = config::Auth { rights: "ann volume a read,write".to_owned(), ..config::Auth::default() };
    let caller = Identity { user: Some("ann".to_owned()), ..Identity::default() };
    let grants = Authenticator::from_config(&auth).expect("rights").grants(caller).await;
    let (reach, which) = (Reach::new(grants, "ann".to_owned()), WhichSnapshot::Named(path("/a"), "s".to_owned()));
    let deleted = world.catalog.delete_snapshot_within(&reach, &user("ann"), &which, Children::Flatten).await;
    assert_eq!(state(&deleted.expect("a deletion")), State::Queued);
    run(&world).await;
    assert!(!volume(&world, &made).await.parent_snapshot.is_empty());
}

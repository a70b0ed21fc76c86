use std::time::Duration;

use super::*;
use crate::engine::Engine as _;
use crate::volume::namespace::Which;
use crate::volume::snapshot_delete::Children;
use crate::volume::trash::TrashEngine;

impl World {
    async fn restore(&self, name: &str, which: Which, to: Option<&str>) -> Result<String, Error> {
        let to = to.map(path);
        let shown = self.catalog.restore_volume(&user(name), &which, to.as_ref()).await?;
        Ok(shown.path.to_string())
    }

    async fn purge(&self, name: &str) -> u64 {
        self.catalog.purge_trash(&user(name), Duration::ZERO).await.expect("a purge")
    }

    async fn children(&self, snapshot: &str) -> u32 {
        let uuid = uuid::Uuid::parse_str(snapshot).expect("a UUID");
        let shown = self.catalog.get_snapshot(&user("root"), &WhichSnapshot::Uuid(uuid)).await;
        shown.expect("a snapshot").record.child_count
    }
}

#[tokio::test]
async fn a_deleted_volume_is_in_the_trash_and_comes_back() {
    let world = World::new().await;
    let volume = world.create("eva", "/a").await;
    assert!(matches!(world.delete("tom", "/a").await, Err(Error::InvalidUser { .. })));
    world.delete("eva", "/a").await.expect("a deletion");
    let name = format!("/RecycleBin/a-{}", volume.id);
    assert_eq!(world.path_of(volume.id).await, name);
    assert!(matches!(world.delete("eva", "/a").await, Err(Error::NotFound(_))));
    assert!(matches!(world.delete("root", &name).await, Err(Error::BadState(_))));
    assert_eq!(world.has("eva").await.volumes, 1, "it counts until it is purged");
    for which in [Which::Id(volume.id), at(&name), at("/a"), Which::Both(volume.id, path("/a"))] {
        assert!(matches!(world.restore("tom", which.clone(), None).await, Err(Error::InvalidUser { .. })));
        assert_eq!(world.restore("eva", which, None).await.expect("a volume"), "/a");
        world.delete("eva", "/a").await.expect("a deletion");
    }
    assert!(matches!(
        world.restore("eva", Which::Both(volume.id, path("/b")), None).await,
        Err(Error::NameMismatch(_))
    ));
    assert!(matches!(world.restore("eva", at("/b"), None).await, Err(Error::NotFound(_))));
    world.create("eva", "/a").await;
    assert!(matches!(world.restore("eva", at("/a"), None).await, Err(Error::AlreadyExists(_))));
    assert_eq!(world.restore("eva", at("/a"), Some("/b")).await.expect("a volume"), "/b");
    assert_eq!(world.record(2).await.expect("the trash").entry_count, 0);
}

#[tokio::test]
async fn of_several_that_were_at_a_path_the_last_one_comes_back() {
    let world = World::new().await;
    let mut last = 0;
    for _ in 0..3 {
        last = world.create("eva", "/a").await.id;
        world.pass(Duration::from_secs(1));
        world.delete("eva", "/a").await.expect("a deletion");
    }
    world.pass(Duration::from_secs(1));
    world.create("tom", "/a").await;
    world.delete("tom", "/a").await.expect("a deletion");
    world.restore("eva", at("/a"), None).await.expect("a volume");
    assert_eq!(
        world.catalog.get_volume(&user("eva"), &at("/a"), crate::volume::WithSpace::No).await.unwrap().record.id,
        last
    );
}

#[tokio::test]
async fn a_long_name_is_cut_between_characters_in_the_trash() {
    let world = World::new().await;
    let volume = world.create("eva", &format!("/{}", "\u{e9}".repeat(127))).await;
    world.delete("eva", &format!("/{}", "\u{e9}".repeat(127))).await.expect("a deletion");
    let name = world.record(volume.id).await.expect("a volume").name;
    assert!(name.len() <= 255 && name.ends_with(&format!("-{}", volume.id)), "{name}");
    world.restore("eva", Which::Id(volume.id), None).await.expect("its whole name");
}

#[tokio::test]
async fn what_is_needed_is_not_deleted() {
    let world = World::new().await;
    world.create("eva", "/a").await;
    world.snapshot("eva", "/a", "s").await;
    assert!(matches!(world.delete("eva", "/a").await, Err(Error::HasSnapshots(_))));
    world.create("eva", "/b").await;
    world.clone_of("eva", Source::Volume(at("/b")), "/c").await;
    assert!(matches!(world.delete("eva", "/b").await, Err(Error::VolumeInUse(_))));
    world.delete("eva", "/c").await.expect("the clone goes");
    world.delete("eva", "/b").await.expect("nothing is cloned from it any more");
    world.create("eva", "/p").await;
    let change = crate::volume::VolumeChange { protected: Some(true), ..crate::volume::VolumeChange::default() };
    world.catalog.update_volume(&user("eva"), &at("/p"), &change, None).await.expect("a change");
    assert!(matches!(world.delete("eva", "/p").await, Err(Error::Protected(_))));
    for always in ["/", "/RecycleBin", "/clone"] {
        assert!(matches!(world.delete("root", always).await, Err(Error::Invalid { .. })), "{always}");
    }
}

#[tokio::test]
async fn only_an_empty_directory_is_removed_and_nothing_is_left_of_it() {
    let world = World::new().await;
    let directory = world.directory("eva", "/d").await;
    world.create("eva", "/d/a").await;
    assert!(matches!(world.delete("eva", "/d").await, Err(Error::DirectoryNotEmpty(_))));
    world.delete("eva", "/d/a").await.expect("a deletion");
    world.delete("eva", "/d").await.expect("a deletion");
    assert_eq!(world.record(directory.id).await, None);
    assert!(matches!(world.restore("eva", at("/d/a"), None).await, Err(Error::NotFound(_))));
    world.restore("eva", at("/d/a"), Some("/a")).await.expect("elsewhere");
}

#[tokio::test]
async fn a_clone_in_the_trash_needs_its_parent_only_if_it_comes_back() {
    let world = World::new().await;
    world.create("eva", "/a").await;
    let snapshot = world.snapshot("eva", "/a", "s").await;
    let clone = world.clone_of_snapshot("eva", "/a", "s", "/c").await;
    assert_eq!(world.children(&snapshot).await, 1);
    world.delete("eva", "/c").await.expect("a deletion");
    assert_eq!(world.children(&snapshot).await, 0);
    world.restore("eva", at("/c"), None).await.expect("a volume");
    assert_eq!(world.children(&snapshot).await, 1);
    world.delete("eva", "/c").await.expect("a deletion");
    let which = WhichSnapshot::Named(path("/a"), "s".to_owned());
    world.catalog.delete_snapshot(&user("eva"), &which, Children::Fail).await.expect("nothing needs it");
    world.restore("eva", at("/c"), None).await.expect("a volume");
    let clone = world.record(clone.id).await.expect("a volume");
    assert_eq!((clone.parent_snapshot.as_str(), clone.base_layer), ("", 0), "it stays on the layers that it has");
}

#[tokio::test]
async fn a_purge_gives_everything_back() {
    let world = World::new().await;
    let eva = world.create("eva", "/a").await;
    world.create("tom", "/b").await;
    for (name, place) in [("eva", "/a"), ("tom", "/b")] {
        world.delete(name, place).await.expect("a deletion");
    }
    assert_eq!(world.catalog.purge_trash(&user("eva"), Duration::from_mins(1)).await.expect("a purge"), 0);
    assert_eq!(world.purge("eva").await, 1);
    assert_eq!((world.has("eva").await.volumes, world.has("tom").await.volumes), (0, 1));
    assert_eq!(world.record(eva.id).await, None);
    let layer: steward_proto::store::v1::LayerRecord =
        crate::store::tx::read(world.store(), &crate::volume::keys::layer(eva.top_layer)).await.unwrap().unwrap();
    assert_eq!(layer.volume_id, 0, "the tidy engine takes care of the layer");
    assert_eq!(world.purge("root").await, 1);
    assert!(matches!(world.catalog.purge_volume(&user("eva"), &Which::Id(eva.id)).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn the_trash_is_emptied_when_the_time_of_a_volume_is_over() {
    let world = World::new().await;
    let mut engine = TrashEngine::new(world.catalog.clone());
    assert_eq!(engine.activate().await.expect("a look"), None);
    let volume = world.create("eva", "/a").await;
    world.delete("eva", "/a").await.expect("a deletion");
    let next = engine.activate().await.expect("a look").expect("a time");
    assert_eq!(next.since(crate::clock::Clock::now(&*world.clock)), Duration::from_hours(24));
    world.pass(Duration::from_hours(24));
    engine.activate().await.expect("a look");
    assert_eq!(world.record(volume.id).await, None);
    assert_eq!(engine.activate().await.expect("a look"), None);
}

#[tokio::test]
async fn volumes_that_cannot_be_purged_yet_keep_no_other_in_the_trash() {
    let world = World::new().await;
    let mut engine = TrashEngine::new(world.catalog.clone());
    for number in 0..70 {
        let needed = world.create("eva", &format!("/a{number}")).await;
        world.delete("eva", &format!("/a{number}")).await.expect("a deletion");
        let needed = &world.record(needed.id).await.expect("a volume");
        let decided = world.catalog.decide("a volume", |mut tx| async move {
            tx.put_volume(&VolumeRecord { snapshot_count: 1, ..needed.clone() });
            Ok::<_, Error>(tx.answer(()))
        });
        decided.await.expect("a snapshot of it is still there");
    }
    let volume = world.create("eva", "/b").await;
    world.delete("eva", "/b").await.expect("a deletion");
    world.pass(Duration::from_hours(24));
    let next = engine.activate().await.expect("a look").expect("another look");
    assert_eq!(world.record(volume.id).await, None);
    assert!(next > crate::clock::Clock::now(&*world.clock), "the others are left alone for a while");
}

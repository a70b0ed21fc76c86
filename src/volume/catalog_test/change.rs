use super::*;
use crate::volume::change::VolumeChange;
use crate::volume::open_volume::{Opener, Wish};

impl World {
    async fn rename(&self, name: &str, from: &str, to: &str) -> Result<String, Error> {
        let shown = self.catalog.rename_volume(&user(name), &at(from), &path(to)).await?;
        Ok(shown.path.to_string())
    }

    async fn resize(&self, name: &str, text: &str, size_bytes: u64) -> Result<u64, Error> {
        let shown = self.catalog.resize_volume(&user(name), &at(text), size_bytes).await?;
        Ok(shown.record.size_bytes)
    }

    async fn update(&self, name: &str, text: &str, change: VolumeChange) -> Result<VolumeRecord, Error> {
        let shown = self.catalog.update_volume(&user(name), &at(text), &change, None).await?;
        Ok(shown.record)
    }
}

#[tokio::test]
async fn a_volume_moves_to_another_directory() {
    let world = World::new().await;
    let volume = world.create("eva", "/a").await;
    let directory = world.directory("eva", "/d").await;
    assert_eq!(world.rename("eva", "/a", "/d/b").await.expect("a move"), "/d/b");
    assert_eq!(world.rename("eva", "/d/b", "/d/b").await.expect("no move"), "/d/b");
    assert_eq!(world.path_of(volume.id).await, "/d/b");
    assert_eq!(world.record(directory.id).await.expect("a directory").entry_count, 1);
    assert_eq!(world.record(1).await.expect("the root").entry_count, 3);
    world.create("eva", "/a").await;
    assert!(matches!(world.rename("eva", "/a", "/d/b").await, Err(Error::AlreadyExists(_))));
    assert!(matches!(world.rename("tom", "/a", "/c").await, Err(Error::InvalidUser { .. })));
    assert!(matches!(world.rename("eva", "/a", "/x/c").await, Err(Error::NotFound(_))));
    assert!(matches!(world.rename("root", "/clone", "/c").await, Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn a_directory_takes_along_what_is_in_it_and_never_goes_into_itself() {
    let world = World::new().await;
    for directory in ["/a", "/a/b", "/c"] {
        world.directory("eva", directory).await;
    }
    let volume = world.create("eva", "/a/b/v").await;
    assert_eq!(world.rename("eva", "/a", "/c/a").await.expect("a move"), "/c/a");
    assert_eq!(world.path_of(volume.id).await, "/c/a/b/v");
    for to in ["/c/a/x", "/c/a/b/x"] {
        assert!(matches!(world.rename("eva", "/c/a", to).await, Err(Error::BadState(_))), "{to}");
    }
}

#[tokio::test]
async fn nothing_is_moved_to_where_its_paths_are_too_long() {
    let world = World::new().await;
    let long = "x".repeat(250);
    let (mut deep, mut low) = (String::new(), String::new());
    for _ in 0..4 {
        deep = format!("{deep}/{long}");
        world.directory("eva", &deep).await;
    }
    for name in ["a", "b"] {
        low = format!("{low}/{name}");
        world.directory("eva", &low).await;
    }
    world.create("eva", &format!("/a/b/{long}")).await;
    world.rename("eva", "/a/b", &format!("{deep}/b")).await.expect_err("a path of more than 1024 bytes");
    let moved = world.rename("eva", "/a/b", "/c").await.expect("a short path");
    assert_eq!(moved, "/c");
    let mut deep = String::new();
    for _ in 0..63 {
        deep = format!("{deep}/d");
        world.directory("eva", &deep).await;
    }
    let refused = world.rename("eva", "/c", &format!("{deep}/c")).await;
    assert!(matches!(refused, Err(Error::BadState(_))), "{refused:?}");
}

#[tokio::test]
async fn a_volume_only_grows() {
    let world = World::new().await;
    let volume = world.create("eva", "/a").await;
    assert_eq!(world.resize("eva", "/a", 2 * GIB).await.expect("room"), 2 * GIB);
    assert_eq!(world.layer_size(volume.top_layer).await, 2 * GIB);
    assert_eq!(world.has("eva").await.logical_bytes, 2 * GIB);
    assert_eq!(world.resize("eva", "/a", 2 * GIB).await.expect("no change"), 2 * GIB);
    assert!(matches!(world.resize("eva", "/a", GIB).await, Err(Error::SizeOutOfRange(_))));
    assert!(matches!(world.resize("eva", "/a", 2000 * GIB).await, Err(Error::SizeOutOfRange(_))));
    assert!(matches!(world.resize("eva", "/a", 2 * GIB + 5).await, Err(Error::Invalid { .. })));
    assert!(matches!(world.resize("tom", "/a", 3 * GIB).await, Err(Error::InvalidUser { .. })));
    assert!(matches!(world.resize("root", "/clone", 3 * GIB).await, Err(Error::IsDirectory(_))));
}

#[tokio::test]
async fn a_snapshot_keeps_its_size_when_its_volume_grows() {
    let world = World::new().await;
    let volume = world.create("eva", "/a").await;
    world.snapshot("eva", "/a", "s").await;
    world.resize("eva", "/a", 3 * GIB).await.expect("room");
    assert_eq!(world.layer_size(volume.top_layer).await, GIB);
    let top = world.record(volume.id).await.expect("a volume").top_layer;
    assert_eq!(world.layer_size(top).await, 3 * GIB);
}

#[tokio::test]
async fn a_volume_that_is_open_grows_under_its_clients_and_never_beyond_its_record() {
    let world = World::new().await;
    let volume = world.create("eva", "/a").await;
    let opener = Opener::server(Wish::WriteIfPossible, "test");
    let session = world.catalog.open_volume(&at("/a"), opener).await.expect("a session");
    let device = session.device().expect("a device");
    world.resize("eva", "/a", 2 * GIB).await.expect("room");
    assert_eq!(device.size(), 2 * GIB);

    world.driver.fail_to_grow(true);
    world.resize("eva", "/a", 3 * GIB).await.expect_err("a broken disk");
    assert_eq!((device.size(), world.layer_size(volume.top_layer).await), (2 * GIB, 3 * GIB));
    world.driver.fail_to_grow(false);
    world.resize("eva", "/a", 3 * GIB).await.expect("the same again");
    assert_eq!(device.size(), 3 * GIB);
    assert_eq!(world.has("eva").await.logical_bytes, 3 * GIB);
}

#[tokio::test]
async fn a_read_only_clone_does_not_grow_while_it_is_open() {
    let world = World::new().await;
    world.create("eva", "/a").await;
    world.snapshot("eva", "/a", "s").await;
    let clone = world.clone_of_snapshot("eva", "/a", "s", "/c").await;
    let decided = world.catalog.decide("a clone", |mut tx| {
        let clone = VolumeRecord { read_only: true, ..clone.clone() };
        async move {
            tx.put_volume(&clone);
            Ok::<_, Error>(tx.answer(()))
        }
    });
    decided.await.expect("a read-only clone");
    let session = world.catalog.open_volume(&at("/c"), Opener::server(Wish::Read, "test")).await.expect("a session");
    let refused = world.resize("eva", "/c", 2 * GIB).await;
    assert!(matches!(refused, Err(Error::BadState(_))), "{refused:?}");
    drop(session);
    world.settle().await;
    world.resize("eva", "/c", 2 * GIB).await.expect("nobody has it open");
}

#[tokio::test]
async fn an_update_changes_what_it_names() {
    let world = World::new().await;
    world.create("eva", "/a").await;
    let labels = HashMap::from([("tier".to_owned(), "gold".to_owned())]);
    let changed = world.update("eva", "/a", VolumeChange { labels: Some(labels.clone()), ..VolumeChange::default() });
    assert_eq!(changed.await.expect("a change").labels, labels);
    let changed = world.update("eva", "/a", VolumeChange { protected: Some(true), ..VolumeChange::default() });
    let changed = changed.await.expect("a change");
    assert!(changed.protected && changed.labels == labels);
    let unknown = VolumeChange { policies: Some(vec!["daily".to_owned()]), ..VolumeChange::default() };
    assert!(matches!(world.update("eva", "/a", unknown).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn root_gives_a_volume_to_somebody_else() {
    let world = World::new().await;
    world.create("eva", "/a").await;
    let to = |name: &str| VolumeChange { owner: Some(name.to_owned()), ..VolumeChange::default() };
    assert!(matches!(world.update("eva", "/a", to("tom")).await, Err(Error::InvalidUser { .. })));
    assert_eq!(world.update("root", "/a", to("tom")).await.expect("a change").owner, "tom");
    assert_eq!((world.has("eva").await.volumes, world.has("tom").await.volumes), (0, 1));
    assert_eq!(world.has("tom").await.logical_bytes, GIB);
}

#[tokio::test]
async fn an_etag_of_yesterday_changes_nothing() {
    let world = World::new().await;
    world.create("eva", "/a").await;
    let change = VolumeChange { protected: Some(true), ..VolumeChange::default() };
    let old = world.catalog.get_volume(&user("eva"), &at("/a"), crate::volume::WithSpace::No).await.expect("a volume");
    let update = async |etag| world.catalog.update_volume(&user("eva"), &at("/a"), &change, Some(etag)).await;
    let new = update(old.revision).await.expect("a change");
    assert!(new.revision > old.revision);
    assert!(matches!(update(old.revision).await, Err(Error::EtagMismatch(_))));
    update(new.revision).await.expect("the newest etag");
}

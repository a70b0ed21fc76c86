use super::*;
use crate::volume::lookup::WithSpace;
use crate::volume::usage::{Quota, Space};

impl World {
    async fn space(&self, text: &str) -> Space {
        let shown = self.catalog.get_volume(&user("root"), &at(text), WithSpace::Yes).await.expect("a volume");
        shown.space.expect("its space")
    }

    /// Says how much the top of a volume takes.
    async fn fill(&self, id: u64, bytes: u64) {
        let top = self.record(id).await.expect("a volume").top_layer;
        self.driver.set_used(top, bytes);
    }
}

#[tokio::test]
async fn what_a_clone_reads_is_shared_and_what_it_writes_is_its_own() {
    let world = World::new().await;
    let volume = world.create("eva", "/a").await;
    world.fill(volume.id, 1).await;
    world.snapshot("eva", "/a", "first").await;
    world.fill(volume.id, 10).await;
    assert_eq!(world.space("/a").await, Space { unique_bytes: 11, shared_bytes: 0 });
    let clone = world.clone_of_snapshot("eva", "/a", "first", "/c").await;
    world.fill(clone.id, 100).await;
    assert_eq!(world.space("/a").await, Space { unique_bytes: 10, shared_bytes: 1 });
    assert_eq!(world.space("/c").await, Space { unique_bytes: 100, shared_bytes: 1 });
}

#[tokio::test]
async fn a_user_is_told_of_each_layer_once() {
    let world = World::new().await;
    let volume = world.create("eva", "/a").await;
    world.fill(volume.id, 1).await;
    world.snapshot("eva", "/a", "s").await;
    world.clone_of_snapshot("eva", "/a", "s", "/c").await;
    world.clone_of("tom", Source::Volume(at("/a")), "/d").await;
    let (usages, free) = world.catalog.usage(&user("eva"), None).await.expect("usage");
    assert_eq!((usages.len(), free > 0), (1, true));
    assert_eq!((usages[0].record.volumes, usages[0].record.snapshots), (2, 1));
    assert_eq!(usages[0].space, Space { unique_bytes: 0, shared_bytes: 1 });
    let (everybody, _) = world.catalog.usage(&user("root"), None).await.expect("usage");
    assert_eq!(everybody.len(), 2);
    let refused = world.catalog.usage(&user("eva"), Some("tom")).await;
    assert!(matches!(refused, Err(Error::InvalidUser { .. })));
}

#[tokio::test]
async fn a_quota_is_kept() {
    let world = World::new().await;
    let quota = Quota { max_bytes: 3 * GIB, max_volumes: 2, max_snapshots: 1 };
    assert!(matches!(world.catalog.set_quota(&user("eva"), "eva", quota).await, Err(Error::InvalidUser { .. })));
    world.catalog.set_quota(&user("root"), "eva", quota).await.expect("a quota");
    world.create("eva", "/a").await;
    let refused = world.try_create("eva", "/b", 3 * GIB).await;
    assert!(matches!(refused, Err(Error::QuotaExceeded { what: "bytes", .. })), "{refused:?}");
    world.create("eva", "/b").await;
    let refused = world.try_create("eva", "/c", GIB).await;
    assert!(matches!(refused, Err(Error::QuotaExceeded { what: "volumes", .. })), "{refused:?}");
    let refused = world.catalog.resize_volume(&user("eva"), &at("/a"), 3 * GIB).await;
    assert!(matches!(refused, Err(Error::QuotaExceeded { what: "bytes", .. })), "{refused:?}");
    world.snapshot("eva", "/a", "s").await;
    let again = CreateSnapshot { name: "t".to_owned(), ..CreateSnapshot::default() };
    let refused = world.catalog.create_snapshot(&user("eva"), at("/a"), again).await;
    assert!(matches!(refused, Err(Error::QuotaExceeded { what: "snapshots", .. })), "{refused:?}");
}

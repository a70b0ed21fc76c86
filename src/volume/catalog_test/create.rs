use super::*;
use crate::volume::testing::settings;

#[tokio::test]
async fn a_volume_is_made_with_its_layer_and_counted() {
    let world = World::new().await;
    let (volume, created) = world.try_create("eva", "/a", 3 * GIB).await.expect("a volume");
    assert!(created);
    assert_eq!((volume.owner.as_str(), volume.pool.as_str(), volume.seq), ("eva", "fast", 1));
    assert_eq!(world.driver.size_of(volume.top_layer), Some(3 * GIB));
    let eva = world.has("eva").await;
    assert_eq!((eva.volumes, eva.logical_bytes, eva.snapshots), (1, 3 * GIB, 0));
    assert_eq!(world.path_of(volume.id).await, "/a");
}

#[tokio::test]
async fn the_same_volume_again_is_answered_and_another_one_is_refused() {
    let world = World::new().await;
    let first = world.create("eva", "/a").await;
    let (again, created) = world.try_create("eva", "/a", GIB).await.expect("the same volume");
    assert_eq!((again.id, created), (first.id, false));
    for (name, size) in [("eva", 2 * GIB), ("tom", GIB)] {
        assert!(matches!(world.try_create(name, "/a", size).await, Err(Error::AlreadyExists(_))), "{name} {size}");
    }
    world.directory("eva", "/d").await;
    assert!(matches!(world.try_create("eva", "/d", GIB).await, Err(Error::AlreadyExists(_))));
    assert_eq!(world.has("eva").await.volumes, 1);
    let layers = crate::volume::driver::Driver::layers(&*world.driver).expect("layers");
    assert_eq!(layers.len(), 1, "nothing is left of what was refused");
}

#[tokio::test]
async fn a_volume_needs_a_directory_of_the_user() {
    let world = World::new().await;
    world.directory("eva", "/eva").await;
    world.create("eva", "/eva/a").await;
    assert!(matches!(world.try_create("eva", "/b/c", GIB).await, Err(Error::NotFound(_))));
    assert!(matches!(world.try_create("eva", "/eva/a/b", GIB).await, Err(Error::NotADirectory(_))));
    for directory in ["/eva", "/clone", "/RecycleBin"] {
        let refused = world.try_create("tom", &format!("{directory}/x"), GIB).await;
        assert!(matches!(refused, Err(Error::InvalidUser { .. })), "{directory}: {refused:?}");
    }
    world.create("root", "/eva/of-root").await;
    assert!(matches!(world.try_create("root", "/RecycleBin/x", GIB).await, Err(Error::BadState(_))));
}

#[tokio::test]
async fn a_size_has_bounds() {
    let world = World::new().await;
    for size in [0, GIB + 1] {
        let refused = world.try_create("eva", "/a", size).await;
        assert!(matches!(refused, Err(Error::Invalid { field: "size_bytes", .. })), "{size}: {refused:?}");
    }
    for size in [GIB / 2, 1025 * GIB, u64::MAX - 4095] {
        let refused = world.try_create("eva", "/a", size).await;
        assert!(matches!(refused, Err(Error::SizeOutOfRange(_))), "{size}: {refused:?}");
    }
}

#[tokio::test]
async fn stripes_divide_a_chunk() {
    let world = World::new().await;
    let chunk = 16 << 20;
    for (number, (unit, count, is_fine)) in [
        (0, 0, true),
        (65_536, 4, true),
        (chunk, 1, true),
        (65_536, 1, false),
        (65_536, 0, false),
        (0, 4, false),
        (65_536, 3, false),
        (4096 * 3, 4, false),
        (512, 4, false),
        (65_536, 128, false),
        (chunk * 2, 2, false),
    ]
    .into_iter()
    .enumerate()
    {
        let what = CreateVolume { stripe_unit: unit, stripe_count: count, ..volume_of(&format!("/{number}"), GIB) };
        let made = world.catalog.create_volume(&user("eva"), what).await;
        match made {
            Ok(_) => assert!(is_fine, "{unit} {count}"),
            Err(error) => {
                assert!(!is_fine && matches!(error, Error::Invalid { field: "stripe_unit", .. }), "{unit} {count}");
            }
        }
    }
}

#[tokio::test]
async fn a_pool_has_to_be_known() {
    let world = World::new().await;
    let in_pool = |pool: &str| CreateVolume { pool: pool.to_owned(), ..volume_of("/a", GIB) };
    let refused = world.catalog.create_volume(&user("eva"), in_pool("tape")).await;
    assert!(matches!(refused, Err(Error::NotFound(_))));
    let (made, _) = world.catalog.create_volume(&user("eva"), in_pool("slow")).await.expect("a volume");
    assert_eq!(made.record.pool, "slow");
}

#[tokio::test]
async fn a_home_is_made_when_the_server_is_set_so() {
    let world = World::with(crate::volume::Settings { auto_home: true, ..settings() }).await;
    let volume = world.create("eva", "/eva/a").await;
    let home = world.record(volume.parent_id).await.expect("a home");
    assert_eq!((home.owner.as_str(), home.is_directory, home.entry_count), ("eva", true, 1));
    for (name, place) in [("eva", "/tom/a"), ("tom", "/tom/a/b"), ("root", "/root/a")] {
        assert!(matches!(world.try_create(name, place, GIB).await, Err(Error::NotFound(_))), "{name} {place}");
    }
    assert!(matches!(world.try_create("eva", "/eva/b", 7).await, Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn root_makes_directories_for_others() {
    let world = World::new().await;
    let (made, created) =
        world.catalog.make_directory(&user("root"), &path("/eva"), Some(&user("eva"))).await.expect("a directory");
    assert_eq!((made.record.owner.as_str(), created), ("eva", true));
    let (_, created) = world.catalog.make_directory(&user("eva"), &path("/eva"), None).await.expect("the directory");
    assert!(!created);
    let refused = world.catalog.make_directory(&user("tom"), &path("/eva"), None).await;
    assert!(matches!(refused, Err(Error::AlreadyExists(_))));
    let refused = world.catalog.make_directory(&user("tom"), &path("/x"), Some(&user("eva"))).await;
    assert!(matches!(refused, Err(Error::InvalidUser { .. })));
    assert!(matches!(world.catalog.make_directory(&user("eva"), &path("/"), None).await, Err(Error::AlreadyExists(_))));
}

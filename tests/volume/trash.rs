//! What was deleted, and how it comes back.

use std::time::Duration;

use steward_proto::volume::v1::{PurgeTrashRequest, RestoreVolumeRequest, VolumeName, VolumeState};

use crate::common::server::Setup;
use crate::common::wait::eventually;
use crate::vocabulary::{MIB, Volumes, done, duration, named, noise, reason, refusal, small};
use crate::wire::Nbd;

fn restore(path: &str, new_path: &str) -> RestoreVolumeRequest {
    RestoreVolumeRequest { volume: named(path), new_path: new_path.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn a_deleted_volume_comes_back_with_its_bytes() {
    let mut server = small().start().await;
    let volumes = Volumes::of(&server);
    let id = volumes.create("/a", MIB).await.id;
    let mut device = Nbd::open(&server, "/a").await;
    device.write(0, &noise(1, MIB)).await;
    assert_eq!(reason(&volumes.delete("/a").await.expect_err("it is open")), "VOLUME_IN_USE");
    device.close().await;
    eventually("it can be deleted", async || volumes.delete("/a").await.ok()).await;
    assert!(volumes.find("/a").await.is_none());
    Nbd::refused(&server, "/a").await;
    let [trashed] = volumes.paths("/RecycleBin").await.try_into().expect("one volume");
    assert_eq!(trashed, format!("/RecycleBin/a-{id}"));
    let shown = volumes.get(&trashed).await;
    assert_eq!((shown.state(), shown.original_path.as_str()), (VolumeState::Trashed, "/a"));
    assert!(shown.purge_time.is_some());
    server.restart().await;
    let volumes = Volumes::of(&server);

    // Another one has taken its place.
    volumes.create("/a", MIB).await;
    assert_eq!(refusal(volumes.volumes().restore_volume(restore("/a", ""))).await, "ALREADY_EXISTS");
    let restored = done(volumes.volumes().restore_volume(restore("/a", "/b"))).await.volume.expect("a volume");

    assert_eq!((restored.path.as_str(), restored.id, restored.state()), ("/b", id, VolumeState::Ready));
    assert!(Nbd::open(&server, "/b").await.read(0, 1 << 20).await == noise(1, MIB));
    assert!(volumes.paths("/RecycleBin").await.is_empty());
}

#[tokio::test]
async fn what_is_purged_is_gone_and_its_space_is_free() {
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    for path in ["/a", "/b"] {
        volumes.create(path, 4 * MIB).await;
        let mut device = Nbd::open(&server, path).await;
        device.write_through(0, &noise(1, 4 * MIB)).await;
        device.close().await;
        eventually("it can be deleted", async || volumes.delete(path).await.ok()).await;
    }
    let older_than = |age| PurgeTrashRequest { older_than: Some(duration(age)), ..Default::default() };
    let purged = async |request| done(volumes.volumes().purge_trash(request)).await.purged;
    assert_eq!(purged(older_than(Duration::from_hours(1))).await, 0);
    assert_eq!(volumes.paths("/RecycleBin").await.len(), 2);
    let first = volumes.paths("/RecycleBin").await[0].clone();
    let id = volumes.get(&first).await.id;
    let one = PurgeTrashRequest { volume: Some(VolumeName { path: String::new(), id }), ..Default::default() };
    assert_eq!(purged(one).await, 1);
    assert_eq!(purged(PurgeTrashRequest::default()).await, 1);
    assert_eq!(purged(PurgeTrashRequest::default()).await, 0);
    assert!(volumes.paths("/RecycleBin").await.is_empty());
    eventually("the files are gone", async || {
        let mut places = vec![server.data()];
        let mut bytes = 0;
        while let Some(place) = places.pop() {
            for entry in std::fs::read_dir(place).expect("a directory").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    places.push(path);
                } else if path.extension().is_some_and(|extension| extension == "data") {
                    bytes += std::fs::metadata(&path).map_or(0, |file| file.len());
                }
            }
        }
        (bytes == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_volume_leaves_the_trash_by_itself_when_its_time_is_over() {
    let config = "[volumes]\nmin_size = 4096\ntrash_retention = \"1s\"";
    let server = Setup::default().config(config).start().await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    volumes.delete("/a").await.expect("it can be deleted");
    eventually("it is purged", async || volumes.paths("/RecycleBin").await.is_empty().then_some(())).await;
    assert_eq!(refusal(volumes.volumes().restore_volume(restore("/a", ""))).await, "NOT_FOUND");
}

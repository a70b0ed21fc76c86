use steward_proto::store::v1::{BlobUseRecord, ManifestRecord};

use super::super::keys::BlobUse;
use super::*;

#[tokio::test]
async fn an_image_has_its_blobs_and_the_bytes_of_its_manifests_alone() {
    let world = World::new().await;
    let digest = world.push(&image("a"), b"abc").await;
    world.push(&image("b"), b"def").await;
    let artifacts = &world.artifacts;
    assert_eq!(artifacts.blob_of(&image("a"), &digest).await.unwrap(), 3);
    for other in [image("b"), image("none"), files()] {
        assert!(matches!(artifacts.blob_of(&other, &digest).await, Err(Error::BlobNotFound(_))));
    }
    let manifest = world.keep(b"{}").await;
    assert!(artifacts.blob_of(&image("a"), &manifest).await.is_err());
    let id = world.image("a").await.id;
    world.put(keys::manifest(id, &manifest), &ManifestRecord::default()).await;
    assert_eq!(artifacts.blob_of(&image("a"), &manifest).await.unwrap(), 2);
    world
        .put(keys::blob_use(&digest, BlobUse::File { repository: FILES, path: "/a" }), &BlobUseRecord::default())
        .await;
    assert_eq!(artifacts.blob_of(&files(), &digest).await.unwrap(), 3);
}

#[tokio::test]
async fn what_is_missing_is_told_in_order() {
    let world = World::new().await;
    let here = world.push(&image("a"), b"abc").await;
    let elsewhere = world.push(&image("b"), b"def").await;
    let nowhere = sha256(b"nowhere");
    let asked = [nowhere.clone(), here.clone(), elsewhere.clone()];
    let artifacts = &world.artifacts;
    assert_eq!(artifacts.missing_blobs(None, &asked).await.unwrap(), std::slice::from_ref(&nowhere));
    assert_eq!(artifacts.missing_blobs(Some(&image("a")), &asked).await.unwrap(), [nowhere.clone(), elsewhere.clone()]);
    let many: Vec<Digest> = (0..1000_u32).map(|number| sha256(&number.to_be_bytes())).collect();
    assert_eq!(artifacts.missing_blobs(None, &many).await.unwrap(), many);
    artifacts.blobs.remove(&here).unwrap();
    assert_eq!(artifacts.missing_blobs(None, &asked).await.unwrap(), [nowhere, here]);
}

#[tokio::test]
async fn a_blob_of_another_length_is_missing_until_it_is_pushed_again() {
    let world = World::new().await;
    let digest = world.push(&image("a"), b"abc").await;
    let (artifacts, asked) = (&world.artifacts, [digest.clone()]);
    let hex = digest.hex();
    std::fs::write(artifacts.blobs.directory().join("sha256").join(&hex[..2]).join(&hex), b"ab").unwrap();
    assert_eq!(artifacts.missing_blobs(None, &asked).await.unwrap(), asked);
    assert_eq!(artifacts.missing_blobs(Some(&image("a")), &asked).await.unwrap(), asked);
    let started = artifacts.start_upload(&image("a"), Some(&digest), 3, &Uploader::default()).await.unwrap();
    assert!(matches!(started, Started::Upload(..)), "it has to come again");
    world.push(&image("a"), b"abc").await;
    assert!(artifacts.missing_blobs(Some(&image("a")), &asked).await.unwrap().is_empty());
    assert_eq!(world.content(&digest).await.unwrap(), b"abc");
}

#[tokio::test]
async fn a_blob_is_mounted_from_an_image_that_has_it_or_from_any() {
    let world = World::new().await;
    let digest = world.push(&image("a"), b"abc").await;
    let artifacts = &world.artifacts;
    let refused = artifacts.mount_blob(&image("c"), &digest, Some(&image("b")), "").await;
    assert!(matches!(refused, Err(Error::BlobNotFound(_))));
    assert_eq!(artifacts.mount_blob(&image("b"), &digest, Some(&image("a")), "").await.unwrap(), 3);
    assert_eq!(artifacts.mount_blob(&image("c"), &digest, None, "").await.unwrap(), 3);
    // The bytes of a file are no blob of an image.
    let of_file = world.keep(b"file").await;
    world
        .put(keys::blob_use(&of_file, BlobUse::File { repository: FILES, path: "/a" }), &BlobUseRecord::default())
        .await;
    assert!(artifacts.mount_blob(&image("c"), &of_file, None, "").await.is_err());
    assert_eq!(world.count(Table::ImageBlob).await, 3);
    artifacts.blobs.remove(&digest).unwrap();
    let refused = artifacts.mount_blob(&image("d"), &digest, None, "").await;
    assert!(matches!(refused, Err(Error::BlobNotFound(_))), "without its file it has to come again");
}

#[tokio::test]
async fn a_blob_that_is_taken_away_stays_where_else_it_is_known() {
    let world = World::new().await;
    let digest = world.push(&image("a"), b"abc").await;
    world.artifacts.mount_blob(&image("b"), &digest, None, "").await.unwrap();
    let before = world.image("a").await.generation;
    world.artifacts.delete_blob(&image("a"), &digest).await.unwrap();
    assert_eq!(world.image("a").await.generation, before + 1);
    assert!(matches!(world.artifacts.delete_blob(&image("a"), &digest).await, Err(Error::BlobNotFound(_))));
    assert!(world.artifacts.blob_of(&image("a"), &digest).await.is_err());
    assert_eq!(world.artifacts.blob_of(&image("b"), &digest).await.unwrap(), 3);
    assert_eq!(world.count(Table::BlobUse).await, 1);
}

#[tokio::test]
async fn who_asks_for_a_blob_postpones_its_sweep_but_not_each_time() {
    let world = World::with(Settings { sweep_after: 8 * HOUR, ..Settings::default() }).await;
    let digest = world.push(&image("a"), b"abc").await;
    let (place, id) = (image("a"), world.image("a").await.id);
    let touched = world.blob(&digest).await.unwrap().touch_us;
    world.clock.advance(HOUR);
    world.artifacts.blob_of(&place, &digest).await.unwrap();
    assert_eq!(world.blob(&digest).await.unwrap().touch_us, touched);
    world.clock.advance(2 * HOUR);
    world.artifacts.missing_blobs(Some(&place), std::slice::from_ref(&digest)).await.unwrap();
    let now_us = world.artifacts.now_us();
    assert_eq!(world.blob(&digest).await.unwrap().touch_us, now_us);
    assert_eq!(world.link(id, &digest).await.unwrap().touch_us, now_us);
}

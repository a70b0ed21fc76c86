use steward_proto::store::v1::{
    ArtifactChangeRecord, ArtifactStampRecord, BlobUseRecord, DeletedRepositoryRecord, FileRecord, FolderRecord,
    ManifestPartRecord, ManifestRecord,
};

use super::super::keys::BlobUse;
use super::*;
use crate::engine::Engine;

/// Activates an engine until it rests.
async fn run<E: Engine>(world: &World, mut engine: E) -> E {
    loop {
        match engine.activate().await.unwrap_or_else(|error| panic!("{}: {error}", engine.name())) {
            Some(next) if next <= world.clock.now() => {}
            Some(_) | None => return engine,
        }
    }
}

async fn sweep(world: &World) {
    run(world, super::super::sweep::sweep_engine(&world.artifacts)).await;
}

fn a_day() -> Settings {
    Settings { sweep_after: 24 * HOUR, ..Settings::default() }
}

#[tokio::test]
async fn what_nothing_needs_goes_after_its_time_and_the_rest_stays() {
    let world = World::with(a_day()).await;
    let (used, unused) = (world.keep(b"used").await, world.keep(b"unused").await);
    world.put(keys::blob_use(&used, BlobUse::File { repository: FILES, path: "/a" }), &BlobUseRecord::default()).await;
    world.clock.advance(23 * HOUR);
    sweep(&world).await;
    assert!(world.has_file(&unused));
    let young = world.keep(b"young").await;
    world.clock.advance(2 * HOUR);
    let (open, _) = world.artifacts.blobs.open_file(&unused).unwrap();
    sweep(&world).await;
    assert!(!world.has_file(&unused) && world.blob(&unused).await.is_none());
    assert!(world.has_file(&used) && world.has_file(&young));
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut &open, &mut content).unwrap();
    assert_eq!(content, b"unused", "who reads it reads on");
}

#[tokio::test]
async fn a_blob_that_is_asked_for_or_used_while_it_is_doomed_stays() {
    let world = World::with(a_day()).await;
    let digest = world.push(&image("a"), b"abc").await;
    world.artifacts.delete_blob(&image("a"), &digest).await.unwrap();
    let artifacts = &world.artifacts;
    assert_eq!(artifacts.doom_blob(&digest).await.unwrap(), None, "it is too young");
    world.clock.advance(25 * HOUR);
    let doomed_us = artifacts.doom_blob(&digest).await.unwrap().unwrap();
    assert!(artifacts.missing_blobs(None, std::slice::from_ref(&digest)).await.unwrap().is_empty());
    assert!(!artifacts.remove_doomed(&digest, doomed_us).await.unwrap());

    world.clock.advance(25 * HOUR);
    let doomed_us = artifacts.doom_blob(&digest).await.unwrap().unwrap();
    let used = artifacts.decide("a test", |mut tx| {
        let digest = &digest;
        async move {
            tx.use_blob(digest, BlobUse::Image(7)).await?;
            Ok(tx.answer(()))
        }
    });
    used.await.unwrap();
    assert!(!artifacts.remove_doomed(&digest, doomed_us).await.unwrap());
    assert!(world.has_file(&digest) && world.blob(&digest).await.unwrap().doomed_us == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_goes_under_a_record_however_keeping_and_sweeping_meet() {
    let world = Arc::new(World::with(Settings { sweep_after: Duration::ZERO, ..Settings::default() }).await);
    let digest = sha256(b"abc");
    let user = |number| BlobUse::Image(number);
    let keepers = (0..4).map(|number| {
        let (world, digest) = (Arc::clone(&world), digest.clone());
        tokio::spawn(async move {
            let mut used = 0;
            while used < 40 {
                world.keep(b"abc").await;
                let using = world.artifacts.decide("a test", |mut tx| {
                    let digest = &digest;
                    async move {
                        tx.use_blob(digest, user(number)).await?;
                        Ok(tx.answer(()))
                    }
                });
                match using.await {
                    Ok(_) => used += 1,
                    Err(Error::BlobNotFound(_)) => continue,
                    Err(error) => panic!("{error}"),
                }
                assert!(world.has_file(&digest), "a blob that is used has its file");
                world.change(|tx| tx.release_blob(&digest, user(number))).await;
            }
        })
    });
    let keepers: Vec<_> = keepers.collect();
    let mut swept = 0;
    while keepers.iter().any(|keeper| !keeper.is_finished()) {
        world.clock.advance(Duration::from_millis(1));
        swept += usize::from(world.artifacts.sweep_blob(&digest).await.unwrap());
        tokio::task::yield_now().await;
    }
    for keeper in keepers {
        keeper.await.unwrap();
    }
    assert_eq!(world.has_file(&digest), world.blob(&digest).await.is_some(), "after {swept} were swept");
}

#[tokio::test]
async fn images_keep_the_blobs_that_manifests_consist_of_and_others_for_a_time() {
    let world = World::with(a_day()).await;
    let place = image("a");
    let (layer, left) = (world.push(&place, b"layer").await, world.push(&place, b"left").await);
    let promised = world.push(&place, b"promised").await;
    let record = world.image("a").await;
    let (manifest, never) = (sha256(b"manifest"), sha256(b"never came"));
    world.put(keys::manifest(record.id, &manifest), &ManifestRecord::default()).await;
    world.put(keys::manifest_part(record.id, &layer, &manifest), &ManifestPartRecord::default()).await;
    world.put(keys::manifest_part(record.id, &promised, &never), &ManifestPartRecord::default()).await;
    world.clock.advance(25 * HOUR);
    let asked = world.push(&place, b"asked for").await;
    world.artifacts.blob_of(&place, &promised).await.unwrap();
    sweep(&world).await;
    for (digest, stays) in [(&layer, true), (&left, false), (&promised, true), (&asked, true)] {
        assert_eq!(world.link(record.id, digest).await.is_some(), stays, "{digest}");
    }
    assert!(!world.has_file(&left), "nothing else needed it");
    assert_eq!(world.image("a").await.generation, record.generation + 2, "who puts a manifest has to look again");
    let parts = world.count(Table::ManifestPart).await;
    assert_eq!(parts, 1, "what was written for a manifest that never came goes, too");
    world.clock.advance(25 * HOUR);
    sweep(&world).await;
    assert!(world.link(record.id, &promised).await.is_none() && world.link(record.id, &layer).await.is_some());
}

#[tokio::test]
async fn a_file_that_a_crash_left_without_a_record_goes_at_the_next_start() {
    let world = World::new().await;
    let digest = world.keep(b"abc").await;
    let left = world.keep(b"left").await;
    world.change(|tx| tx.delete(keys::blob(&left))).await;
    sweep(&world).await;
    assert!(world.has_file(&digest) && !world.has_file(&left));
}

#[tokio::test]
async fn a_deleted_repository_is_emptied_and_so_are_its_images() {
    let world = World::with(a_day()).await;
    let mut digests = Vec::new();
    for number in 0..40_u8 {
        digests.push(world.push(&image(&format!("i{number}")), &[number]).await);
    }
    let id = world.image("i7").await.id;
    let manifest = world.keep(b"{}").await;
    world.put(keys::manifest(id, &manifest), &ManifestRecord::default()).await;
    world.put(keys::blob_use(&manifest, BlobUse::Manifest(id)), &BlobUseRecord::default()).await;
    world.put(keys::tag(id, "latest"), &BlobUseRecord::default()).await;
    for number in 0..70_u32 {
        let path = format!("/{number}");
        let record = FileRecord { digest: digests[0].to_string(), expire_us: 9, ..FileRecord::default() };
        world.put(keys::file(IMAGES, &path), &record).await;
        world.put(keys::file_expiry(9, IMAGES, &path), &BlobUseRecord::default()).await;
        world
            .put(
                keys::blob_use(&digests[0], BlobUse::File { repository: IMAGES, path: &path }),
                &BlobUseRecord::default(),
            )
            .await;
        world.put(keys::change(IMAGES, u64::from(number)), &ArtifactChangeRecord::default()).await;
    }
    world.put(keys::file(FILES, "/stays"), &FileRecord::default()).await;
    for number in 0..40_u32 {
        world.put(keys::folder(IMAGES, &format!("/{number}")), &FolderRecord::default()).await;
    }
    let upload = world.start(&image("begun")).await;
    world.write(&image("begun"), upload, 0, b"abc").await.unwrap();
    let other = world.start(&files()).await;
    world.put(keys::deleted_repository(IMAGES), &DeletedRepositoryRecord::default()).await;
    run(&world, super::super::sweep::empty_repositories(&world.artifacts)).await;
    run(&world, super::super::sweep::empty_images(&world.artifacts)).await;
    for table in [
        Table::ArtifactDeletedRepository,
        Table::ArtifactDeletedImage,
        Table::ArtifactFileExpiry,
        Table::ArtifactChange,
        Table::ArtifactFolder,
        Table::BlobUse,
        Table::Image,
        Table::ImageBlob,
        Table::ImageTag,
        Table::Manifest,
    ] {
        assert_eq!(world.count(table).await, 0, "{table:?}");
    }
    assert_eq!(world.count(Table::ArtifactFile).await, 1);
    assert!(world.artifacts.get_upload(&files(), other).await.is_ok(), "that is for another repository");
    assert_eq!(world.count(Table::ArtifactUpload).await, 1);
    world.clock.advance(25 * HOUR);
    sweep(&world).await;
    assert_eq!((world.files(), world.count(Table::Blob).await), (0, 0));
}

#[tokio::test]
async fn old_changes_and_uploads_go_and_stamps_are_noted() {
    let settings = Settings { change_retention: 24 * HOUR, upload_retention: HOUR, ..Settings::default() };
    let world = World::with(settings).await;
    world.start(&image("a")).await;
    let old = world.artifacts.now_us();
    for number in 0..200 {
        world.put(keys::change(IMAGES, old + number), &ArtifactChangeRecord::default()).await;
        world.put(keys::change(FILES, old + number), &ArtifactChangeRecord::default()).await;
    }
    world.clock.advance(25 * HOUR);
    let stamp = world.artifacts.stamps.take(world.artifacts.now_us());
    world.put(keys::change(FILES, stamp.value()), &ArtifactChangeRecord::default()).await;
    run(&world, super::super::sweep::tidy_engine(&world.artifacts)).await;
    assert_eq!((world.count(Table::ArtifactChange).await, world.count(Table::ArtifactUpload).await), (1, 0));
    let noted: ArtifactStampRecord = world.get(&keys::stamps()).await.unwrap();
    assert_eq!(noted.highest, stamp.value());
}

#[tokio::test]
async fn the_loops_run_until_the_end() {
    let world = World::with(a_day()).await;
    let digest = world.keep(b"abc").await;
    let store = Arc::clone(&world.artifacts.store);
    world.clock.advance(25 * HOUR);
    let mut gone = store.watch(keys::blob(&digest), store.revision());
    world.artifacts.start();
    while world.blob(&digest).await.is_some() {
        gone.next().await.unwrap().unwrap();
    }
    world.artifacts.shutdown.cancel();
    world.settle().await;
    assert!(!world.has_file(&digest));
}

#[tokio::test]
async fn stamps_of_the_first_minute_do_not_come_again() {
    let mut world = World::new().await;
    let noted: ArtifactStampRecord = world.get(&keys::stamps()).await.unwrap();
    assert!(noted.highest >= world.artifacts.now_us(), "before any was given");
    let given = world.artifacts.stamps.take(world.artifacts.now_us() + 60_000_000).value();
    world.restart().await;
    assert!(world.artifacts.stamps.take(world.artifacts.now_us()).value() > given, "the clock may have been set back");
}

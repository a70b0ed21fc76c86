use std::io::Write as _;

use super::*;

#[tokio::test]
async fn bytes_that_come_in_several_calls_become_a_blob_of_the_image() {
    let world = World::new().await;
    let (place, content) = (image("tools/jq"), many_bytes(700_000));
    let id = world.start(&place).await;
    assert_eq!(world.write(&place, id, 0, &content[..600_000]).await.unwrap().offset, 600_000);
    assert_eq!(world.artifacts.get_upload(&place, id).await.unwrap().offset, 600_000);
    assert_eq!(world.write(&place, id, 600_000, &[]).await.unwrap().offset, 600_000);
    assert_eq!(world.write(&place, id, 600_000, &content[600_000..]).await.unwrap().offset, 700_000);
    let digest = sha256(&content);
    assert_eq!(world.artifacts.finish_upload(&place, id, &digest).await.unwrap(), 700_000);
    let record = world.image("tools/jq").await;
    assert_eq!(record.created_by, "ann");
    assert_eq!(world.link(record.id, &digest).await.unwrap().size, 700_000);
    assert!(world.content(&digest).await.unwrap() == content);
    assert!(matches!(world.artifacts.get_upload(&place, id).await, Err(Error::UploadNotFound(_))));
    assert_eq!((world.files(), world.count(Table::ArtifactUpload).await), (1, 0));
}

#[tokio::test]
async fn bytes_go_where_the_upload_ends_and_nowhere_else() {
    let world = World::new().await;
    let (place, id) = (image("a"), world.start(&image("a")).await);
    world.write(&place, id, 0, b"abc").await.unwrap();
    for offset in [0, 2, 4] {
        let refused = world.write(&place, id, offset, b"x").await;
        assert!(matches!(refused, Err(Error::UploadOffset { offset: 3 })), "{offset}");
    }
    for other in [image("b"), files()] {
        let refused = world.artifacts.get_upload(&other, id).await;
        assert!(matches!(refused, Err(Error::UploadNotFound(_))));
        assert!(world.artifacts.finish_upload(&other, id, &sha256(b"abc")).await.is_err());
    }
    let elsewhere = Place::parse("target", Some(name("nowhere", "a"))).unwrap();
    let refused = world.artifacts.start_upload(&elsewhere, None, 0, &Uploader::default()).await;
    assert!(matches!(refused, Err(Error::RepositoryNotFound(_))));
}

#[tokio::test]
async fn one_writes_at_a_time_and_who_goes_away_leaves_what_came() {
    let world = World::new().await;
    let (place, content) = (image("a"), many_bytes(600_001));
    let id = world.start(&place).await;
    let mut writing = world.artifacts.write_upload(&place, id, None).await.unwrap();
    writing.accept(Bytes::from(content.clone())).await.unwrap();
    writing.accept(Bytes::from_static(b"tail")).await.unwrap();
    assert!(matches!(world.write(&place, id, 0, b"x").await, Err(Error::Busy(_))));
    drop(writing);
    // Waits for what is being written.
    assert_eq!(world.artifacts.get_upload(&place, id).await.unwrap().offset, 600_005);
    let all = [&content[..], b"tail", b"!"].concat();
    assert_eq!(world.write(&place, id, 600_005, b"!").await.unwrap().offset, 600_006);
    world.artifacts.finish_upload(&place, id, &sha256(&all)).await.unwrap();
}

#[tokio::test]
async fn a_call_whose_end_is_wrong_leaves_what_came() {
    let world = World::new().await;
    let (place, id) = (image("a"), world.start(&image("a")).await);
    let mut writing = world.artifacts.write_upload(&place, id, None).await.unwrap();
    writing.accept(Bytes::from_static(b"abc")).await.unwrap();
    assert!(matches!(writing.finish(4).await, Err(Error::UploadBrokenOff(_))));
    assert_eq!(world.artifacts.get_upload(&place, id).await.unwrap().offset, 3);
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart_and_what_was_not_promised_is_cut_off() {
    let mut world = World::new().await;
    let (place, content) = (image("a"), many_bytes(700_000));
    let id = world.start(&place).await;
    world.write(&place, id, 0, &content[..500_000]).await.unwrap();
    let path = world.home.path().join("uploads").join(id.to_string());
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"torn").unwrap();
    std::fs::write(world.home.path().join("uploads").join(Uuid::new_v4().to_string()), b"of nobody").unwrap();
    world.restart().await;
    assert_eq!(world.files(), 1, "what belongs to no upload is gone");
    assert_eq!(world.artifacts.get_upload(&place, id).await.unwrap().offset, 500_000);
    world.write(&place, id, 500_000, &content[500_000..]).await.unwrap();
    world.restart().await;
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"torn once more").unwrap();
    let digest = sha256(&content);
    world.artifacts.finish_upload(&place, id, &digest).await.unwrap();
    assert!(world.content(&digest).await.unwrap() == content);
}

#[tokio::test]
async fn a_long_write_is_noted_before_it_ends() {
    let world = World::new().await;
    let (place, id) = (image("a"), world.start(&image("a")).await);
    let store = Arc::clone(&world.artifacts.store);
    let mut changes = store.watch(keys::upload(id), store.revision());
    let mut writing = world.artifacts.write_upload(&place, id, None).await.unwrap();
    let chunk = Bytes::from(vec![7; 1 << 20]);
    for _ in 0..18 {
        writing.accept(chunk.clone()).await.unwrap();
    }
    changes.next().await.unwrap().unwrap();
    let noted: UploadRecord = world.get(&keys::upload(id)).await.unwrap();
    assert!(noted.offset >= 16 << 20 && noted.offset <= 18 << 20, "{}", noted.offset);
    assert_eq!(writing.finish(18 << 20).await.unwrap().offset, 18 << 20);
}

#[tokio::test]
async fn another_digest_than_was_announced_ends_the_upload() {
    let world = World::new().await;
    let (place, id) = (image("a"), world.start(&image("a")).await);
    world.write(&place, id, 0, b"abc").await.unwrap();
    let refused = world.artifacts.finish_upload(&place, id, &sha256(b"other")).await;
    assert!(matches!(refused, Err(Error::DigestMismatch { .. })));
    assert!(matches!(world.artifacts.get_upload(&place, id).await, Err(Error::UploadNotFound(_))));
    assert_eq!((world.files(), world.count(Table::Blob).await), (0, 0));
}

#[tokio::test]
async fn a_sha_512_is_made_while_bytes_come_or_by_reading_them_again() {
    let world = World::new().await;
    let (place, digest) = (image("a"), Digest::of(Algorithm::Sha512, b"abc"));
    let announced = world.artifacts.start_upload(&place, Some(&digest), 3, &Uploader::default()).await.unwrap();
    let Started::Upload(announced, _) = announced else { panic!("nothing is there") };
    for id in [announced, world.start(&place).await] {
        world.write(&place, id, 0, b"ab").await.unwrap();
        world.write(&place, id, 2, b"c").await.unwrap();
        world.artifacts.finish_upload(&place, id, &digest).await.unwrap();
    }
    // The same bytes by their other digest, although that one was announced.
    let other = Digest::of(Algorithm::Sha512, b"abcd");
    let Started::Upload(id, _) =
        world.artifacts.start_upload(&place, Some(&other), 4, &Uploader::default()).await.unwrap()
    else {
        panic!("nothing is there")
    };
    world.write(&place, id, 0, b"abcd").await.unwrap();
    world.artifacts.finish_upload(&place, id, &sha256(b"abcd")).await.unwrap();
    assert_eq!(world.files(), 2);
}

#[tokio::test]
async fn an_upload_without_bytes_is_a_blob_too() {
    let world = World::new().await;
    let (place, id) = (files(), world.start(&files()).await);
    world.artifacts.finish_upload(&place, id, &sha256(b"")).await.unwrap();
    assert_eq!(world.content(&sha256(b"")).await.unwrap(), b"");
    assert_eq!(world.count(Table::Image).await, 0);
}

#[tokio::test]
async fn bytes_that_are_there_are_the_images_at_once() {
    let world = World::new().await;
    let digest = world.push(&image("a"), b"abc").await;
    let started = world.artifacts.start_upload(&image("b"), Some(&digest), 0, &Uploader::default()).await.unwrap();
    assert_eq!(started, Started::There(3));
    assert!(world.link(world.image("b").await.id, &digest).await.is_some());
    world.artifacts.blobs.remove(&digest).unwrap();
    let started = world.artifacts.start_upload(&image("b"), Some(&digest), 0, &Uploader::default()).await.unwrap();
    assert!(matches!(started, Started::Upload(..)), "without its file it has to come again");
}

#[tokio::test]
async fn uploads_are_few_short_and_not_for_ever() {
    let settings = Settings { max_uploads: 8, max_blob_bytes: 10, upload_retention: HOUR, ..Settings::default() };
    let mut world = World::with(settings).await;
    let place = image("a");
    let refused = world.artifacts.start_upload(&place, None, 11, &Uploader::default()).await;
    assert!(matches!(refused, Err(Error::TooLarge { limit: 10, .. })));
    let first = world.start(&place).await;
    assert!(matches!(world.write(&place, first, 0, b"more than ten").await, Err(Error::TooLarge { limit: 10, .. })));
    world.start(&place).await;
    world.restart().await;
    let refused = world.artifacts.start_upload(&place, None, 0, &ann()).await;
    assert!(matches!(refused, Err(Error::TooManyUploads { limit: 2, .. })), "before the start and behind it");
    world.artifacts.cancel_upload(&place, first).await.unwrap();
    let third = world.start(&place).await;
    world.write(&place, third, 0, b"abc").await.unwrap();
    world.clock.advance(2 * HOUR);
    assert!(matches!(world.artifacts.get_upload(&place, third).await, Err(Error::UploadNotFound(_))));
    let all = KeyRange::prefix(&Key::table(Table::ArtifactUpload));
    let (next, expired) = world.artifacts.expire_uploads(all, 100).await.unwrap();
    assert_eq!((next, expired, world.files()), (None, 2, 0));
    world.start(&place).await;
    world.start(&place).await;
}

#[tokio::test]
async fn what_is_written_to_an_upload_that_was_cancelled_is_refused() {
    let world = World::new().await;
    let (place, id) = (image("a"), world.start(&image("a")).await);
    let mut writing = world.artifacts.write_upload(&place, id, None).await.unwrap();
    writing.accept(Bytes::from(many_bytes(300_000))).await.unwrap();
    world.artifacts.cancel_upload(&place, id).await.unwrap();
    assert!(matches!(world.artifacts.cancel_upload(&place, id).await, Err(Error::UploadNotFound(_))));
    assert!(matches!(writing.finish(300_000).await, Err(Error::UploadNotFound(_))));
}

#[tokio::test]
async fn bytes_for_an_upload_that_was_cancelled_before_the_first_came_leave_no_file() {
    let world = World::new().await;
    let place = image("a");
    for goes_away in [false, true] {
        let id = world.start(&place).await;
        let mut writing = world.artifacts.write_upload(&place, id, None).await.unwrap();
        world.artifacts.cancel_upload(&place, id).await.unwrap();
        writing.accept(Bytes::from(many_bytes(300_000))).await.unwrap();
        if goes_away {
            drop(writing);
        } else {
            assert!(matches!(writing.finish(300_000).await, Err(Error::UploadNotFound(_))));
        }
        world.settle().await;
        assert_eq!(world.files(), 0);
    }
}

#[tokio::test]
async fn who_goes_away_while_an_upload_begins_leaves_one_that_ends_by_itself() {
    let settings = Settings { max_uploads: 1, upload_retention: HOUR, ..Settings::default() };
    let world = World::with(settings).await;
    let place = image("a");
    let by = Uploader::default();
    let mut starting = Box::pin(world.artifacts.start_upload(&place, None, 0, &by));
    assert!(futures::poll!(&mut starting).is_pending());
    drop(starting);
    world.settle().await;
    assert_eq!(world.count(Table::ArtifactUpload).await, 1);
    world.clock.advance(2 * HOUR);
    let all = KeyRange::prefix(&Key::table(Table::ArtifactUpload));
    world.artifacts.expire_uploads(all, 100).await.unwrap();
    world.start(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_uploads_of_the_same_blob_at_once_store_it_once() {
    let world = Arc::new(World::new().await);
    let content = many_bytes(2000);
    let pushing = (0..1000).map(|number| {
        let (world, content) = (Arc::clone(&world), content.clone());
        tokio::spawn(async move { world.push(&image(&format!("image{}", number % 10)), &content).await })
    });
    for digest in futures::future::join_all(pushing.collect::<Vec<_>>()).await {
        assert_eq!(digest.unwrap(), sha256(&content));
    }
    assert_eq!((world.files(), world.count(Table::Blob).await), (1, 1));
    assert_eq!(world.count(Table::ImageBlob).await, 10);
}

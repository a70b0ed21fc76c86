use super::super::bytes::Part;
use super::*;

#[tokio::test]
async fn what_is_received_is_kept_under_its_digest_and_read_in_parts() {
    let world = World::new().await;
    let content = many_bytes(1_000_003);
    let mut receiving = world.artifacts.receive("/a.bin");
    for chunk in content.chunks(70_001) {
        receiving.accept(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    assert_eq!(receiving.size(), 1_000_003);
    let kept = receiving.keep(|_| Ok(())).await.unwrap();
    assert_eq!((&kept.digest, kept.size), (&sha256(&content), 1_000_003));
    let checksums = world.artifacts.checksums(&kept.digest).await.unwrap();
    assert_eq!((kept.md5, kept.crc64ecma), checksums);
    let touched = world.blob(&kept.digest).await.unwrap();
    assert_eq!((touched.size, touched.touch_us, touched.doomed_us), (1_000_003, world.artifacts.now_us(), 0));
    assert!(world.content(&kept.digest).await.unwrap() == content);

    let read = |offset, length| {
        let (artifacts, digest) = (&world.artifacts, &kept.digest);
        async move {
            let mut reading = artifacts.read_part(digest, Part { offset, length }).await?;
            let mut read = Vec::new();
            while let Some(piece) = reading.pieces.next().await {
                read.extend_from_slice(&piece?);
            }
            assert_eq!((reading.size, reading.length), (1_000_003, read.len() as u64));
            Ok::<_, Error>((reading.offset, read))
        }
    };
    assert!(read(Some(500_000), Some(10)).await.unwrap() == (500_000, content[500_000..500_010].to_vec()));
    assert!(read(Some(-3), None).await.unwrap() == (1_000_000, content[1_000_000..].to_vec()));
    assert!(read(Some(-2_000_000), Some(2)).await.unwrap() == (0, content[..2].to_vec()));
    assert!(read(None, Some(2)).await.unwrap() == (0, content[..2].to_vec()));
    assert!(matches!(read(Some(1_000_003), None).await, Err(Error::RangeNotSatisfiable { size: 1_000_003 })));
    assert!(matches!(read(Some(0), Some(0)).await, Err(Error::InvalidRange(_))));
}

#[tokio::test]
async fn what_is_given_up_or_too_long_leaves_nothing() {
    let world = World::with(Settings { max_blob_bytes: 400_000, ..Settings::default() }).await;
    let mut receiving = world.artifacts.receive("/a.bin");
    receiving.accept(Bytes::from(vec![0; 400_000])).await.unwrap();
    let refused = receiving.accept(Bytes::from_static(b"x")).await;
    assert!(matches!(refused, Err(Error::TooLarge { limit: 400_000, .. })));
    drop(receiving);
    world.settle().await;
    assert_eq!((world.files(), world.count(Table::Blob).await), (0, 0));
}

#[tokio::test]
async fn a_few_bytes_are_kept_and_read_whole() {
    let world = World::new().await;
    for content in [&b""[..], b"{}"] {
        let digest = world.keep(content).await;
        assert_eq!(world.artifacts.read_bytes(&digest).await.unwrap(), content);
    }
    let unknown = world.artifacts.read_bytes(&sha256(b"other")).await;
    assert!(matches!(unknown, Err(Error::BlobNotFound(_))));
}

#[tokio::test]
async fn a_blob_without_its_file_is_damaged_until_its_bytes_come_again() {
    let world = World::new().await;
    let digest = world.keep(b"abc").await;
    world.artifacts.blobs.remove(&digest).unwrap();
    assert!(matches!(world.artifacts.read_bytes(&digest).await, Err(Error::DataDamaged(_))));
    world.keep(b"abc").await;
    assert_eq!(world.artifacts.read_bytes(&digest).await.unwrap(), &b"abc"[..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_who_bring_the_same_bytes_at_once_leave_one_file_and_one_record() {
    let world = World::new().await;
    let content = Bytes::from(many_bytes(3000));
    let keeping = (0..1000).map(|_| {
        let mut receiving = world.artifacts.receive("/a.bin");
        let content = content.clone();
        tokio::spawn(async move {
            receiving.accept(content).await.unwrap();
            receiving.keep(|_| Ok(())).await.unwrap().digest
        })
    });
    for digest in futures::future::join_all(keeping.collect::<Vec<_>>()).await {
        assert_eq!(digest.unwrap(), sha256(&content));
    }
    assert_eq!((world.files(), world.count(Table::Blob).await), (1, 1));
}

#[tokio::test]
async fn bytes_that_are_refused_at_the_end_leave_nothing() {
    let world = World::new().await;
    let mut receiving = world.artifacts.receive("/a.bin");
    receiving.accept(Bytes::from_static(b"abc")).await.unwrap();
    let refused = receiving.keep(|kept| Err(Error::BlobNotFound(kept.digest.to_string()))).await;
    assert!(matches!(refused, Err(Error::BlobNotFound(digest)) if digest == sha256(b"abc").to_string()));
    world.settle().await;
    assert_eq!((world.files(), world.count(Table::Blob).await), (0, 0));
}

#[tokio::test]
async fn the_checksums_of_an_upload_for_files_are_made_while_it_comes() {
    let world = World::new().await;
    let content = many_bytes(400_000);
    world.push(&image("a"), b"a layer").await;
    assert_eq!(world.artifacts.uploads.checksums_of(&sha256(b"a layer")), None, "nobody asks for them");
    let digest = world.push(&files(), &content).await;
    let made = world.artifacts.uploads.checksums_of(&digest).unwrap();
    let mut hasher = crate::blob::Hasher::default().with_checksums();
    hasher.update(&content);
    assert_eq!(Some(made), hasher.checksums());
}

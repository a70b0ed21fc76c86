use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use steward_proto::artifact::v1::{File, Manifest, RepositoryType};
use steward_proto::replication::v1::{ClusterTarget, Config, Settings, Target as ConfigTarget, target};
use tonic::Code;

use super::super::factory::TargetFactory;
use super::super::testing::{Allowed, CHUNK, Certificate, Counting, Kept, Memory, factory, limits};
use super::super::{BlobPush, BlobRef, FilePut, ManifestPut, Pushed, Target, TargetError};
use super::ClusterAddress;
use super::fake::{Do, Fake};
use crate::blob::{Algorithm, Digest};

fn address(fake: &Fake) -> ClusterAddress {
    ClusterAddress {
        url: format!("http://{}/replication", fake.address),
        username: "user".to_owned(),
        password: "sesame".to_owned(),
        certificate: String::new(),
    }
}

async fn target_at(factory: &TargetFactory, address: ClusterAddress, create: bool) -> Arc<dyn Target> {
    let cluster = ClusterTarget {
        cluster_id: "west".to_owned(),
        remote_project_id: "p9".to_owned(),
        remote_repo_name: "r9".to_owned(),
    };
    let config = Config {
        target: Some(ConfigTarget { target: Some(target::Target::Cluster(cluster)) }),
        settings: Some(Settings { automatic_create_remote_repo: Some(create), ..Settings::default() }),
        ..Config::default()
    };
    factory.target(&config, None, Some(address), RepositoryType::Docker).await.unwrap()
}

async fn target_of(fake: &Fake) -> Arc<dyn Target> {
    target_at(&factory(), address(fake), true).await
}

async fn push(target: &dyn Target, source: &Memory, kept: &Kept, meter: &Counting) -> Result<Pushed, TargetError> {
    let blob = source.blob();
    let from = ["redis".to_owned()];
    target.push_blob(BlobPush { image: "nginx", blob: &blob, mount_from: &from, source, sessions: kept, meter }).await
}

fn is_there(fake: &Fake, source: &Memory) -> bool {
    fake.with(|state| state.blobs.get(&source.blob().digest) == Some(&source.0))
}

#[tokio::test]
async fn a_repository_is_created_where_the_task_says_so() {
    let fake = Fake::start(None).await;
    let error = target_at(&factory(), address(&fake), false).await.prepare().await.unwrap_err();
    assert!(matches!(&error, TargetError::Refused(text) if text.contains("not there")), "{error:?}");
    let target = target_of(&fake).await;
    target.prepare().await.unwrap();
    assert_eq!(fake.with(|state| state.repositories.get("p9/r9").copied()), Some(RepositoryType::Docker));
    assert_eq!(fake.with(|state| state.authorization.clone()).as_deref(), Some("Basic dXNlcjpzZXNhbWU="));
    assert_eq!(target.name(), format!("http://{}/p9/r9", fake.address));

    fake.with(|state| state.repositories.insert("p9/r9".to_owned(), RepositoryType::Generic));
    let error = target.prepare().await.unwrap_err();
    assert!(matches!(&error, TargetError::Refused(text) if text.contains("GENERIC")), "{error:?}");
}

#[tokio::test]
async fn a_blob_goes_in_chunks_and_is_verified_there() {
    let fake = Fake::start(None).await;
    let target = target_of(&fake).await;
    let source = Memory::of(3 * CHUNK + 5);
    let (kept, meter) = (Kept::default(), Counting::default());
    let pushed = push(&*target, &source, &kept, &meter).await.unwrap();
    assert!(is_there(&fake, &source));
    assert_eq!((pushed.sent, meter.sent_bytes()), (source.blob().size, source.blob().size));
    assert_eq!(kept.saved.lock().len(), 4);
    let again = push(&*target, &source, &kept, &meter).await.unwrap();
    assert_eq!((again.sent, again.mounted), (0, true));
}

#[tokio::test]
async fn a_cut_costs_at_most_a_chunk_and_a_lost_answer_nothing() {
    let fake = Fake::start(None).await;
    let target = target_of(&fake).await;
    let source = Memory::of(4 * CHUNK);
    fake.on("WriteUpload", Do::Cut(10_000));
    let pushed = push(&*target, &source, &Kept::default(), &Counting::default()).await.unwrap();
    assert!(is_there(&fake, &source));
    assert!(pushed.sent <= source.blob().size + CHUNK, "{} bytes", pushed.sent);

    let other = Memory::of(4 * CHUNK + 1);
    fake.on("WriteUpload", Do::ThenCut);
    fake.on("FinishUpload", Do::ThenCut);
    let pushed = push(&*target, &other, &Kept::default(), &Counting::default()).await.unwrap();
    assert!(is_there(&fake, &other));
    assert_eq!(pushed.sent, other.blob().size);
}

#[tokio::test]
async fn a_later_run_goes_on_and_an_upload_that_is_gone_begins_anew() {
    let fake = Fake::start(None).await;
    let target = target_of(&fake).await;
    let source = Memory::of(4 * CHUNK);
    let (kept, meter) = (Kept::default(), Counting::default());
    fake.on("FinishUpload", Do::Fail(Code::PermissionDenied, "PERMISSION_DENIED"));
    let error = push(&*target, &source, &kept, &meter).await.unwrap_err();
    assert!(matches!(error, TargetError::Denied(_)), "{error:?}");
    let pushed = push(&*target_of(&fake).await, &source, &kept, &meter).await.unwrap();
    assert_eq!((pushed.resumed_from, pushed.sent), (4 * CHUNK, 0));

    let other = Memory::of(2 * CHUNK + 1);
    fake.on("FinishUpload", Do::Fail(Code::PermissionDenied, "PERMISSION_DENIED"));
    push(&*target, &other, &kept, &meter).await.unwrap_err();
    fake.with(|state| state.uploads.clear());
    let pushed = push(&*target, &other, &kept, &meter).await.unwrap();
    assert!(is_there(&fake, &other));
    assert_eq!(pushed.sent, other.blob().size);
}

#[tokio::test]
async fn blobs_are_asked_for_in_batches() {
    let fake = Fake::start(None).await;
    let target = target_of(&fake).await;
    let blobs: Vec<BlobRef> = (0..2001).map(|number| BlobRef { digest: format!("sha256:{number}"), size: 1 }).collect();
    fake.with(|state| state.blobs.insert("sha256:1500".to_owned(), Bytes::new()));
    let missing = target.missing_blobs("nginx", &blobs).await.unwrap();
    assert_eq!(missing.len(), 2000);
    assert!(missing.iter().all(|blob| blob.digest != "sha256:1500"));
    assert_eq!(fake.calls("MissingBlobs"), 3);
}

#[tokio::test]
async fn a_manifest_is_stored_with_its_tags_and_deleted_only_if_it_is_the_one() {
    let fake = Fake::start(None).await;
    let target = target_of(&fake).await;
    let content = Bytes::from_static(b"{\"schemaVersion\":2}");
    let digest = Digest::of(Algorithm::Sha256, &content).to_string();
    let manifest = Manifest { digest: digest.clone(), media_type: "x".to_owned(), ..Manifest::default() };
    let (tags, metadata) = (["1".to_owned()], HashMap::new());
    let put = ManifestPut { image: "nginx", manifest: &manifest, content: &content, tags: &tags, metadata: &metadata };
    fake.on("PutManifest", Do::ThenCut);
    target.put_manifest(put).await.unwrap();
    assert_eq!(target.manifest_digest("nginx", "1").await, Ok(Some(digest.clone())));
    assert_eq!(target.delete_tag("nginx", "1", "sha256:other").await, Ok(false));
    assert_eq!(target.delete_tag("nginx", "1", &digest).await, Ok(true));
    assert_eq!(target.manifest_digest("nginx", "1").await, Ok(None));

    let wrong = Manifest { digest: "sha256:other".to_owned(), ..manifest };
    let put = ManifestPut { image: "nginx", manifest: &wrong, content: &content, tags: &tags, metadata: &metadata };
    assert!(matches!(target.put_manifest(put).await, Err(TargetError::Mismatch(_))));
}

#[tokio::test]
async fn files_are_uploaded_committed_and_known_again() {
    let fake = Fake::start(None).await;
    let target = target_of(&fake).await;
    let source = Memory::of(CHUNK + 1);
    let file = File {
        path: "/a.txt".to_owned(),
        size: i64::try_from(source.0.len()).unwrap(),
        sha256: source.blob().digest.replace("sha256:", ""),
        metadata: HashMap::from([("k".to_owned(), "v".to_owned())]),
        ..File::default()
    };
    let (sessions, meter) = (Kept::default(), Counting::default());
    let put = |overwrite, with_metadata| FilePut {
        file: &file,
        with_metadata,
        overwrite,
        source: &source,
        sessions: &sessions,
        meter: &meter,
    };
    target.put_file(put(false, true)).await.unwrap();
    assert_eq!(fake.with(|state| state.files["/a.txt"].metadata.clone()), file.metadata);
    assert!(matches!(target.put_file(put(false, true)).await, Err(TargetError::Refused(_))));
    target.put_file(put(true, false)).await.unwrap();
    assert!(fake.with(|state| state.files["/a.txt"].metadata.is_empty()));
    let missing = File { path: "/b.txt".to_owned(), ..File::default() };
    let known = target.file_digests(&[missing, file.clone()]).await.unwrap();
    assert_eq!(known, [None, Some(target.file_digest(&file, true))]);
    assert_eq!(target.delete_file("/a.txt", "other").await, Ok(false));
    assert_eq!(target.delete_file("/a.txt", &file.sha256).await, Ok(true));
    assert_eq!(target.delete_file("/a.txt", &file.sha256).await, Ok(false));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_the_rest_is_told() {
    let fake = Fake::start(None).await;
    let target = target_of(&fake).await;
    fake.on("GetManifest", Do::Fail(Code::Unavailable, "SHUTTING_DOWN"));
    fake.on("GetManifest", Do::Cut(0));
    assert_eq!(target.manifest_digest("nginx", "1").await, Ok(None));
    assert_eq!(fake.calls("GetManifest"), 3);

    fake.on("GetManifest", Do::Fail(Code::Unauthenticated, "UNAUTHENTICATED"));
    let error = target.manifest_digest("nginx", "1").await.unwrap_err();
    assert!(matches!(&error, TargetError::Denied(text) if !text.contains("sesame")), "{error:?}");
    assert_eq!(fake.calls("GetManifest"), 4);
    for _ in 0..5 {
        fake.on("StartUpload", Do::Fail(Code::ResourceExhausted, "TOO_MANY_UPLOADS"));
    }
    let (kept, meter) = (Kept::default(), Counting::default());
    let error = push(&*target, &Memory::of(1), &kept, &meter).await.unwrap_err();
    assert!(matches!(error, TargetError::Busy { .. }), "{error:?}");
}

#[tokio::test]
async fn another_steward_is_reached_over_tls_by_its_authority_alone() {
    let certificate = Certificate::new();
    let fake = Fake::start(Some(&certificate)).await;
    let mut address = address(&fake);
    address.url = format!("https://{}", fake.address);
    assert!(matches!(factory().reach_cluster(&address).await, Err(TargetError::Tls(_))));
    address.certificate.clone_from(&certificate.authority);
    assert_eq!(factory().reach_cluster(&address).await, Ok(()));
    assert_eq!(fake.calls("ListProjects"), 1);
}

#[tokio::test]
async fn the_address_of_another_steward_is_checked_too() {
    let fake = Fake::start(None).await;
    let refused: IpAddr = "127.0.0.1".parse().unwrap();
    let addresses = Arc::new(Allowed { refused: vec![refused], ..Allowed::default() });
    let factory = TargetFactory::with_limits(limits(addresses), Duration::ZERO);
    assert!(matches!(factory.reach_cluster(&address(&fake)).await, Err(TargetError::Forbidden(_))));
    assert_eq!(fake.calls("ListProjects"), 0);
}

use std::collections::HashMap;

use bytes::Bytes;
use steward_proto::artifact::v1::File;

use super::super::super::testing::{CHUNK, Counting, Kept, Memory};
use super::super::super::{FilePut, TargetError};
use super::super::fake::{Do, Fake, Manners};
use super::{IMAGE, image, manifest_of, put, target_of};
use crate::blob::{Algorithm, Digest};

fn referrer(subject: &Bytes, name: &str) -> Bytes {
    let json = serde_json::json!({
        "schemaVersion": 2, "mediaType": IMAGE, "artifactType": "application/vnd.example.sbom",
        "config": { "mediaType": "x", "digest": "sha256:0", "size": 0 }, "layers": [],
        "subject": { "mediaType": IMAGE, "digest": manifest_of(subject).digest, "size": subject.len() },
        "annotations": { "name": name },
    });
    json.to_string().into()
}

fn tagged(fake: &Fake, tag: &str) -> Option<Bytes> {
    fake.with(|state| {
        let digest = state.tags.get(&format!("nginx:{tag}"))?;
        state.manifests.get(&format!("nginx@{digest}")).map(|(_, bytes)| bytes.clone())
    })
}

fn referrers_tag(subject: &Bytes) -> String {
    manifest_of(subject).digest.replace(':', "-")
}

#[tokio::test]
async fn a_manifest_is_stored_as_it_is_under_its_tags() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let content = image("a");
    assert_eq!(target.manifest_digest("nginx", "1").await, Ok(None));
    put(&*target, &content, &["1", "2"]).await.unwrap();
    assert_eq!(tagged(&fake, "1"), Some(content.clone()));
    assert_eq!(tagged(&fake, "2"), Some(content.clone()));
    let digest = manifest_of(&content).digest;
    assert_eq!(target.manifest_digest("nginx", "1").await, Ok(Some(digest.clone())));
    put(&*target, &image("b"), &[]).await.unwrap();
    let untagged = manifest_of(&image("b")).digest;
    assert_eq!(target.manifest_digest("nginx", &untagged).await, Ok(Some(untagged)));
}

#[tokio::test]
async fn a_registry_that_says_no_digest_or_a_wrong_one_has_to_show_the_bytes() {
    let fake = Fake::start(Manners { says_no_digests: true, ..Manners::default() }).await;
    put(&*target_of(&fake).await, &image("a"), &["1"]).await.unwrap();

    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    fake.on("HEAD /v2/nginx/manifests/1", Do::Lie);
    put(&*target, &image("a"), &["1"]).await.unwrap();
}

#[tokio::test]
async fn a_manifest_of_another_algorithm_is_known_again_by_its_bytes() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let content = image("a");
    let of = |content: &[u8]| Digest::of(Algorithm::Sha512, content).to_string();
    let (wanted, other) = (of(&content), of(&image("b")));
    let manifest = steward_proto::artifact::v1::Manifest { digest: wanted.clone(), ..manifest_of(&content) };
    let (tags, metadata) = (["1".to_owned()], HashMap::new());
    let put =
        super::ManifestPut { image: "nginx", manifest: &manifest, content: &content, tags: &tags, metadata: &metadata };
    target.put_manifest(put).await.unwrap();
    let there = manifest_of(&content).digest;
    assert_eq!(target.manifest_digest("nginx", "1").await, Ok(Some(there.clone())));
    assert_eq!(target.manifest_digest_like("nginx", "1", &wanted).await, Ok(Some(wanted.clone())));
    assert_eq!(target.manifest_digest_like("nginx", "1", &other).await, Ok(Some(there.clone())));
    assert_eq!(target.manifest_digest_like("nginx", "2", &wanted).await, Ok(None));
    let asked = fake.seen("GET").len();
    assert_eq!(target.manifest_digest_like("nginx", "1", &there).await, Ok(Some(there)));
    assert_eq!(fake.seen("GET").len(), asked, "the same algorithm needs no bytes");
    assert_eq!(target.delete_tag("nginx", "1", &other).await, Ok(false));
    assert_eq!(target.delete_tag("nginx", "1", &wanted).await, Ok(true));
    assert_eq!(tagged(&fake, "1"), None);
}

#[tokio::test]
async fn a_registry_that_has_something_else_afterwards_is_caught() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    fake.on("HEAD /v2/nginx/manifests/1", Do::Lie);
    fake.on("GET /v2/nginx/manifests/1", Do::Answer(200, vec![], image("b").escape_ascii().to_string()));
    let error = put(&*target, &image("a"), &["1"]).await.unwrap_err();
    assert!(matches!(error, TargetError::Mismatch(_)), "{error:?}");

    fake.on("PUT", Do::Answer(201, vec![], String::new()));
    let error = put(&*target, &image("c"), &["never-stored"]).await.unwrap_err();
    assert!(matches!(error, TargetError::Mismatch(_)), "{error:?}");
}

#[tokio::test]
async fn referrers_are_listed_under_a_tag_where_the_registry_does_not_know_them() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let subject = image("a");
    put(&*target, &subject, &["1"]).await.unwrap();
    let all: Vec<Bytes> = (0..8).map(|number| referrer(&subject, &number.to_string())).collect();

    let work = all.iter().map(|referrer| put(&*target, referrer, &[]));
    for done in futures::future::join_all(work).await {
        done.unwrap();
    }
    put(&*target, &all[0], &[]).await.unwrap();

    let index: serde_json::Value = serde_json::from_slice(&tagged(&fake, &referrers_tag(&subject)).unwrap()).unwrap();
    let listed = index["manifests"].as_array().unwrap();
    assert_eq!(listed.len(), all.len(), "each once: {listed:?}");
    for referrer in &all {
        let digest = manifest_of(referrer).digest;
        let descriptor = listed.iter().find(|listed| listed["digest"] == digest.as_str()).unwrap();
        assert_eq!(descriptor["artifactType"], "application/vnd.example.sbom");
        assert_eq!(descriptor["mediaType"], IMAGE);
        assert_eq!(descriptor["size"], referrer.len());
        assert!(descriptor["annotations"]["name"].is_string());
    }
}

#[tokio::test]
async fn a_registry_that_knows_referrers_gets_no_tag_for_them() {
    let fake = Fake::start(Manners { knows_referrers: true, ..Manners::default() }).await;
    let target = target_of(&fake).await;
    let subject = image("a");
    put(&*target, &referrer(&subject, "x"), &[]).await.unwrap();
    assert_eq!(tagged(&fake, &referrers_tag(&subject)), None);
}

#[tokio::test]
async fn a_tag_is_deleted_only_if_it_names_what_it_should() {
    let fake = Fake::start(Manners { deletes_tags: true, ..Manners::default() }).await;
    let target = target_of(&fake).await;
    let content = image("a");
    put(&*target, &content, &["1", "2"]).await.unwrap();
    let (digest, other) = (manifest_of(&content).digest, manifest_of(&image("b")).digest);
    assert_eq!(target.delete_tag("nginx", "1", &other).await, Ok(false));
    assert_eq!(target.delete_tag("nginx", "none", &digest).await, Ok(false));
    assert_eq!(target.delete_tag("nginx", "1", &digest).await, Ok(true));
    assert_eq!(tagged(&fake, "1"), None);
    assert_eq!(tagged(&fake, "2"), Some(content));
}

#[tokio::test]
async fn a_manifest_is_deleted_for_its_tag_only_if_nothing_else_needs_it() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let (a, b, c) = (image("a"), image("b"), image("c"));
    put(&*target, &a, &["a1", "a2"]).await.unwrap();
    put(&*target, &b, &["b"]).await.unwrap();
    put(&*target, &c, &["c"]).await.unwrap();
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{ "mediaType": IMAGE, "digest": manifest_of(&b).digest, "size": b.len() }],
    });
    let index = Bytes::from(index.to_string());
    let mut manifest = manifest_of(&index);
    manifest.media_type = "application/vnd.oci.image.index.v1+json".to_owned();
    let (tags, metadata) = (["multi".to_owned()], HashMap::new());
    let multi =
        super::ManifestPut { image: "nginx", manifest: &manifest, content: &index, tags: &tags, metadata: &metadata };
    target.put_manifest(multi).await.unwrap();

    for (tag, content) in [("a1", &a), ("b", &b)] {
        let error = target.delete_tag("nginx", tag, &manifest_of(content).digest).await.unwrap_err();
        assert!(matches!(error, TargetError::Refused(_)), "{tag}: {error:?}");
    }
    assert_eq!(target.delete_tag("nginx", "c", &manifest_of(&c).digest).await, Ok(true));
    assert_eq!(tagged(&fake, "c"), None);
    assert_eq!(tagged(&fake, "a1"), Some(a));
    assert_eq!(tagged(&fake, "b"), Some(b));
}

#[tokio::test]
async fn a_failure_is_no_reason_to_delete_the_manifest_instead() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let content = image("a");
    put(&*target, &content, &["1"]).await.unwrap();
    fake.on("DELETE", Do::Answer(403, vec![], String::new()));
    let error = target.delete_tag("nginx", "1", &manifest_of(&content).digest).await.unwrap_err();
    assert!(matches!(error, TargetError::Denied(_)), "{error:?}");
    assert_eq!(fake.seen("DELETE").len(), 1);
    assert_eq!(tagged(&fake, "1"), Some(content));
}

#[tokio::test]
async fn a_file_becomes_an_artifact_and_is_known_again() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let source = Memory::of(2 * CHUNK);
    let file = File {
        path: "/Dir/a file.txt".to_owned(),
        size: i64::try_from(source.0.len()).unwrap(),
        sha256: source.blob().digest.replace("sha256:", ""),
        metadata: HashMap::from([("k".to_owned(), "v".to_owned())]),
        ..File::default()
    };
    let other = File { path: "/b.txt".to_owned(), ..file.clone() };
    let (sessions, meter) = (Kept::default(), Counting::default());
    let put = |overwrite| FilePut {
        file: &file,
        with_metadata: true,
        overwrite,
        source: &source,
        sessions: &sessions,
        meter: &meter,
    };
    target.put_file(put(false)).await.unwrap();
    assert_eq!(target.put_file(put(false)).await.unwrap().sent, 0, "the same file again");
    let known = target.file_digests(&[file.clone(), other]).await.unwrap();
    assert_eq!(known, [Some(target.file_digest(&file, true)), None]);

    let changed = Memory::of(5);
    let changed_file = File { sha256: changed.blob().digest.replace("sha256:", ""), size: 5, ..file.clone() };
    let put = |overwrite| FilePut {
        file: &changed_file,
        with_metadata: true,
        overwrite,
        source: &changed,
        sessions: &sessions,
        meter: &meter,
    };
    assert!(matches!(target.put_file(put(false)).await, Err(TargetError::Refused(_))));
    target.put_file(put(true)).await.unwrap();

    assert_eq!(target.delete_file(&file.path, &file.sha256).await, Ok(false), "it has other bytes now");
    assert_eq!(target.delete_file(&file.path, &changed_file.sha256).await, Ok(true));
    assert_eq!(target.file_digests(&[file]).await, Ok(vec![None]));
}

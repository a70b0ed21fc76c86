//! Manifests as they are pushed, read and deleted.

use axum::body::Body;
use bytes::Bytes;
use futures::stream::iter;
use steward_proto::artifact::v1::{
    DeleteManifestRequest, GetManifestRequest, GetManifestResponse, ImageName, Manifest, PutManifestRequest,
    PutManifestResponse,
};

use super::fake::Fake;
use super::{SHA256, answer, error};
use crate::restic::{ask, send, written};

const TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONTENT: &str = "{ \"schemaVersion\": 2 }\n";

fn image() -> Option<ImageName> {
    Some(ImageName { project: "p1".to_owned(), repository: "img".to_owned(), image: "nginx".to_owned() })
}

fn manifest() -> Manifest {
    let (digest, media_type) = (SHA256.to_owned(), TYPE.to_owned());
    Manifest { digest, media_type, size: i64::try_from(CONTENT.len()).unwrap(), ..Manifest::default() }
}

fn found() -> GetManifestResponse {
    GetManifestResponse { manifest: Some(manifest()), content: Bytes::from_static(CONTENT.as_bytes()) }
}

fn stored(subject: &str) -> PutManifestResponse {
    PutManifestResponse {
        manifest: Some(Manifest { subject: subject.to_owned(), ..manifest() }),
        ..PutManifestResponse::default()
    }
}

fn path(reference: &str) -> String {
    format!("/v2/p1/img/nginx/manifests/{reference}")
}

fn read(body: &str) -> String {
    let digest = [format!("docker-content-digest: {SHA256}"), format!("etag: \"{SHA256}\"")];
    let length = format!("content-length: {}", CONTENT.len());
    answer(200, &[&length, &format!("content-type: {TYPE}"), &digest[0], &digest[1]], body)
}

#[tokio::test]
async fn manifest_is_answered_to_the_byte_whatever_is_accepted() {
    for headers in [
        &[][..],
        &["Accept: application/vnd.docker.distribution.manifest.v2+json"],
        &["Accept: text/plain", "Accept: application/vnd.oci.image.index.v1+json", "Accept: */*"],
    ] {
        let fake = Fake::default().answering(found());
        assert_eq!(ask(&fake.router(), "GET", &path("1.0"), headers).await, read(CONTENT));
        let expected = GetManifestRequest { name: image(), reference: "1.0".to_owned(), without_content: false };
        fake.expect(&[expected]);
    }
}

#[tokio::test]
async fn head_asks_for_no_content() {
    let fake = Fake::default().answering(GetManifestResponse { content: Bytes::new(), ..found() });
    assert_eq!(ask(&fake.router(), "HEAD", &path(SHA256), &[]).await, read(""));
    let expected = GetManifestRequest { name: image(), reference: SHA256.to_owned(), without_content: true };
    fake.expect(&[expected]);
}

#[tokio::test]
async fn manifest_that_the_client_has_is_not_sent_again() {
    let router = Fake::default().answering(found()).router();
    let (digest, tag) = (format!("docker-content-digest: {SHA256}"), format!("etag: \"{SHA256}\""));
    let known = ask(&router, "GET", &path("1.0"), &[&format!("If-None-Match: \"{SHA256}\"")]).await;
    assert_eq!(known, answer(304, &["content-length: 0", &digest, &tag], ""));
}

#[tokio::test]
async fn pushed_manifest_says_where_it_is_and_what_it_refers_to() {
    let subject = SHA256.replace('0', "f");
    let location = format!("location: /v2/p1/img/nginx/manifests/{SHA256}");
    let digest = format!("docker-content-digest: {SHA256}");
    let of_subject = format!("oci-subject: {subject}");
    for (reference, query, tags, subject, further) in [
        ("1.0", "", &[][..], "", &[][..]),
        (SHA256, "?tag=a&tag=b", &["a", "b"], "", &["oci-tag: a", "oci-tag: b"]),
        ("1.0", "?x=y", &[], &subject, &[&of_subject]),
    ] {
        let fake = Fake::default().answering(stored(subject));
        let content_type = format!("Content-Type: {TYPE}; charset=utf-8");
        let response = send(&fake.router(), "PUT", &(path(reference) + query), &[&content_type], CONTENT).await;
        let headers = [&["content-length: 0", &digest, &location], further].concat();
        assert_eq!(written(response).await, answer(201, &headers, ""), "{reference}{query}");
        let expected = PutManifestRequest {
            name: image(),
            reference: reference.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            media_type: TYPE.to_owned(),
            content: Bytes::from_static(CONTENT.as_bytes()),
            ..PutManifestRequest::default()
        };
        fake.expect(&[expected]);
    }
}

#[tokio::test]
async fn manifest_of_4_mib_is_taken_and_no_more() {
    const LIMIT: usize = 4 << 20;
    let fake = Fake::default().answering(stored(""));
    let frames = |length: usize| {
        let frames = vec![b' '; length].chunks(100_000).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        Body::from_stream(iter(frames.into_iter().map(Ok::<_, std::io::Error>)))
    };
    let router = fake.router();
    let longest = send(&router, "PUT", &path("x"), &[], frames(LIMIT)).await;
    assert_eq!(longest.status(), 201);
    let longer = send(&router, "PUT", &path("x"), &[], frames(LIMIT + 1)).await;
    let too_long = error(413, "SIZE_INVALID", "body is longer than this server takes");
    assert_eq!(written(longer).await, too_long);
    let announced = send(&router, "PUT", &path("x"), &[&format!("Content-Length: {}", LIMIT + 1)], Body::empty()).await;
    assert_eq!(written(announced).await, too_long);
    assert_eq!(fake.asked::<PutManifestRequest>().iter().map(|put| put.content.len()).collect::<Vec<_>>(), [LIMIT]);
}

#[tokio::test]
async fn wrong_references_are_refused_before_anybody_is_asked() {
    let fake = Fake::default();
    let digest = "digest is neither sha256: with 64 nor sha512: with 128 lower-case hexadecimal digits";
    let tag = "tag is not one of the specification: 1 to 128 letters, digits, and _ . - behind the first";
    for (method, path, expected) in [
        ("PUT", path("sha256:baddigeststring"), error(400, "DIGEST_INVALID", digest)),
        ("GET", path("sha256:baddigeststring"), error(400, "DIGEST_INVALID", digest)),
        ("PUT", path(".x"), error(400, "MANIFEST_INVALID", tag)),
        ("GET", path(".x"), error(404, "MANIFEST_UNKNOWN", tag)),
        ("DELETE", path(".x"), error(404, "MANIFEST_UNKNOWN", tag)),
        ("PUT", path("x?tag=.x"), error(400, "MANIFEST_INVALID", tag)),
    ] {
        assert_eq!(ask(&fake.router(), method, &path, &[]).await, expected, "{method} {path}");
    }
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn tags_and_manifests_are_deleted() {
    for reference in ["1.0", SHA256] {
        let fake = Fake::default();
        assert_eq!(ask(&fake.router(), "DELETE", &path(reference), &[]).await, answer(202, &["content-length: 0"], ""));
        let reference = reference.to_owned();
        fake.expect(&[DeleteManifestRequest { name: image(), reference, ..Default::default() }]);
    }
}

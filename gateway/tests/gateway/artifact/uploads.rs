//! Uploads of blobs.

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{iter, once};
use steward_gateway::ArtifactOptions;
use steward_proto::artifact::v1::{
    CancelUploadRequest, FinishUploadRequest, GetUploadResponse, ImageName, MountBlobRequest, StartUploadRequest,
    StartUploadResponse, Upload, WriteStart, WriteUploadResponse,
};
use tonic::Code;

use super::fake::{Fake, Received};
use super::{SHA256, answer, error, error_with};
use crate::restic::{ask, refusal, refusal_with, send, written};

const BEGIN: &str = "/v2/p1/img/nginx/blobs/uploads/";
const UPLOAD: &str = "/v2/p1/img/nginx/blobs/uploads/u-1";

fn named(image: &str) -> Option<ImageName> {
    Some(ImageName { project: "p1".to_owned(), repository: "img".to_owned(), image: image.to_owned() })
}

fn at(offset: i64) -> Option<Upload> {
    Some(Upload { id: "u-1".to_owned(), offset, ..Upload::default() })
}

/// A service with an upload that is so far.
fn fake(offset: i64) -> Fake {
    Fake::default()
        .answering(StartUploadResponse { upload: at(offset), blob: None })
        .answering(GetUploadResponse { upload: at(offset) })
        .answering(WriteUploadResponse { upload: at(offset) })
}

fn progress(status: u16, range: &str) -> String {
    let location = format!("location: {UPLOAD}");
    answer(status, &["content-length: 0", "docker-upload-uuid: u-1", &location, &format!("range: {range}")], "")
}

fn created() -> String {
    let digest = format!("docker-content-digest: {SHA256}");
    let location = format!("location: /v2/p1/img/nginx/blobs/{SHA256}");
    answer(201, &["content-length: 0", &digest, &location], "")
}

fn writing(offset: Option<i64>, content: &str) -> Received<WriteStart> {
    Received {
        start: Some(WriteStart { upload_id: "u-1".to_owned(), offset, target: named("nginx") }),
        content: content.as_bytes().to_vec(),
        finish: Some(i64::try_from(content.len()).unwrap()),
    }
}

fn finishing() -> FinishUploadRequest {
    FinishUploadRequest { upload_id: "u-1".to_owned(), target: named("nginx"), digest: SHA256.to_owned() }
}

/// A body whose length nobody tells.
fn streamed(content: &'static str) -> Body {
    Body::from_stream(iter([content]).map(|frame| Ok::<_, std::io::Error>(Bytes::from_static(frame.as_bytes()))))
}

async fn request(fake: &Fake, method: &str, path: &str, headers: &[&str], body: impl Into<Body>) -> String {
    written(send(&fake.router(), method, path, headers, body).await).await
}

#[tokio::test]
async fn upload_is_begun_followed_and_given_up() {
    let fake = self::fake(0);
    assert_eq!(request(&fake, "POST", BEGIN, &[], "").await, progress(202, "0-0"));
    assert_eq!(request(&fake, "POST", BEGIN.trim_end_matches('/'), &[], "").await, progress(202, "0-0"));
    assert_eq!(
        fake.asked::<StartUploadRequest>()[0],
        StartUploadRequest { target: named("nginx"), ..StartUploadRequest::default() }
    );
    for (offset, range) in [(0, "0-0"), (1, "0-0"), (1000, "0-999")] {
        assert_eq!(request(&self::fake(offset), "GET", UPLOAD, &[], "").await, progress(204, range));
        assert_eq!(
            request(&self::fake(offset), "GET", &format!("{UPLOAD}?digest=x"), &[], "").await,
            progress(204, range)
        );
    }
    assert_eq!(request(&fake, "DELETE", UPLOAD, &[], "").await, answer(204, &["content-length: 0"], ""));
    fake.expect(&[CancelUploadRequest { upload_id: "u-1".to_owned(), target: named("nginx") }]);
}

#[tokio::test]
async fn chunks_go_where_they_say_or_wherever_the_upload_ends() {
    for is_direct in [false, true] {
        for (headers, offset) in [
            (&["Content-Range: 5-9"][..], Some(5)),
            (&["Content-Range: 5-9", "Content-Length: 5"], Some(5)),
            (&["Content-Range: bytes 5-9/*"], Some(5)),
            (&[], None),
            (&["Content-Length: 5"], None),
        ] {
            let fake = self::fake(10).directly(is_direct);
            assert_eq!(request(&fake, "PATCH", UPLOAD, headers, streamed("hello")).await, progress(202, "0-9"));
            fake.expect(&[writing(offset, "hello")]);
        }
    }
}

#[tokio::test]
async fn chunk_that_is_not_next_is_told_where_to_go_on() {
    let status = refusal_with(Code::OutOfRange, "UPLOAD_OFFSET", "the upload is at 10", &[("offset", "10")]);
    let told = |status, code| {
        let location = format!("location: {UPLOAD}");
        error_with(status, code, "the upload is at 10", &["docker-upload-uuid: u-1", &location, "range: 0-9"])
    };
    for (method, path) in [("PATCH", UPLOAD.to_owned()), ("PUT", format!("{UPLOAD}?digest={SHA256}"))] {
        let fake = self::fake(10).refusing("write_upload", status.clone());
        let answer = request(&fake, method, &path, &["Content-Range: 20-24"], "hello").await;
        assert_eq!(answer, told(416, "BLOB_UPLOAD_INVALID"));
        // The upload goes on: it is neither finished nor given up.
        assert_eq!(fake.calls(), ["write_upload"]);
    }
}

#[tokio::test]
async fn chunk_that_contradicts_itself_is_refused() {
    let fake = self::fake(10);
    for (header, length, code, message) in [
        ("5-9", 4, "SIZE_INVALID", "the body is not as long as Content-Range"),
        ("9-5", 5, "BLOB_UPLOAD_INVALID", "Content-Range is not {first}-{last}"),
        ("x", 5, "BLOB_UPLOAD_INVALID", "Content-Range is not {first}-{last}"),
    ] {
        let headers = [format!("Content-Range: {header}"), format!("Content-Length: {length}")];
        let answer = request(&fake, "PATCH", UPLOAD, &headers.each_ref().map(String::as_str), "hello").await;
        assert_eq!(answer, error(400, code, message), "{header}");
    }
    assert!(fake.calls().is_empty());

    // Nobody announces how long this body is, but the range does.
    let answer = request(&fake, "PATCH", UPLOAD, &["Content-Range: 5-10"], streamed("hello")).await;
    let short = error_with(400, "SIZE_INVALID", "body is not as long as announced", &["connection: close"]);
    assert_eq!(answer, short);
    let received = fake.asked::<Received<WriteStart>>();
    assert!(received.iter().all(|received| received.finish.is_none()), "{received:?}");
}

#[tokio::test]
async fn body_that_breaks_off_is_not_finished() {
    let fake = self::fake(10);
    let frames = once(async { Ok(Bytes::from_static(b"hello")) });
    let body = frames.chain(once(async { Err(std::io::Error::other("reset")) }));
    let answer = request(&fake, "PATCH", UPLOAD, &[], Body::from_stream(body)).await;
    assert_eq!(answer, error_with(400, "SIZE_INVALID", "body broke off", &["connection: close"]));
    let received = fake.asked::<Received<WriteStart>>();
    assert!(received.iter().all(|received| received.finish.is_none()), "{received:?}");
}

#[tokio::test]
async fn upload_is_finished_with_or_without_a_last_chunk() {
    let path = format!("{UPLOAD}?digest={SHA256}");
    let fake = self::fake(5);
    assert_eq!(request(&fake, "PUT", &path, &["Content-Length: 0"], "").await, created());
    assert_eq!(fake.calls(), ["finish_upload"]);

    for (headers, offset) in [(&[][..], None), (&["Content-Range: 5-9"], Some(5))] {
        for body in [Body::from("hello"), streamed("hello")] {
            let fake = self::fake(10);
            assert_eq!(request(&fake, "PUT", &path, headers, body).await, created());
            assert_eq!(fake.calls(), ["write_upload", "finish_upload"]);
            assert_eq!((fake.asked(), fake.asked()), (vec![writing(offset, "hello")], vec![finishing()]));
        }
    }
    let escaped = path.replace("sha256:", "sha256%3A");
    assert_eq!(request(&self::fake(5), "PUT", &escaped, &[], "").await, created());
}

#[tokio::test]
async fn digest_of_an_upload_has_to_be_one_and_the_right_one() {
    let message = "digest is neither sha256: with 64 nor sha512: with 128 lower-case hexadecimal digits";
    for query in ["", "?digest=", "?digest=sha256:baddigeststring", "?digest=md5:0123"] {
        let fake = self::fake(5);
        let answer = request(&fake, "PUT", &format!("{UPLOAD}{query}"), &[], "").await;
        assert_eq!(answer, error(400, "DIGEST_INVALID", message), "{query}");
        assert!(fake.calls().is_empty());
    }
    let mismatch = refusal(Code::InvalidArgument, "DIGEST_MISMATCH", "another digest");
    let fake = self::fake(5).refusing("finish_upload", mismatch.clone());
    let wrong = error(400, "DIGEST_INVALID", "another digest");
    assert_eq!(request(&fake, "PUT", &format!("{UPLOAD}?digest={SHA256}"), &[], "").await, wrong);
    let fake = self::fake(5).refusing("finish_upload", mismatch);
    assert_eq!(request(&fake, "POST", &format!("{BEGIN}?digest={SHA256}"), &[], "hello").await, wrong);
}

#[tokio::test]
async fn blob_may_come_with_the_request_that_begins_its_upload() {
    let path = format!("{BEGIN}?digest={SHA256}");
    let fake = self::fake(5);
    assert_eq!(request(&fake, "POST", &path, &["Content-Length: 5"], "hello").await, created());
    assert_eq!(fake.calls(), ["start_upload", "write_upload", "finish_upload"]);
    let expected = StartUploadRequest { target: named("nginx"), digest: SHA256.to_owned(), size: 5 };
    assert_eq!((fake.asked(), fake.asked()), (vec![expected], vec![writing(None, "hello")]));

    // What is there already need not be kept again.
    let known = Fake::default();
    assert_eq!(request(&known, "POST", &path, &[], "hello").await, created());
    assert_eq!(known.calls(), ["start_upload"]);

    let broken = self::fake(5).refusing("write_upload", refusal(Code::ResourceExhausted, "DISK_FULL", "no room"));
    assert_eq!(request(&broken, "POST", &path, &[], "hello").await, error(507, "UNKNOWN", "no room"));
    assert_eq!(broken.calls(), ["start_upload", "write_upload", "cancel_upload"]);
}

#[tokio::test]
async fn blob_is_taken_from_another_image_or_from_any() {
    for (query, from) in
        [("&from=p1/img/tools/jq", named("tools/jq")), ("&from=p1%2Fimg%2Fjq", named("jq")), ("", None)]
    {
        let fake = self::fake(0);
        assert_eq!(request(&fake, "POST", &format!("{BEGIN}?mount={SHA256}{query}"), &[], "").await, created());
        fake.expect(&[MountBlobRequest { name: named("nginx"), digest: SHA256.to_owned(), from }]);
        assert_eq!(fake.calls(), ["mount_blob"]);
    }
}

#[tokio::test]
async fn what_cannot_be_mounted_is_uploaded() {
    for (code, reason) in [
        (Code::NotFound, "BLOB_NOT_FOUND"),
        (Code::NotFound, "REPOSITORY_NOT_FOUND"),
        (Code::PermissionDenied, "FORBIDDEN"),
    ] {
        let fake = self::fake(0).refusing("mount_blob", refusal(code, reason, "no"));
        let path = format!("{BEGIN}?mount={SHA256}&from=p1/img/jq");
        assert_eq!(request(&fake, "POST", &path, &[], "").await, progress(202, "0-0"), "{reason}");
    }
    for query in ["?mount=sha256:x", &format!("?mount={SHA256}&from=library/jq"), &format!("?mount={SHA256}&from=..")] {
        let fake = self::fake(0);
        assert_eq!(request(&fake, "POST", &format!("{BEGIN}{query}"), &[], "").await, progress(202, "0-0"), "{query}");
        assert_eq!(fake.calls(), ["start_upload"]);
    }
    let busy = self::fake(0).refusing("mount_blob", refusal(Code::Unavailable, "BUSY", "busy"));
    let answer = request(&busy, "POST", &format!("{BEGIN}?mount={SHA256}"), &[], "").await;
    assert!(answer.starts_with("503\n"), "{answer}");
}

#[tokio::test]
async fn blob_over_the_cap_is_refused() {
    let fake = self::fake(10);
    let router = fake.router_with(ArtifactOptions { max_blob_bytes: 5, ..ArtifactOptions::default() });
    let too_long = error(413, "SIZE_INVALID", "body is longer than this server takes");
    assert_eq!(written(send(&router, "PATCH", UPLOAD, &[], "hello").await).await, progress(202, "0-9"));
    assert_eq!(written(send(&router, "PATCH", UPLOAD, &[], streamed("hello!")).await).await, too_long);
    let announced = send(&router, "PATCH", UPLOAD, &["Content-Length: 6"], "hello!").await;
    assert_eq!(written(announced).await, too_long);
    let finished: Vec<_> =
        fake.asked::<Received<WriteStart>>().into_iter().filter_map(|upload| upload.finish).collect();
    assert_eq!(finished, [5]);
}

#[tokio::test]
async fn unknown_upload_is_404() {
    let fake = Fake::default().refusing("*", refusal(Code::NotFound, "UPLOAD_NOT_FOUND", "no such upload"));
    let unknown = error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload");
    for (method, path) in
        [("GET", UPLOAD.to_owned()), ("DELETE", UPLOAD.to_owned()), ("PUT", format!("{UPLOAD}?digest={SHA256}"))]
    {
        assert_eq!(ask(&fake.router(), method, &path, &[]).await, unknown, "{method}");
    }
    assert_eq!(request(&fake, "PATCH", UPLOAD, &[], "hello").await, unknown);
}

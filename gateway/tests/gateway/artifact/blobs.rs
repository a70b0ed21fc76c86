//! Blobs as they are read and deleted.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use steward_proto::artifact::v1::download_blob_response::Part;
use steward_proto::artifact::v1::{
    Blob, DeleteBlobRequest, DownloadBlobRequest, DownloadStart, GetBlobResponse, ImageName,
};
use tonic::{Code, Status};

use super::fake::Fake;
use super::{SHA256, answer, error, error_with};
use crate::restic::{ask, refusal, refusal_with, send};

fn path() -> String {
    format!("/v2/p1/img/tools/jq/blobs/{SHA256}")
}

fn image() -> Option<ImageName> {
    Some(ImageName { project: "p1".to_owned(), repository: "img".to_owned(), image: "tools/jq".to_owned() })
}

fn start(size: i64, offset: i64, length: i64) -> Result<Part, Status> {
    Ok(Part::Start(DownloadStart { size, offset, length }))
}

fn chunk(bytes: &'static str) -> Result<Part, Status> {
    Ok(Part::Chunk(Bytes::from_static(bytes.as_bytes())))
}

fn known(size: i64) -> GetBlobResponse {
    GetBlobResponse { blob: Some(Blob { digest: SHA256.to_owned(), size }) }
}

fn headers(length: usize) -> Vec<String> {
    vec![
        "accept-ranges: bytes".to_owned(),
        format!("content-length: {length}"),
        "content-type: application/octet-stream".to_owned(),
        format!("docker-content-digest: {SHA256}"),
        format!("etag: \"{SHA256}\""),
    ]
}

fn read(status: u16, length: usize, range: Option<&str>, body: &str) -> String {
    let mut headers = headers(length);
    headers.extend(range.map(|range| format!("content-range: {range}")));
    answer(status, &headers.iter().map(String::as_str).collect::<Vec<_>>(), body)
}

#[tokio::test]
async fn blob_is_answered_whole() {
    for is_direct in [false, true] {
        let fake = Fake::default().directly(is_direct).sending(vec![start(7, 0, 7), chunk("abc"), chunk("defg")]);
        assert_eq!(ask(&fake.router(), "GET", &path(), &[]).await, read(200, 7, None, "abcdefg"));
        let expected =
            DownloadBlobRequest { name: image(), digest: SHA256.to_owned(), ..DownloadBlobRequest::default() };
        assert_eq!(fake.asked::<DownloadBlobRequest>(), [expected]);
    }
    let empty = Fake::default().sending(vec![start(0, 0, 0)]);
    assert_eq!(ask(&empty.router(), "GET", &path(), &[]).await, read(200, 0, None, ""));
}

#[tokio::test]
async fn part_of_a_blob_is_answered_as_it_is_asked_for() {
    for (header, offset, length) in [
        ("bytes=500-1499", 500, Some(1000)),
        ("bytes=500-", 500, None),
        ("bytes=-500", -500, None),
        ("bytes=2000-5000", 2000, Some(3001)),
        ("bytes=0-0", 0, Some(1)),
        ("bytes=0-9223372036854775807", 0, Some(i64::MAX)),
    ] {
        let fake = Fake::default().sending(vec![start(2048, 2045, 3), chunk("xyz")]);
        let answer = ask(&fake.router(), "GET", &path(), &[&format!("Range: {header}")]).await;
        assert_eq!(answer, read(206, 3, Some("bytes 2045-2047/2048"), "xyz"), "{header}");
        let request = &fake.asked::<DownloadBlobRequest>()[0];
        assert_eq!((request.offset, request.length), (Some(offset), length), "{header}");
    }
}

#[tokio::test]
async fn range_of_nothing_is_416() {
    let unsatisfiable =
        error_with(416, "SIZE_INVALID", "the range is none of 2048 bytes", &["content-range: bytes */2048"]);
    for header in ["bytes=500-0", "bytes=-0", "bytes=x", "bytes=0-1,5-6", "items=0-1"] {
        let fake = Fake::default().answering(known(2048));
        assert_eq!(
            ask(&fake.router(), "GET", &path(), &[&format!("Range: {header}")]).await,
            unsatisfiable,
            "{header}"
        );
        assert_eq!(fake.calls(), ["get_blob"]);
    }
    let status = refusal_with(Code::OutOfRange, "RANGE_NOT_SATISFIABLE", "behind the end", &[("size", "2048")]);
    let fake = Fake::default().refusing("download_blob", status);
    assert_eq!(ask(&fake.router(), "GET", &path(), &["Range: bytes=5000-10000"]).await, unsatisfiable);

    let missing = Fake::default().refusing("*", refusal(Code::NotFound, "BLOB_NOT_FOUND", "no such blob"));
    let answer = ask(&missing.router(), "GET", &path(), &["Range: bytes=500-0"]).await;
    assert_eq!(answer, error(404, "BLOB_UNKNOWN", "no such blob"));
}

#[tokio::test]
async fn head_tells_how_long_a_blob_is() {
    let router = Fake::default().answering(known(2048)).router();
    assert_eq!(ask(&router, "HEAD", &path(), &["Range: bytes=0-1"]).await, read(200, 2048, None, ""));
}

#[tokio::test]
async fn blob_that_the_client_has_is_not_sent_again() {
    let router = Fake::default().answering(known(2048)).router();
    let (digest, tag) = (format!("docker-content-digest: {SHA256}"), format!("etag: \"{SHA256}\""));
    let expected = answer(304, &["content-length: 0", &digest, &tag], "");
    for header in [format!("If-None-Match: \"{SHA256}\""), format!("If-None-Match: \"x\", W/\"{SHA256}\"")] {
        assert_eq!(ask(&router, "GET", &path(), &[&header]).await, expected, "{header}");
    }
}

#[tokio::test]
async fn deleted_blob_is_accepted() {
    let fake = Fake::default();
    assert_eq!(ask(&fake.router(), "DELETE", &path(), &[]).await, answer(202, &["content-length: 0"], ""));
    fake.expect(&[DeleteBlobRequest { name: image(), digest: SHA256.to_owned() }]);
}

#[tokio::test]
async fn download_is_exactly_as_long_as_announced_or_cut_off() {
    let damaged = || Err(Status::data_loss("damaged"));
    for parts in [
        vec![start(7, 0, 7), chunk("abc")],
        vec![start(7, 0, 7), chunk("abcdefgh")],
        vec![start(7, 0, 7), chunk("abc"), damaged()],
        vec![start(7, 0, 7), start(7, 0, 7)],
    ] {
        let router = Fake::default().sending(parts.clone()).router();
        let response = send(&router, "GET", &path(), &[], Body::empty()).await;
        assert_eq!(response.status(), 200);
        assert!(response.into_body().collect().await.is_err(), "{parts:?}");
    }
    // The answer ends with its last byte, whatever the service does behind it.
    for is_direct in [false, true] {
        let hanging = Fake::default().directly(is_direct).hanging().sending(vec![start(3, 0, 3), chunk("abc")]);
        assert_eq!(ask(&hanging.router(), "GET", &path(), &[]).await, read(200, 3, None, "abc"));
    }
}

#[tokio::test]
async fn answer_that_cannot_be_is_an_error() {
    let broken = error(500, "UNKNOWN", "internal error");
    for parts in [vec![], vec![chunk("abc")], vec![start(7, 0, 6)], vec![start(7, 5, 7)], vec![start(-1, 0, -1)]] {
        let router = Fake::default().sending(parts.clone()).router();
        assert_eq!(ask(&router, "GET", &path(), &[]).await, broken, "{parts:?}");
    }
    let router = Fake::default().sending(vec![start(7, 7, 0)]).router();
    assert_eq!(ask(&router, "GET", &path(), &["Range: bytes=7-"]).await, broken);
    assert!(ask(&Fake::default().router(), "HEAD", &path(), &[]).await.starts_with("500\n"));
}

//! `/stream/source/{id}`: whole files and parts of them.

use axum::response::Response;
use http_body_util::BodyExt;
use steward_proto::transcode::v1::ReadSourceRequest;

use super::fake::Fake;
use super::{UUID, error, read, send};

const SOURCE: &[u8] = b"0123456789abcdefghij";

fn path() -> String {
    format!("/api/v1/stream/source/{UUID}?worker_id=1&lease_token=t")
}

async fn get(source: &[u8], method: &str, headers: &[&str]) -> Response {
    send(&Fake::default().with_source(source).router(), method, &path(), headers, "").await
}

async fn content(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn whole_source_is_described_and_sent() {
    for range in [&[][..], &["Range: bytes=0-1,5-6"], &["Range: items=0-1"], &["Range: bytes=0-1", "If-Range: \"x\""]] {
        for method in ["GET", "HEAD"] {
            let response = get(SOURCE, method, range).await;
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["content-length"], "20");
            assert_eq!(response.headers()["content-type"], "application/octet-stream");
            assert_eq!(response.headers()["accept-ranges"], "bytes");
            assert_eq!(response.headers()["access-control-allow-origin"], "*");
            let expected = if method == "GET" { std::str::from_utf8(SOURCE).unwrap() } else { "" };
            assert_eq!(content(response).await, expected);
        }
    }
}

#[tokio::test]
async fn parts_are_sent_as_asked() {
    for (range, told, expected) in [
        ("bytes=0-0", "bytes 0-0/20", "0"),
        ("bytes=5-9", "bytes 5-9/20", "56789"),
        ("bytes=15-", "bytes 15-19/20", "fghij"),
        ("bytes=15-99999", "bytes 15-19/20", "fghij"),
        ("bytes=0-9223372036854775807", "bytes 0-19/20", "0123456789abcdefghij"),
        ("bytes=-3", "bytes 17-19/20", "hij"),
        ("bytes=-99", "bytes 0-19/20", "0123456789abcdefghij"),
    ] {
        for method in ["GET", "HEAD"] {
            let response = get(SOURCE, method, &[&format!("Range: {range}")]).await;
            assert_eq!(response.status(), 206, "{range}");
            assert_eq!(response.headers()["content-range"], told, "{range}");
            assert_eq!(response.headers()["content-length"], expected.len().to_string(), "{range}");
            assert_eq!(content(response).await, if method == "GET" { expected } else { "" }, "{range}");
        }
    }
}

#[tokio::test]
async fn parts_beyond_the_end_are_refused_with_the_size() {
    for (source, range, told) in [
        (SOURCE, "bytes=20-", "bytes */20"),
        (SOURCE, "bytes=99-100", "bytes */20"),
        (SOURCE, "bytes=-0", "bytes */20"),
        (b"", "bytes=0-", "bytes */0"),
        (b"", "bytes=-5", "bytes */0"),
    ] {
        let response = get(source, "GET", &[&format!("Range: {range}")]).await;
        assert_eq!(response.headers()["content-range"], told, "{range}");
        assert_eq!(read(response).await, error(416, "请求的范围无效"), "{range}");
    }
}

#[tokio::test]
async fn empty_source_is_empty() {
    let response = get(b"", "GET", &[]).await;
    assert_eq!(response.headers()["content-length"], "0");
    assert_eq!(content(response).await, "");
}

#[tokio::test]
async fn worker_and_part_are_passed_on() {
    let fake = Fake::default().with_source(SOURCE);
    send(&fake.router(), "GET", &path(), &["Range: bytes=5-9"], "").await;
    let expected =
        ReadSourceRequest { task_id: UUID.to_owned(), lease_token: "t".to_owned(), worker_id: 1, offset: 5, limit: 5 };
    assert_eq!(fake.asked::<ReadSourceRequest>(), [expected]);
    let response = send(&fake.router(), "GET", "/api/v1/stream/source/2?worker_id=1", &[], "").await;
    assert_eq!(read(response).await, error(404, "任务不存在"));
}

#[tokio::test]
async fn source_that_breaks_off_cuts_the_connection() {
    let fake = Fake::default().with_source(SOURCE).breaking_off(5);
    let response = send(&fake.router(), "GET", &path(), &[], "").await;
    assert_eq!(response.headers()["content-length"], "25");
    assert!(response.into_body().collect().await.is_err());
}

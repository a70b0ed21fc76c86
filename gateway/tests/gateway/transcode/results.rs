//! `/stream/result/{id}`: uploads, whole, in parts and broken off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream::{StreamExt, iter, once, pending, poll_fn};
use steward_proto::transcode::v1::{GetResultRequest, WriteResultRequest, WriteResultResponse};
use tonic::Code;

use super::fake::Fake;
use super::{UUID, answer, ask, error, read, refusal, send};

const DIGITS: &str = "00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00FF";

fn path(query: &str) -> String {
    format!("/api/v1/stream/result/{UUID}?worker_id=1&lease_token=t{query}")
}

fn taking() -> Fake {
    Fake::default().answering(WriteResultResponse { size_bytes: 10, video_path: "hdd/lib/DEMO-001.mkv".to_owned() })
}

fn digest() -> Bytes {
    [0x00, 0xff].repeat(16).into()
}

const STORED: &str = r#"{"code":200,"data":{"size":10,"video_path":"hdd/lib/DEMO-001.mkv"},"message":"上传成功"}"#;

#[tokio::test]
async fn whole_result_is_passed_on_with_its_digest_last() {
    let in_query = format!("&sha256={DIGITS}&extension=mkv");
    let in_header = format!("X-Content-Sha256: {DIGITS}");
    for (query, headers) in [(in_query.as_str(), &[][..]), ("&extension=mkv", &[in_header.as_str()])] {
        let fake = taking();
        let response = send(&fake.router(), "PUT", &path(query), headers, "0123456789").await;
        assert_eq!(read(response).await, answer(200, STORED));
        let first = WriteResultRequest {
            task_id: UUID.to_owned(),
            lease_token: "t".to_owned(),
            worker_id: 1,
            extension: "mkv".to_owned(),
            ..WriteResultRequest::default()
        };
        let chunk = Bytes::from_static(b"0123456789");
        let middle = WriteResultRequest { chunk, ..WriteResultRequest::default() };
        let last = WriteResultRequest { offset: 10, sha256: digest(), ..WriteResultRequest::default() };
        assert_eq!(fake.uploads(), [[first, middle, last]]);
    }
}

#[tokio::test]
async fn long_result_is_passed_on_in_chunks() {
    let fake = taking();
    let content: Vec<u8> = (0..3_000_001_u32).map(|number| number.to_le_bytes()[0]).collect();
    let response = send(&fake.router(), "PUT", &path(&format!("&sha256={DIGITS}")), &[], content.clone()).await;
    assert_eq!(response.status(), 200);
    assert!(fake.stored() == content);
    assert!(fake.uploads()[0].iter().all(|part| part.chunk.len() <= 256 * 1024));
}

#[tokio::test]
async fn result_comes_in_parts_and_says_how_far_it_is() {
    let fake = taking();
    let router = fake.router();
    let sha256 = format!("&sha256={DIGITS}");
    let response = send(&router, "PUT", &path(""), &["Content-Range: bytes 0-3/10"], "0123").await;
    assert_eq!(response.headers()["upload-offset"], "4");
    let expected = answer(202, r#"{"code":202,"data":{"offset":4},"message":"已接收部分数据"}"#);
    assert_eq!(read(response).await, expected);
    // Of a part, the digest of the whole says nothing.
    let response = send(&router, "PUT", &path(&sha256), &["Content-Range: bytes 4-5/10"], "45").await;
    assert_eq!(response.status(), 202);

    let response = send(&router, "HEAD", &path(""), &[], "").await;
    assert_eq!(response.headers()["upload-offset"], "6");
    let expected = answer(200, r#"{"code":200,"data":{"offset":6},"message":"获取成功"}"#);
    assert_eq!(ask(&router, "GET", &path(""), "").await, expected);
    let asked = fake.asked::<GetResultRequest>();
    let expected = GetResultRequest { task_id: UUID.to_owned(), lease_token: "t".to_owned(), worker_id: 1 };
    assert_eq!(asked.last(), Some(&expected));

    let response = send(&router, "PUT", &path(&format!("{sha256}&offset=6")), &[], "6789").await;
    assert_eq!(read(response).await, answer(200, STORED));
    assert_eq!(fake.stored(), b"0123456789");
}

#[tokio::test]
async fn part_that_does_not_follow_is_refused() {
    let fake = taking();
    for headers in [&["Content-Range: bytes 4-5/10"][..], &["Content-Range: bytes 4-5/6"]] {
        let response = send(&fake.router(), "PUT", &path(&format!("&sha256={DIGITS}")), headers, "45").await;
        assert_eq!(read(response).await, error(416, "偏移量错误"));
    }
    let fake = Fake::refusing(refusal(Code::FailedPrecondition, "RESULT_REFUSED"));
    let response = send(&fake.router(), "PUT", &path(&format!("&sha256={DIGITS}")), &[], vec![0; 1_000_000]).await;
    assert_eq!(read(response).await, error(409, "转码结果被拒绝: in own words"));
}

#[tokio::test]
async fn result_that_has_its_place_already_is_answered_as_the_first_time() {
    let fake = taking().placed();
    let sha256 = format!("&sha256={DIGITS}");
    for body in [Vec::new(), vec![0; 10], vec![0; 3_000_000]] {
        let response = send(&fake.router(), "PUT", &path(&sha256), &[], body).await;
        assert_eq!(read(response).await, answer(200, STORED));
    }
    let response = send(&fake.router(), "PUT", &path(""), &["Content-Range: bytes 0-3/10"], "0123").await;
    assert_eq!(read(response).await, answer(200, STORED));
    assert!(fake.uploads().is_empty());
}

#[tokio::test]
async fn digest_alone_is_sent_of_a_result_that_is_there() {
    let sha256 = format!("&sha256={DIGITS}&extension=mkv");
    let at_the_end = format!("{sha256}&offset=10");
    for (query, headers, body) in [
        (&sha256, &[][..], "0123456789"),
        (&at_the_end, &[], ""),
        (&sha256, &["Content-Range: bytes 4-9/10"], "456789"),
    ] {
        let fake = taking();
        let router = fake.router();
        let response = send(&router, "PUT", &path(&sha256), &[], "0123456789").await;
        assert_eq!(read(response).await, answer(200, STORED));
        let response = send(&router, "PUT", &path(query), headers, body).await;
        assert_eq!(read(response).await, answer(200, STORED));
        let only = WriteResultRequest {
            task_id: UUID.to_owned(),
            lease_token: "t".to_owned(),
            worker_id: 1,
            extension: "mkv".to_owned(),
            offset: 10,
            sha256: digest(),
            ..WriteResultRequest::default()
        };
        assert_eq!(fake.uploads()[1..], [[only]], "{query} {headers:?}");
        // Another one is not taken for it.
        let response = send(&router, "PUT", &path(&sha256), &[], "0123").await;
        assert_eq!(read(response).await, error(416, "偏移量错误"));
    }
}

#[tokio::test]
async fn body_of_a_result_that_has_its_place_is_not_asked_for() {
    let body = Body::from_stream(poll_fn(|_| -> Poll<Option<Result<Bytes, std::io::Error>>> {
        panic!("the client holds the body back")
    }));
    let headers = ["Expect: 100-continue"];
    let path = path(&format!("&sha256={DIGITS}"));
    let response = send(&taking().placed().router(), "PUT", &path, &headers, body).await;
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(read(response).await, answer(200, STORED));
}

#[tokio::test]
async fn result_without_a_place_is_never_called_stored() {
    let nowhere =
        || Fake::default().answering(WriteResultResponse { size_bytes: 10, ..WriteResultResponse::default() });
    for fake in [nowhere(), nowhere().placed()] {
        let response = send(&fake.router(), "PUT", &path(&format!("&sha256={DIGITS}")), &[], "0123456789").await;
        assert_eq!(read(response).await, error(500, "服务器内部错误"));
    }
}

#[tokio::test]
async fn wrong_requests_are_refused_with_the_field() {
    let fake = taking();
    let sha256 = format!("&sha256={DIGITS}");
    for (query, headers, message, field) in [
        ("", &[][..], "参数不完整", "sha256"),
        ("", &["Content-Range: bytes 0-3/4"], "参数不完整", "sha256"),
        ("&sha256=00", &[], "参数类型错误", "sha256"),
        ("", &["X-Content-Sha256: é"], "参数类型错误", "sha256"),
        (&format!("{sha256}&offset=-1"), &[], "参数类型错误", "offset"),
        (&format!("{sha256}&offset=x"), &[], "参数类型错误", "offset"),
        (&sha256, &["Content-Range: bytes 3-2/4"], "参数类型错误", "content-range"),
        (&sha256, &["Content-Range: x"], "参数类型错误", "content-range"),
    ] {
        let response = send(&fake.router(), "PUT", &path(query), headers, "0123").await;
        assert_eq!(response.headers()["x-error-field"], field, "{query} {headers:?}");
        assert_eq!(read(response).await, error(400, message), "{query} {headers:?}");
    }
    let wrong = format!("/api/v1/stream/result/2?{sha256}");
    assert_eq!(ask(&fake.router(), "PUT", &wrong, "0123").await, error(404, "任务不存在"));
    assert!(fake.uploads().is_empty());
}

#[tokio::test]
async fn body_that_is_not_whole_is_never_finished() {
    let sha256 = format!("&sha256={DIGITS}");
    let broken = || {
        let frames = iter([Ok(Bytes::from_static(b"0123"))]);
        Body::from_stream(frames.chain(once(async { Err(std::io::Error::other("reset")) })))
    };
    for (headers, body) in [
        (&[][..], broken()),
        (&["Content-Range: bytes 0-9/10"], Body::from("0123")),
        (&["Content-Range: bytes 0-3/4"], Body::from("01234")),
        (&["Content-Range: bytes 0-3/10"], Body::from("01234")),
    ] {
        let fake = taking();
        let response = send(&fake.router(), "PUT", &path(&sha256), headers, body).await;
        assert_eq!(read(response).await, error(400, "请求体不完整"), "{headers:?}");
        assert!(fake.uploads().iter().flatten().all(|part| part.sha256.is_empty()));
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_is_read_than_the_service_takes() {
    let read = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&read);
    let frames = iter(0..1000).map(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::io::Error>(Bytes::from(vec![0; 256 * 1024]))
    });
    let router = taking().stalling().router();
    let path = path(&format!("&sha256={DIGITS}"));
    let request = send(&router, "PUT", &path, &[], Body::from_stream(frames));
    tokio::time::timeout(Duration::from_mins(1), request).await.unwrap_err();
    assert!(read.load(Ordering::Relaxed) <= 5, "{read:?}");
}

#[tokio::test(start_paused = true)]
async fn upload_that_brings_nothing_is_given_up() {
    let fake = taking();
    let body = Body::from_stream(pending::<Result<Bytes, std::io::Error>>());
    let response = send(&fake.router(), "PUT", &path(&format!("&sha256={DIGITS}")), &[], body).await;
    assert_eq!(read(response).await, error(408, "请求体传输超时"));
    assert!(fake.uploads().iter().flatten().all(|part| part.sha256.is_empty()));
}

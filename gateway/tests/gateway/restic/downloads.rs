//! `GET` of objects: ranges, and what becomes of a download that breaks off.

use bytes::Bytes;
use http_body_util::BodyExt;
use steward_proto::restic::v1::download_request::Range;
use steward_proto::restic::v1::download_response::Part;
use steward_proto::restic::v1::{DownloadStart, Object, OffsetRange};
use tonic::Status;

use super::fake::{Fake, Script};
use super::{NAME, ask, error, send};

const OCTETS: &str = "content-type: application/octet-stream\n";

fn start(first: i64, length: i64) -> Part {
    let object = Some(Object { size: 10, ..Object::default() });
    Part::Start(DownloadStart { object, first, length })
}

fn chunk(bytes: &'static str) -> Part {
    Part::Chunk(Bytes::from_static(bytes.as_bytes()))
}

fn sending(parts: Vec<Part>) -> Fake {
    Fake::new(Script { parts: parts.into_iter().map(Ok).collect(), ..Script::default() })
}

fn object() -> String {
    format!("/data/{NAME}")
}

#[tokio::test]
async fn whole_object_is_a_200() {
    for is_direct in [false, true] {
        let parts = [start(0, 10), chunk("0123"), chunk(""), chunk("456789")].map(Ok).to_vec();
        let router = Fake::new(Script { parts, is_direct, ..Script::default() }).alone();
        let expected = format!("200\naccept-ranges: bytes\ncontent-length: 10\n{OCTETS}\n0123456789");
        assert_eq!(ask(&router, "GET", &object(), &[]).await, expected);
    }
}

#[tokio::test]
async fn part_of_an_object_is_a_206() {
    let offsets = |first, last| Range::Offsets(OffsetRange { first, last });
    for (header, range, first, length, answered) in [
        ("bytes=0-", offsets(0, None), 0, 10, "0-9"),
        ("bytes=2-5", offsets(2, Some(5)), 2, 4, "2-5"),
        ("bytes=9-1500", offsets(9, Some(1500)), 9, 1, "9-9"),
        ("bytes=-3", Range::SuffixLength(3), 7, 3, "7-9"),
        ("bytes=-2000", Range::SuffixLength(2000), 0, 10, "0-9"),
        ("bytes=0-18446744073709551615", offsets(0, Some(i64::MAX)), 0, 10, "0-9"),
    ] {
        let bytes = &"0123456789"[usize::try_from(first).unwrap()..][..usize::try_from(length).unwrap()];
        let fake = sending(vec![start(first, length), chunk(bytes)]);
        let answer = ask(&fake.alone(), "GET", &object(), &[&format!("Range: {header}")]).await;
        let lengths = format!("content-length: {length}\ncontent-range: bytes {answered}/10\n");
        assert_eq!(answer, format!("206\naccept-ranges: bytes\n{lengths}{OCTETS}\n{bytes}"), "{header}");
        assert_eq!(fake.asked(|asked| asked.downloads[0].range), Some(range), "{header}");
    }
}

#[tokio::test]
async fn malformed_range_is_refused_before_anything_is_read() {
    let fake = sending(vec![start(0, 10), chunk("0123456789")]);
    let router = fake.alone();
    for range in ["bytes=5-3", "bytes=abc", "items=0-5", "bytes=-", "bytes=", "0-5", "bytes=0-1,5-6"] {
        let answer = ask(&router, "GET", &object(), &[&format!("Range: {range}")]).await;
        assert_eq!(answer, error(400, "Invalid Range header"), "{range}");
    }
    assert!(fake.asked(|asked| asked.downloads.is_empty()));
}

#[tokio::test]
async fn config_is_sent_whole_whatever_the_range() {
    for range in ["bytes=0-", "bytes=2-3", "nonsense"] {
        let fake = sending(vec![start(0, 10), chunk("0123456789")]);
        let answer = ask(&fake.alone(), "GET", "/config", &[&format!("Range: {range}")]).await;
        assert_eq!(answer, format!("200\ncontent-length: 10\n{OCTETS}\n0123456789"));
        assert_eq!(fake.asked(|asked| asked.downloads[0].range), None);
    }
}

#[tokio::test]
async fn answer_ends_with_its_last_byte() {
    for is_direct in [false, true] {
        let parts = [start(0, 10), chunk("0123456789")].map(Ok).to_vec();
        let router = Fake::new(Script { parts, is_direct, hangs: true, ..Script::default() }).alone();
        let body = send(&router, "GET", &object(), &[], "").await.into_body();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "0123456789");
    }
}

#[tokio::test]
async fn download_that_ends_early_goes_on_too_long_or_breaks_is_an_error() {
    for parts in [
        vec![Ok(start(0, 10))],
        vec![Ok(start(0, 10)), Ok(chunk("012345678"))],
        vec![Ok(start(0, 10)), Ok(chunk("0123456789x"))],
        vec![Ok(start(0, 10)), Ok(chunk("0")), Ok(start(0, 10))],
        vec![Ok(start(0, 10)), Ok(chunk("0")), Err(Status::unavailable("gone"))],
    ] {
        for is_direct in [false, true] {
            let fake = Fake::new(Script { parts: parts.clone(), is_direct, ..Script::default() });
            let response = send(&fake.alone(), "GET", &object(), &[], "").await;
            assert_eq!(response.status(), 200);
            response.into_body().collect().await.expect_err(&format!("{parts:?}"));
        }
    }
}

#[tokio::test]
async fn first_message_that_makes_no_sense_is_an_internal_error() {
    let sizeless = Part::Start(DownloadStart { object: None, first: 0, length: 10 });
    for (range, parts) in [
        (None, vec![]),
        (None, vec![chunk("0")]),
        (None, vec![sizeless]),
        (None, vec![start(0, 9)]),
        (None, vec![start(1, 9)]),
        (None, vec![start(-1, 10)]),
        (Some("Range: bytes=0-"), vec![start(1, 10)]),
        (Some("Range: bytes=0-"), vec![start(0, 0)]),
        (Some("Range: bytes=0-"), vec![start(0, i64::MAX)]),
    ] {
        let headers: Vec<&str> = range.into_iter().collect();
        let answer = ask(&sending(parts.clone()).alone(), "GET", &object(), &headers).await;
        assert_eq!(answer, error(500, "internal error"), "{parts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn download_that_does_not_start_times_out() {
    let router = Fake::new(Script { hangs: true, ..Script::default() }).alone();
    assert_eq!(ask(&router, "GET", &object(), &[]).await, error(504, "no answer in time"));
    assert_eq!(ask(&router, "GET", "/data/", &[]).await, error(504, "no answer in time"));
}

//! Lists: versions, framing, compression, and what becomes of one that breaks off.

use std::io::Read;

use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use steward_gateway::Options;
use tonic::{Code, Status};

use super::fake::{Fake, Script};
use super::{ask, error, refusal, send, written};

const V1: &str = "application/vnd.x.restic.rest.v1";
const V2: &str = "application/vnd.x.restic.rest.v2";

type Batch = Result<Vec<(String, i64)>, Status>;

fn listing(batches: Vec<Batch>) -> Fake {
    Fake::new(Script { batches, ..Script::default() })
}

fn name(number: usize) -> String {
    format!("{number:064x}")
}

fn batches(count: usize, size: usize) -> Vec<Batch> {
    (0..count).map(|batch| Ok((0..size).map(|entry| (name(batch * size + entry), 5)).collect())).collect()
}

fn json(count: usize) -> String {
    let entry = |number| format!(r#"{{"name":"{}","size":5}}"#, name(number));
    format!("[{}]", (0..count).map(entry).collect::<Vec<_>>().join(","))
}

fn whole(content_type: &str, body: &str) -> String {
    format!("200\ncontent-length: {}\ncontent-type: {content_type}\n\n{body}", body.len())
}

#[tokio::test]
async fn version_two_is_answered_unless_exactly_version_one_is_accepted() {
    let batches = vec![Ok(vec![(name(1), 0), (name(2), i64::MAX)]), Ok(vec![]), Ok(vec![(name(3), 7)])];
    let router = listing(batches).alone();
    let [one, two, three] = [1, 2, 3].map(name);
    let v2 = format!(
        r#"[{{"name":"{one}","size":0}},{{"name":"{two}","size":9223372036854775807}},{{"name":"{three}","size":7}}]"#
    );
    for headers in [
        &[][..],
        &["Accept: */*"],
        &["Accept: application/vnd.x.restic.rest.v2"],
        &["Accept: application/vnd.x.restic.rest.v1, application/vnd.x.restic.rest.v2"],
        &["Accept: application/vnd.x.restic.rest.v1;q=1"],
    ] {
        assert_eq!(ask(&router, "GET", "/data/", headers).await, whole(V2, &v2), "{headers:?}");
    }
    let v1 = format!(r#"["{one}","{two}","{three}"]"#);
    let accept = "Accept: application/vnd.x.restic.rest.v1";
    assert_eq!(ask(&router, "GET", "/data/", &[accept]).await, whole(V1, &v1));
}

#[tokio::test]
async fn empty_list_is_an_empty_array() {
    for batches in [vec![], vec![Ok(vec![])]] {
        let router = listing(batches).alone();
        assert_eq!(ask(&router, "GET", "/index/", &[]).await, whole(V2, "[]"));
        let accept = "Accept: application/vnd.x.restic.rest.v1";
        assert_eq!(ask(&router, "GET", "/index/", &[accept]).await, whole(V1, "[]"));
    }
}

#[tokio::test]
async fn odd_names_are_still_json() {
    let router = listing(vec![Ok(vec![("a\"\\\n".to_owned(), 1)])]).alone();
    assert_eq!(ask(&router, "GET", "/data/", &[]).await, whole(V2, r#"[{"name":"a\"\\\n","size":1}]"#));
}

#[tokio::test]
async fn long_list_is_streamed_in_frames() {
    let router = listing(batches(5, 2000)).alone();
    let response = send(&router, "GET", "/data/", &[], "").await;
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("content-length"));
    let mut body = response.into_body();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.unwrap().into_data().unwrap();
        assert!(frame.len() <= 65 * 1024, "{}", frame.len());
        whole.extend(frame);
    }
    assert_eq!(String::from_utf8(whole).unwrap(), json(10_000));
}

#[tokio::test]
async fn failure_before_the_first_frame_has_a_status() {
    let missing = refusal(Code::NotFound, "NOT_FOUND", "no such repository");
    for batches in [vec![Err(missing.clone())], vec![Ok(vec![(name(1), 1)]), Err(missing.clone())]] {
        let router = listing(batches).alone();
        assert_eq!(ask(&router, "GET", "/a/data/", &[]).await, error(404, "no such repository"));
    }
}

#[tokio::test]
async fn list_that_breaks_off_is_no_end() {
    let mut batches = batches(5, 2000);
    batches.push(Err(Status::unavailable("gone")));
    let fake = listing(batches);
    for (compress_lists, headers) in [(false, &[][..]), (true, &["Accept-Encoding: gzip"])] {
        let router = fake.alone_with(Options { compress_lists, ..Options::default() });
        let response = send(&router, "GET", "/data/", headers, "").await;
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap_err();
    }
}

#[tokio::test]
async fn long_list_is_compressed_when_both_sides_want_it() {
    let fake = listing(batches(5, 2000));
    let compressing = fake.alone_with(Options { compress_lists: true, ..Options::default() });
    for offer in ["gzip", "deflate, GZIP;q=0.5", "gzip ; q=1.0", "br;q=1, gzip"] {
        let response = send(&compressing, "GET", "/data/", &[&format!("Accept-Encoding: {offer}")], "").await;
        assert_eq!(response.headers()["content-encoding"], "gzip", "{offer}");
        assert_eq!(response.headers()["content-type"], V2);
        assert_eq!(response.headers()["vary"], "accept-encoding");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.len() < json(10_000).len() / 2);
        let mut text = String::new();
        GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, json(10_000), "{offer}");
    }
    for headers in
        [&[][..], &["Accept-Encoding: gzip;q=0"], &["Accept-Encoding: gzip; q=0.000"], &["Accept-Encoding: br"]]
    {
        let answer = written(send(&compressing, "GET", "/data/", headers, "").await).await;
        assert_eq!(
            answer,
            format!("200\ncontent-type: {V2}\nvary: accept-encoding\n\n{}", json(10_000)),
            "{headers:?}"
        );
    }
    let answer = ask(&fake.alone(), "GET", "/data/", &["Accept-Encoding: gzip"]).await;
    assert_eq!(answer, format!("200\ncontent-type: {V2}\n\n{}", json(10_000)));
}

#[tokio::test]
async fn short_list_is_never_compressed() {
    let fake = listing(batches(1, 2));
    let router = fake.alone_with(Options { compress_lists: true, ..Options::default() });
    let body = json(2);
    let expected = format!("200\ncontent-length: {}\ncontent-type: {V2}\nvary: accept-encoding\n\n{body}", body.len());
    assert_eq!(ask(&router, "GET", "/data/", &["Accept-Encoding: gzip"]).await, expected);
}

//! Generic files as they are stored, read and deleted.

use std::collections::HashMap;

use axum::Router;
use bytes::Bytes;
use prost_types::{Duration, Timestamp};
use steward_gateway::ArtifactOptions;
use steward_proto::artifact::v1::download_blob_response::Part;
use steward_proto::artifact::v1::{
    DeleteFileRequest, DownloadBlobRequest, DownloadStart, File, FileStart, FileTarget, GetFileRequest,
    GetFileResponse, ImageName, PutFileResponse,
};
use tonic::{Code, Status};

use super::fake::{Fake, Received};
use crate::restic::{ask, refusal, refusal_with, send, written};

pub(super) const PATH: &str = "/generic/p1/gen/dir/a%20b.txt";
pub(super) const ID: &str = "x-request-id: 01234567-89ab-cdef-0123-456789abcdef";
const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn file(size: i64) -> File {
    let time = |seconds, nanos| Some(Timestamp { seconds, nanos });
    File {
        project: "p1".to_owned(),
        repository: "gen".to_owned(),
        path: "/dir/a b.txt".to_owned(),
        size,
        sha256: HEX.to_owned(),
        md5: HEX[..32].to_owned(),
        crc64ecma: "123".to_owned(),
        metadata: HashMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]),
        created_by: "me".to_owned(),
        create_time: time(1_661_251_519, 790_000_000),
        modified_by: "you".to_owned(),
        modify_time: time(1_661_251_520, 0),
        ..File::default()
    }
}

/// A service with a file of these bytes.
fn fake(content: &'static str) -> Fake {
    let size = i64::try_from(content.len()).unwrap();
    Fake::default()
        .answering(GetFileResponse { file: Some(file(size)) })
        .answering(PutFileResponse { file: Some(file(size)) })
        .sending(sent(size, 0, content))
}

fn sent(size: i64, offset: i64, content: &'static str) -> Vec<Result<Part, Status>> {
    let length = i64::try_from(content.len()).unwrap();
    let start = Part::Start(DownloadStart { size, offset, length });
    vec![Ok(start), Ok(Part::Chunk(Bytes::from_static(content.as_bytes())))]
}

/// An answer; `headers` without those that all have.
pub(super) fn answer(status: u16, headers: &[&str], body: &str) -> String {
    let mut headers: Vec<String> = headers.iter().map(|header| format!("{header}\n")).collect();
    headers.push("x-bkrepo-rid: 0123456789abcdef0123456789abcdef\n".to_owned());
    headers.push("x-bkrepo-time-zone: +00:00\n".to_owned());
    headers.sort();
    format!("{status}\n{}\n{body}", headers.concat())
}

/// An answer with an envelope.
pub(super) fn envelope(status: u16, code: u32, message: &str, data: &str, headers: &[&str]) -> String {
    let message = if message.is_empty() { "null".to_owned() } else { format!("\"{message}\"") };
    let body = format!(
        "{{\n  \"code\" : {code},\n  \"message\" : {message},\n  \"data\" : {data},\n  \"traceId\" : {}\n}}",
        "\"0123456789abcdef0123456789abcdef\"",
    );
    let length = format!("content-length: {}", body.len());
    answer(status, &[&[length.as_str(), "content-type: application/json"], headers].concat(), &body)
}

pub(super) async fn ask_file(router: &Router, method: &str, path: &str, headers: &[&str]) -> String {
    ask(router, method, path, &[&[ID], headers].concat()).await
}

async fn put(router: &Router, headers: &[&str], body: &'static str) -> String {
    written(send(router, "PUT", PATH, &[&[ID], headers].concat(), body).await).await
}

const CHECKSUMS: [&str; 3] = [
    "x-checksum-crc64ecma: 123",
    "x-checksum-md5: 0123456789abcdef0123456789abcdef",
    "x-checksum-sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
];

fn identifying() -> Vec<String> {
    let mut headers = CHECKSUMS.map(str::to_owned).to_vec();
    headers.push(format!("etag: \"{HEX}\""));
    headers.push("last-modified: Tue, 23 Aug 2022 10:45:20 GMT".to_owned());
    headers
}

fn read(status: u16, length: usize, further: &[&str], body: &str) -> String {
    let mut headers = identifying();
    headers.push("accept-ranges: bytes".to_owned());
    headers.push(format!("content-length: {length}"));
    headers.push("content-type: application/octet-stream".to_owned());
    let headers: Vec<&str> = headers.iter().map(String::as_str).chain(further.iter().copied()).collect();
    answer(status, &headers, body)
}

#[tokio::test]
async fn stored_file_is_answered_as_a_node() {
    let node = concat!(
        "{\n    \"createdBy\" : \"me\",\n    \"createdDate\" : \"2022-08-23T10:45:19.79\",\n",
        "    \"lastModifiedBy\" : \"you\",\n    \"lastModifiedDate\" : \"2022-08-23T10:45:20\",\n",
        "    \"folder\" : false,\n    \"path\" : \"/dir/\",\n    \"name\" : \"a b.txt\",\n",
        "    \"fullPath\" : \"/dir/a b.txt\",\n    \"size\" : 5,\n",
        "    \"sha256\" : \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\n",
        "    \"md5\" : \"0123456789abcdef0123456789abcdef\",\n",
        "    \"crc64ecma\" : \"123\",\n",
        "    \"metadata\" : {\n      \"a\" : \"1\",\n      \"b\" : \"2\"\n    },\n",
        "    \"projectId\" : \"p1\",\n    \"repoName\" : \"gen\",\n    \"expireDate\" : null\n  }",
    );
    for is_direct in [false, true] {
        let fake = self::fake("hello").directly(is_direct);
        assert_eq!(put(&fake.router(), &[], "hello").await, envelope(200, 0, "", node, &CHECKSUMS));
        let target = FileTarget {
            project: "p1".to_owned(),
            repository: "gen".to_owned(),
            path: "/dir/a b.txt".to_owned(),
            ..FileTarget::default()
        };
        let start = FileStart { target: Some(target), ..FileStart::default() };
        fake.expect(&[Received { start: Some(start), content: b"hello".to_vec(), finish: Some(5) }]);
    }
}

#[tokio::test]
async fn headers_say_what_is_expected_of_a_file_and_what_is_known_of_it() {
    let fake = self::fake("hello");
    let upper = HEX.to_uppercase();
    let headers = [
        "Content-Length: 5",
        &format!("X-BKREPO-SHA256: {upper}"),
        &format!("X-BKREPO-MD5: {}", &upper[..32]),
        "X-BKREPO-OVERWRITE: True",
        "X-BKREPO-EXPIRES: 7",
        "X-BKREPO-META-Key: v%20w",
        "X-BKREPO-META: SzE9djEmazI9YSUzRGI=",
    ];
    put(&fake.router(), &headers, "hello").await;
    let start = fake.asked::<Received<FileStart>>()[0].start.clone().unwrap();
    let target = start.target.unwrap();
    assert_eq!((start.sha256.as_str(), start.md5.as_str(), start.size), (HEX, &HEX[..32], 5));
    assert!(target.overwrite);
    assert_eq!(target.ttl, Some(Duration { seconds: 7 * 86400, nanos: 0 }));
    let pairs = [("key", "v w"), ("k1", "v1"), ("k2", "a=b")];
    assert_eq!(target.metadata, pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
}

#[tokio::test]
async fn headers_that_make_no_sense_are_refused_before_anything_is_sent() {
    let fake = self::fake("hello");
    for (header, name) in [
        ("X-BKREPO-OVERWRITE: maybe", "X-BKREPO-OVERWRITE"),
        ("X-BKREPO-EXPIRES: soon", "X-BKREPO-EXPIRES"),
        ("X-BKREPO-EXPIRES: -1", "X-BKREPO-EXPIRES"),
        ("X-BKREPO-EXPIRES: 99999999999", "X-BKREPO-EXPIRES"),
        ("X-BKREPO-META: !", "X-BKREPO-META"),
        ("If-None-Match: \"x\"", "If-None-Match"),
        ("If-Match: *", "If-Match"),
        ("If-Match: W/\"x\"", "If-Match"),
    ] {
        let expected = envelope(400, 250_105, &format!("Parameter [{name}] is invalid"), "null", &[]);
        assert_eq!(put(&fake.router(), &[header], "hello").await, expected, "{header}");
    }
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn file_is_stored_and_deleted_only_if_what_the_client_knows_still_holds() {
    let fake = self::fake("hello");
    let known = format!("If-Match: \"{HEX}\"");
    put(&fake.router(), &["If-None-Match: *", "X-BKREPO-OVERWRITE: true"], "hello").await;
    put(&fake.router(), &[&known], "hello").await;
    let asked = fake.asked::<Received<FileStart>>().into_iter();
    let targets: Vec<FileTarget> = asked.filter_map(|received| received.start?.target).collect();
    assert_eq!(targets.iter().map(|target| target.overwrite).collect::<Vec<_>>(), [false, false]);
    assert_eq!(targets.iter().map(|target| target.only_if_sha256.as_str()).collect::<Vec<_>>(), ["", HEX]);

    for (header, code, reason, status, told, message) in [
        ("If-None-Match: *", Code::AlreadyExists, "FILE_EXISTS", 412, 251_012, "Node [x] existed"),
        (&known, Code::FailedPrecondition, "FILE_CONFLICT", 412, 251_013, "Node [x] conflict"),
        ("X-Other: *", Code::AlreadyExists, "FILE_EXISTS", 400, 251_012, "Node [x] existed"),
    ] {
        let refused = Fake::default().refusing("*", refusal_with(code, reason, "secret", &[("arg", "x")]));
        let expected = envelope(status, told, message, "null", &[]);
        assert_eq!(put(&refused.router(), &[header], "hello").await, expected, "{header}");
    }

    ask_file(&fake.router(), "DELETE", PATH, &[&known]).await;
    let deleted = fake.asked::<DeleteFileRequest>();
    assert_eq!((deleted[0].only_if_sha256.as_str(), deleted[0].folder), (HEX, false));
    let expected = envelope(400, 250_105, "Parameter [If-None-Match] is invalid", "null", &[]);
    assert_eq!(ask_file(&fake.router(), "DELETE", PATH, &["If-None-Match: *"]).await, expected);
}

#[tokio::test]
async fn file_is_read_whole() {
    for is_direct in [false, true] {
        let fake = self::fake("hello").directly(is_direct);
        assert_eq!(ask_file(&fake.router(), "GET", PATH, &[]).await, read(200, 5, &[], "hello"));
        let name = ["p1", "gen", "/dir/a b.txt"].map(str::to_owned);
        let [project, repository, path] = name;
        let get = GetFileRequest { project: project.clone(), repository: repository.clone(), path: path.clone() };
        fake.expect(&[get]);
        let name = Some(ImageName { project, repository, image: String::new() });
        let digest = format!("sha256:{HEX}");
        fake.expect(&[DownloadBlobRequest { name, digest, offset: None, length: None, path }]);
    }
    assert_eq!(ask_file(&self::fake("").router(), "GET", PATH, &[]).await, read(200, 0, &[], ""));
    assert_eq!(ask_file(&self::fake("hello").router(), "HEAD", PATH, &[]).await, read(200, 5, &[], ""));
}

#[tokio::test]
async fn part_of_a_file_is_read() {
    for (header, offset, length) in [
        ("bytes=1-3", 1, Some(3)),
        ("bytes=1-", 1, None),
        ("bytes=-3", -3, None),
        ("bytes=-100", 0, None),
        ("bytes=4-100", 4, Some(97)),
    ] {
        let fake = self::fake("hello").sending(sent(5, 1, "ell"));
        let answer = ask_file(&fake.router(), "GET", PATH, &[&format!("Range: {header}")]).await;
        assert_eq!(answer, read(206, 3, &["content-range: bytes 1-3/5"], "ell"), "{header}");
        let asked = &fake.asked::<DownloadBlobRequest>()[0];
        assert_eq!((asked.offset, asked.length), (Some(offset), length), "{header}");
    }
    for header in ["bytes=5-", "bytes=3-1", "bytes=-0", "bytes=0-1,3-4", "x"] {
        let fake = self::fake("hello");
        let answer = ask_file(&fake.router(), "GET", PATH, &[&format!("Range: {header}")]).await;
        let expected = "Parameter [Range] is invalid";
        assert_eq!(answer, envelope(416, 250_105, expected, "null", &["content-range: bytes */5"]), "{header}");
    }
    // A part of something else is not what the client has the other part of.
    let (same, other) = (format!("If-Range: \"{HEX}\""), "If-Range: \"x\"");
    let fake = self::fake("hello");
    assert_eq!(ask_file(&fake.router(), "GET", PATH, &["Range: bytes=1-3", other]).await, read(200, 5, &[], "hello"));
    let fake = fake.sending(sent(5, 1, "ell"));
    let part = ask_file(&fake.router(), "GET", PATH, &["Range: bytes=1-3", &same]).await;
    assert_eq!(part, read(206, 3, &["content-range: bytes 1-3/5"], "ell"));
}

#[tokio::test]
async fn file_that_the_client_has_is_not_sent_again() {
    let router = self::fake("hello").router();
    let headers = identifying();
    let headers: Vec<&str> = headers.iter().map(String::as_str).chain(["content-length: 0"]).collect();
    let expected = answer(304, &headers, "");
    for header in [format!("If-None-Match: \"{HEX}\""), "If-None-Match: *".to_owned()] {
        for method in ["GET", "HEAD"] {
            assert_eq!(ask_file(&router, method, PATH, &[&header]).await, expected, "{method} {header}");
        }
    }
}

#[tokio::test]
async fn browser_saves_a_file_under_its_name() {
    let path = "/generic/p1/gen/dir/%E4%B8%AD%20b.txt?download=true";
    let answer = ask_file(&self::fake("hello").router(), "GET", path, &[]).await;
    let disposition = "content-disposition: attachment; filename=\"__b.txt\"; filename*=UTF-8''%E4%B8%AD%20b.txt";
    assert_eq!(answer, read(200, 5, &[disposition], "hello"));
}

#[tokio::test]
async fn folder_is_not_read() {
    let folder = File { folder: true, ..file(0) };
    let fake = Fake::default().answering(GetFileResponse { file: Some(folder) });
    let expected = envelope(404, 251_010, "Node [/dir/a b.txt] not found", "null", &[]);
    assert_eq!(ask_file(&fake.router(), "GET", PATH, &[]).await, expected);
}

#[tokio::test]
async fn file_that_is_replaced_while_it_is_opened_is_looked_up_again() {
    let gone = refusal(Code::NotFound, "BLOB_NOT_FOUND", "gone");
    let fake = self::fake("hello").refusing("download_blob", gone);
    let expected = envelope(404, 251_010, "Node [/dir/a b.txt] not found", "null", &[]);
    assert_eq!(ask_file(&fake.router(), "GET", PATH, &[]).await, expected);
    assert_eq!(fake.calls(), ["get_file", "download_blob", "get_file", "download_blob"]);
}

#[tokio::test]
async fn file_or_folder_is_deleted() {
    let fake = Fake::default();
    assert_eq!(ask_file(&fake.router(), "DELETE", PATH, &[]).await, envelope(200, 0, "", "null", &[]));
    fake.expect(&[DeleteFileRequest {
        project: "p1".to_owned(),
        repository: "gen".to_owned(),
        path: "/dir/a b.txt".to_owned(),
        folder: true,
        ..DeleteFileRequest::default()
    }]);
}

#[tokio::test]
async fn times_are_those_of_the_servers_zone() {
    let time_zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    let router = self::fake("hello").router_with(ArtifactOptions { time_zone, ..ArtifactOptions::default() });
    let answer = put(&router, &[], "hello").await;
    assert!(answer.contains("\"createdDate\" : \"2022-08-23T18:45:19.79\""), "{answer}");
}

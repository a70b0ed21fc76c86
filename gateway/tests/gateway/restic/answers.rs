//! What every refusal of the service becomes, whatever was asked.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::fake::{Fake, Script};
use super::{NAME, ask, empty, error, error_with, refusal, refusal_with};

const CHALLENGE: &str = "www-authenticate: Basic realm=\"steward\", charset=\"UTF-8\"\n";
const UNSATISFIABLE: &str = "416\naccept-ranges: bytes\ncontent-length: 0\ncontent-range: bytes */1000\n\n";

async fn expect(status: Status, expected: &str) {
    let router = Fake::refusing(status.clone()).alone();
    let object = format!("/data/{NAME}");
    for (method, path) in
        [("GET", object.as_str()), ("POST", &object), ("DELETE", &object), ("GET", "/data/"), ("POST", "/?create=true")]
    {
        assert_eq!(ask(&router, method, path, &[]).await, expected, "{method} {path} {status:?}");
    }
}

#[tokio::test]
async fn reasons_decide_on_the_status_and_their_words_are_told() {
    for (code, reason, expected) in [
        (Code::NotFound, "NOT_FOUND", 404),
        (Code::AlreadyExists, "OBJECT_EXISTS", 403),
        (Code::InvalidArgument, "CONTENT_MISMATCH", 400),
        (Code::InvalidArgument, "INVALID_ARGUMENT", 400),
        (Code::InvalidArgument, "INVALID_RANGE", 400),
        (Code::InvalidArgument, "UPLOAD_BROKEN_OFF", 400),
        (Code::ResourceExhausted, "OBJECT_TOO_LARGE", 413),
        (Code::ResourceExhausted, "QUOTA_EXCEEDED", 507),
        (Code::ResourceExhausted, "DISK_FULL", 507),
        (Code::PermissionDenied, "FORBIDDEN", 403),
        (Code::PermissionDenied, "APPEND_ONLY", 403),
        (Code::PermissionDenied, "TOO_YOUNG", 403),
        (Code::Unimplemented, "UNIMPLEMENTED", 501),
    ] {
        expect(refusal(code, reason, "the service's words"), &error(expected, "the service's words")).await;
    }
}

#[tokio::test]
async fn some_refusals_say_what_to_do_next() {
    let unauthenticated = refusal(Code::Unauthenticated, "UNAUTHENTICATED", "wrong password");
    expect(unauthenticated, &error_with(401, "", "wrong password", CHALLENGE)).await;

    let attempts = refusal(Code::ResourceExhausted, "TOO_MANY_ATTEMPTS", "try later");
    expect(attempts, &error_with(429, "", "try later", "retry-after: 10\n")).await;

    let mut details = ErrorDetails::with_error_info("TOO_MANY_ATTEMPTS", "steward", HashMap::new());
    details.set_retry_info(Some(Duration::from_millis(29_001)));
    let attempts = Status::with_error_details(Code::ResourceExhausted, "try later", details);
    expect(attempts, &error_with(429, "", "try later", "retry-after: 30\n")).await;

    let busy = refusal(Code::Unavailable, "BUSY", "secret");
    expect(busy, &error_with(503, "", "temporarily unavailable", "retry-after: 1\n")).await;

    let range = refusal_with(Code::OutOfRange, "RANGE_NOT_SATISFIABLE", "secret", &[("size", "1000")]);
    expect(range, UNSATISFIABLE).await;
}

#[tokio::test]
async fn failures_without_a_reason_of_ours_tell_nothing() {
    for (status, expected) in [
        (Status::not_found("secret"), error(404, "not found")),
        (refusal(Code::NotFound, "NOT_FOUND", ""), error(404, "not found")),
        (Status::permission_denied("secret"), error(403, "forbidden")),
        (Status::unauthenticated("secret"), error_with(401, "", "unauthorized", CHALLENGE)),
        (Status::invalid_argument("secret"), error(400, "bad request")),
        (Status::resource_exhausted("secret"), error_with(429, "", "too many requests", "retry-after: 1\n")),
        (Status::unimplemented("secret"), error(501, "not implemented")),
        (Status::unavailable("secret"), error_with(503, "", "temporarily unavailable", "retry-after: 1\n")),
        (Status::deadline_exceeded("secret"), error(504, "no answer in time")),
        (Status::cancelled("Timeout expired"), error(504, "no answer in time")),
        (Status::cancelled("secret"), error(500, "internal error")),
        (Status::out_of_range("secret"), error(500, "internal error")),
        (Status::aborted("secret"), error(500, "internal error")),
        (Status::data_loss("secret"), error(500, "internal error")),
        (Status::internal("secret"), error(500, "internal error")),
        (Status::unknown("secret"), error(500, "internal error")),
        (refusal(Code::Internal, "WHATEVER", "secret"), error(500, "internal error")),
        (refusal(Code::OutOfRange, "REVISION_COMPACTED", "secret"), error(500, "internal error")),
    ] {
        expect(status, &expected).await;
    }
}

#[tokio::test]
async fn head_tells_the_size_whatever_range_is_asked_for() {
    let router = Fake::new(Script::default()).alone();
    let octets = "content-length: 1000\ncontent-type: application/octet-stream\n";
    for headers in [&[][..], &["Range: bytes=0-9"], &["Range: nonsense"]] {
        assert_eq!(ask(&router, "HEAD", "/config", headers).await, format!("200\n{octets}\n"));
        let answer = ask(&router, "HEAD", &format!("/data/{NAME}"), headers).await;
        assert_eq!(answer, format!("200\naccept-ranges: bytes\n{octets}\n"));
    }
    let missing = Fake::refusing(refusal(Code::NotFound, "NOT_FOUND", "no such object")).alone();
    let answer = ask(&missing, "HEAD", "/config", &[]).await;
    assert_eq!(answer, "404\ncontent-length: 26\ncontent-type: application/json\n\n");
}

#[tokio::test]
async fn empty_object_has_a_length_too() {
    let router = Fake::new(Script { size: 0, ..Script::default() }).alone();
    let answer = ask(&router, "HEAD", "/config", &[]).await;
    assert_eq!(answer, "200\ncontent-length: 0\ncontent-type: application/octet-stream\n\n");
}

#[tokio::test]
async fn deletion_is_an_empty_200() {
    let router = Fake::new(Script::default()).alone();
    for path in ["/config", &format!("/locks/{NAME}"), &format!("/a/data/{NAME}")] {
        assert_eq!(ask(&router, "DELETE", path, &[]).await, empty(200), "{path}");
    }
}

#[tokio::test]
async fn credentials_are_not_looked_at_here() {
    let router = Fake::new(Script::default()).alone();
    assert_eq!(ask(&router, "DELETE", "/config", &["Authorization: Basic Og=="]).await, empty(200));
}

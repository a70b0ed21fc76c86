//! The base of the registry, names that are none, and what every refusal of the service becomes.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::fake::Fake;
use super::{SHA256, answer, error, error_with};
use crate::restic::{ask, refusal, refusal_with, send, written};

const CHALLENGE: &str = "www-authenticate: Basic realm=\"steward\", charset=\"UTF-8\"";

#[tokio::test]
async fn base_tells_that_this_is_a_registry() {
    let fake = Fake::default();
    let base = answer(200, &["content-length: 2", "content-type: application/json"], "{}");
    for path in ["/v2/", "/v2"] {
        assert_eq!(ask(&fake.router(), "GET", path, &[]).await, base);
        assert_eq!(ask(&fake.router(), "HEAD", path, &[]).await, base.trim_end_matches("{}"));
    }
    // Only the server knows whether it asks who callers are.
    assert!(fake.calls().iter().all(|call| *call == "get_caller"), "{:?}", fake.calls());
    let asking = || {
        let status = refusal(Code::Unauthenticated, "UNAUTHENTICATED", "who are you");
        Fake::default().refusing("get_caller", status)
    };
    let fake = asking();
    assert_eq!(ask(&fake.router(), "GET", "/v2/", &["authorization: Basic YTpi"]).await, base);
    assert_eq!(fake.calls(), ["list_images"]);
    // Others are asked, whatever strangers may see.
    let stranger = error_with(401, "UNAUTHORIZED", "who are you", &[CHALLENGE]);
    assert_eq!(ask(&asking().router(), "GET", "/v2/", &[]).await, stranger);
    let host = ["host: images.example:5000", "x-forwarded-proto: https"];
    let told = "www-authenticate: Bearer realm=\"https://images.example:5000/v2/auth\",service=\"steward\"";
    let stranger = error_with(401, "UNAUTHORIZED", "who are you", &[told]);
    assert_eq!(ask(&asking().router(), "GET", "/v2/", &host).await, stranger);
    let bound = Fake::default().refusing("list_images", refusal(Code::PermissionDenied, "FORBIDDEN", "no"));
    assert_eq!(ask(&bound.router(), "GET", "/v2/", &["authorization: Basic YTpi"]).await, base);
}

#[tokio::test]
async fn names_have_three_components_at_least() {
    let fake = Fake::default();
    let short = "names are {project}/{repository}/{image} here: this one has fewer components";
    let bad = "name is not one of the specification, or longer than 255 bytes";
    let nothing = "there is no such path in the protocol";
    for (method, path, expected) in [
        ("GET", "/v2/nginx/tags/list", error(404, "NAME_UNKNOWN", short)),
        ("POST", "/v2/library/nginx/blobs/uploads/", error(404, "NAME_UNKNOWN", short)),
        ("GET", "/v2/p1/img/Nginx/tags/list", error(400, "NAME_INVALID", bad)),
        ("GET", "/v2/p1/img//tags/list", error(400, "NAME_INVALID", bad)),
        ("GET", "/v2/p1/img/nginx", error(404, "UNSUPPORTED", nothing)),
    ] {
        assert_eq!(ask(&fake.router(), method, path, &[]).await, expected, "{method} {path}");
    }
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn other_methods_are_refused_with_those_that_are_allowed() {
    let fake = Fake::default();
    for (path, allow, refused) in [
        ("/v2/", "GET, HEAD", &["POST", "PUT", "DELETE", "PATCH"][..]),
        ("/v2/_catalog", "GET, HEAD", &["POST"]),
        ("/v2/p1/img/a/tags/list", "GET, HEAD", &["POST", "DELETE"]),
        (&format!("/v2/p1/img/a/referrers/{SHA256}"), "GET, HEAD", &["PUT"]),
        ("/v2/p1/img/a/manifests/x", "GET, HEAD, PUT, DELETE", &["POST", "PATCH"]),
        (&format!("/v2/p1/img/a/blobs/{SHA256}"), "GET, HEAD, DELETE", &["POST", "PUT", "PATCH"]),
        ("/v2/p1/img/a/blobs/uploads/", "POST", &["GET", "PUT", "DELETE"]),
        ("/v2/p1/img/a/blobs/uploads/x", "GET, HEAD, PATCH, PUT, DELETE", &["POST"]),
    ] {
        let expected = error_with(405, "UNSUPPORTED", "the operation is unsupported", &[&format!("allow: {allow}")]);
        for method in refused {
            assert_eq!(ask(&fake.router(), method, path, &[]).await, expected, "{method} {path}");
        }
    }
    assert!(fake.calls().is_empty());
}

async fn expect(status: Status, expected: &str) {
    let router = Fake::default().refusing("*", status.clone()).router();
    for (method, path) in [
        ("GET", "/v2/p1/img/a/manifests/x"),
        ("DELETE", "/v2/p1/img/a/manifests/x"),
        ("PUT", "/v2/p1/img/a/manifests/x"),
        ("GET", &format!("/v2/p1/img/a/blobs/{SHA256}")),
        ("GET", "/v2/p1/img/a/tags/list"),
        ("POST", "/v2/p1/img/a/blobs/uploads/"),
        ("PATCH", "/v2/p1/img/a/blobs/uploads/x"),
    ] {
        assert_eq!(ask(&router, method, path, &[]).await, expected, "{method} {path} {status:?}");
    }
}

#[tokio::test]
async fn reasons_decide_on_status_and_code_and_their_words_are_told() {
    for (code, reason, status, told) in [
        (Code::NotFound, "PROJECT_NOT_FOUND", 404, "NAME_UNKNOWN"),
        (Code::NotFound, "REPOSITORY_NOT_FOUND", 404, "NAME_UNKNOWN"),
        (Code::NotFound, "IMAGE_NOT_FOUND", 404, "NAME_UNKNOWN"),
        (Code::NotFound, "MANIFEST_NOT_FOUND", 404, "MANIFEST_UNKNOWN"),
        (Code::NotFound, "BLOB_NOT_FOUND", 404, "BLOB_UNKNOWN"),
        (Code::NotFound, "UPLOAD_NOT_FOUND", 404, "BLOB_UPLOAD_UNKNOWN"),
        (Code::FailedPrecondition, "WRONG_REPOSITORY_TYPE", 404, "NAME_UNKNOWN"),
        (Code::FailedPrecondition, "TAG_CONFLICT", 409, "DENIED"),
        (Code::InvalidArgument, "DIGEST_MISMATCH", 400, "DIGEST_INVALID"),
        (Code::InvalidArgument, "MANIFEST_INVALID", 400, "MANIFEST_INVALID"),
        (Code::InvalidArgument, "UPLOAD_BROKEN_OFF", 400, "BLOB_UPLOAD_INVALID"),
        (Code::InvalidArgument, "INVALID_RANGE", 416, "SIZE_INVALID"),
        (Code::ResourceExhausted, "TOO_LARGE", 413, "SIZE_INVALID"),
        (Code::ResourceExhausted, "DISK_FULL", 507, "UNKNOWN"),
        (Code::PermissionDenied, "FORBIDDEN", 403, "DENIED"),
        (Code::Unimplemented, "UNIMPLEMENTED", 501, "UNSUPPORTED"),
    ] {
        let expected = error(status, told, "the service's words");
        expect(refusal(code, reason, "the service's words"), &expected).await;
    }
    for (field, told) in [
        ("name.image", "NAME_INVALID"),
        ("digest", "DIGEST_INVALID"),
        ("upload_id", "BLOB_UPLOAD_INVALID"),
        ("media_type", "MANIFEST_INVALID"),
        ("page_size", "UNSUPPORTED"),
    ] {
        let mut details = ErrorDetails::with_error_info("INVALID_ARGUMENT", "steward", HashMap::new());
        details.add_bad_request_violation(field, "is wrong");
        let status = Status::with_error_details(Code::InvalidArgument, "is wrong", details);
        expect(status, &error(400, told, "is wrong")).await;
    }
}

#[tokio::test]
async fn some_refusals_say_what_to_do_next() {
    let unauthenticated = refusal(Code::Unauthenticated, "UNAUTHENTICATED", "wrong password");
    expect(unauthenticated, &error_with(401, "UNAUTHORIZED", "wrong password", &[CHALLENGE])).await;

    let busy = refusal(Code::Unavailable, "BUSY", "secret");
    expect(busy, &error_with(503, "UNAVAILABLE", "temporarily unavailable", &["retry-after: 1"])).await;

    let many = refusal(Code::ResourceExhausted, "TOO_MANY_UPLOADS", "later");
    expect(many, &error_with(429, "TOOMANYREQUESTS", "later", &["retry-after: 1"])).await;
    let mut details = ErrorDetails::with_error_info("TOO_MANY_ATTEMPTS", "steward", HashMap::new());
    details.set_retry_info(Some(Duration::from_millis(29_001)));
    let many = Status::with_error_details(Code::ResourceExhausted, "later", details);
    expect(many, &error_with(429, "TOOMANYREQUESTS", "later", &["retry-after: 30"])).await;

    let unknown = refusal_with(Code::InvalidArgument, "MANIFEST_BLOB_UNKNOWN", "no blob", &[("digest", SHA256)]);
    let body = format!(r#"{{"errors":[{{"code":"MANIFEST_BLOB_UNKNOWN","message":"no blob","detail":"{SHA256}"}}]}}"#);
    let length = format!("content-length: {}", body.len());
    expect(unknown, &answer(400, &[&length, "content-type: application/json"], &body)).await;
}

#[tokio::test]
async fn a_manifest_that_is_damaged_is_none_for_who_asks_whether_it_has_to_be_pushed() {
    let damaged = refusal(Code::DataLoss, "DATA_DAMAGED", "secret");
    let router = Fake::default().refusing("*", damaged).router();
    let path = "/v2/p1/img/nginx/manifests/1.1";
    let expected = error(404, "MANIFEST_UNKNOWN", "manifest 1.1 is damaged");
    let (head, _) = expected.split_once('{').unwrap();
    assert_eq!(ask(&router, "HEAD", path, &[]).await.split('{').next(), Some(head));
    assert_eq!(ask(&router, "GET", path, &[]).await, error(500, "UNKNOWN", "internal error"));
}

#[tokio::test]
async fn failures_without_a_reason_of_ours_tell_nothing() {
    for (status, expected) in [
        (Status::not_found("secret"), error(404, "NAME_UNKNOWN", "not found")),
        (Status::permission_denied("secret"), error(403, "DENIED", "forbidden")),
        (Status::unauthenticated("secret"), error_with(401, "UNAUTHORIZED", "unauthorized", &[CHALLENGE])),
        (Status::invalid_argument("secret"), error(400, "UNSUPPORTED", "bad request")),
        (Status::deadline_exceeded("secret"), error(504, "UNAVAILABLE", "no answer in time")),
        (Status::cancelled("Timeout expired"), error(504, "UNAVAILABLE", "no answer in time")),
        (Status::internal("secret"), error(500, "UNKNOWN", "internal error")),
        (Status::data_loss("secret"), error(500, "UNKNOWN", "internal error")),
        (refusal(Code::DataLoss, "DATA_DAMAGED", "secret"), error(500, "UNKNOWN", "internal error")),
        (refusal(Code::Internal, "WHATEVER", "secret"), error(500, "UNKNOWN", "internal error")),
    ] {
        expect(status, &expected).await;
    }
}

#[tokio::test]
async fn long_body_that_nobody_wants_closes_the_connection() {
    let router = Fake::default().router();
    let length = format!("Content-Length: {}", 2_u64 << 30);
    let body = axum::body::Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
    let response = send(&router, "PATCH", "/v2/library/nginx/blobs/uploads/x", &[&length], body).await;
    assert!(written(response).await.starts_with("404\n"));
}

//! What the API of files answers when something is wrong.

use std::collections::HashMap;

use axum::body::Body;
use bytes::Bytes;
use futures::stream::iter;
use steward_gateway::ArtifactOptions;
use steward_proto::artifact::v1::FileStart;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::fake::{Fake, Received};
use super::files::{ID, PATH, ask_file, envelope};
use crate::restic::{refusal, refusal_with, send, written};

async fn expect(status: Status, expected: &str) {
    let router = Fake::default().refusing("*", status.clone()).router();
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(ask_file(&router, method, PATH, &[]).await, expected, "{method} {status:?}");
    }
}

#[tokio::test]
async fn reasons_have_codes_and_messages() {
    for (code, reason, status, told, message) in [
        (Code::NotFound, "PROJECT_NOT_FOUND", 404, 251_004, "Project [x] not found"),
        (Code::NotFound, "REPOSITORY_NOT_FOUND", 404, 251_006, "Repository [x] not found"),
        (Code::NotFound, "FILE_NOT_FOUND", 404, 251_010, "Node [x] not found"),
        (Code::AlreadyExists, "FILE_EXISTS", 400, 251_012, "Node [x] existed"),
        (Code::FailedPrecondition, "FILE_CONFLICT", 400, 251_013, "Node [x] conflict"),
        (Code::FailedPrecondition, "WRONG_REPOSITORY_TYPE", 400, 250_105, "Parameter [repoName] is invalid"),
        (Code::InvalidArgument, "DIGEST_MISMATCH", 400, 251_003, "Failed to check artifact x digest"),
        (Code::InvalidArgument, "UPLOAD_BROKEN_OFF", 400, 250_106, "Invalid request content"),
        (Code::ResourceExhausted, "TOO_LARGE", 413, 250_106, "Invalid request content"),
        (Code::ResourceExhausted, "DISK_FULL", 507, 250_102, "System service is busy, please try again later"),
        (Code::Internal, "INTERNAL", 500, 250_102, "System service is busy, please try again later"),
        (Code::DeadlineExceeded, "X", 504, 250_102, "System service is busy, please try again later"),
    ] {
        let expected = envelope(status, told, message, "null", &[]);
        expect(refusal_with(code, reason, "secret", &[("arg", "x")]), &expected).await;
    }
    let mut details = ErrorDetails::with_error_info("INVALID_ARGUMENT", "steward", HashMap::new());
    details.add_bad_request_violation("target.path", "is wrong");
    let status = Status::with_error_details(Code::InvalidArgument, "is wrong", details);
    expect(status, &envelope(400, 250_105, "Parameter [fullPath] is invalid", "null", &[])).await;
}

#[tokio::test]
async fn some_refusals_say_what_to_do_next() {
    let busy = "System service is busy, please try again later";
    let after = ["retry-after: 1"];
    expect(refusal(Code::Unavailable, "BUSY", "secret"), &envelope(503, 250_102, busy, "null", &after)).await;
    let many = refusal(Code::ResourceExhausted, "TOO_MANY_UPLOADS", "secret");
    expect(many, &envelope(429, 250_102, busy, "null", &after)).await;
    let challenge = ["www-authenticate: Basic realm=\"Authentication Required\""];
    let unknown = refusal(Code::Unauthenticated, "UNAUTHENTICATED", "secret");
    expect(unknown, &envelope(401, 250_114, "Failed to authenticate: Unauthorized", "null", &challenge)).await;
    let denied = refusal(Code::PermissionDenied, "FORBIDDEN", "not yours");
    expect(denied, &envelope(403, 250_113, "Access denied: not yours", "null", &[])).await;
}

#[tokio::test]
async fn messages_are_in_the_language_that_the_client_reads() {
    let missing = refusal_with(Code::NotFound, "FILE_NOT_FOUND", "secret", &[("arg", "/x")]);
    let router = Fake::default().refusing("*", missing).router();
    let answer = ask_file(&router, "GET", PATH, &["Accept-Language: zh-CN,zh;q=0.9"]).await;
    assert_eq!(answer, envelope(404, 251_010, "节点[/x]不存在", "null", &[]));
}

#[tokio::test]
async fn paths_and_methods_of_nothing_are_refused() {
    let fake = Fake::default();
    for (path, name) in [
        ("/generic/p1", "repoName"),
        ("/generic/p1/gen", "fullPath"),
        ("/generic/p1/gen/", "fullPath"),
        ("/generic/p1/gen/%2e%2e/x", "fullPath"),
        ("/generic/%FF/gen/x", "projectId"),
    ] {
        let expected = envelope(400, 250_105, &format!("Parameter [{name}] is invalid"), "null", &[]);
        assert_eq!(ask_file(&fake.router(), "GET", path, &[]).await, expected, "{path}");
    }
    let allow = "GET, HEAD, PUT, DELETE";
    let message = format!("Method not allowed, reason: only {allow}");
    let expected = envelope(405, 250_112, &message, "null", &[&format!("allow: {allow}")]);
    for method in ["POST", "PATCH"] {
        assert_eq!(ask_file(&fake.router(), method, PATH, &[]).await, expected, "{method}");
    }
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn body_that_is_not_whole_is_not_stored() {
    let fake = Fake::default();
    let router = fake.router_with(ArtifactOptions { max_blob_bytes: 5, ..ArtifactOptions::default() });
    let put = async |headers: &[&str], frames: Vec<Result<Bytes, std::io::Error>>| {
        let headers = [&[ID], headers].concat();
        written(send(&router, "PUT", PATH, &headers, Body::from_stream(iter(frames))).await).await
    };
    let invalid = |status, headers: &[&str]| envelope(status, 250_106, "Invalid request content", "null", headers);
    let hello = || Ok(Bytes::from_static(b"hello"));
    let close = ["connection: close"];
    assert_eq!(put(&[], vec![hello(), Err(std::io::Error::other("reset"))]).await, invalid(400, &close));
    assert_eq!(put(&["Content-Length: 4"], vec![hello()]).await, invalid(400, &close));
    assert_eq!(put(&[], vec![hello(), hello()]).await, invalid(413, &[]));
    assert_eq!(put(&["Content-Length: 6"], vec![hello()]).await, invalid(413, &[]));
    let received = fake.asked::<Received<FileStart>>();
    assert!(received.iter().all(|received| received.finish.is_none()), "{received:?}");
}

//! What becomes of failures that no action is to blame for, the same at every action.

use std::time::Duration;

use axum::Router;
use steward_gateway::{Options, VolumeOptions, router};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::fake::Fake;
use super::{ask, coded, read, refusal, send};

/// A request of every action.
pub(super) const ACTIONS: [&str; 15] = [
    "CreateFile&User=u&File=/a&Size=1",
    "DeleteFile&User=u&File=/a",
    "ListFile&User=u&Dir=/",
    "CreateSnapshot&User=u&File=/a&Name=s",
    "DeleteSnapshot&User=u&File=/a&Name=s",
    "CancelSnapshot&User=u&File=/a&UUID=x",
    "GetFileSnapshotInfo&User=u&File=/a",
    "GetFileSnapshotList",
    "Clone&User=u&Destination=/c&File=/a&Name=s",
    "Recover&User=u&Source=x&Destination=/a&Lazy=true",
    "Flatten&User=u&UUID=x",
    "GetCloneTasks&User=u",
    "GetCloneTaskList",
    "CleanCloneTask&User=u&UUID=x",
    "GetCloneRefStatus&User=u&Source=x",
];

const WITH_ROLLBACK: VolumeOptions =
    VolumeOptions { enabled: true, rollback: true, messages: steward_gateway::VolumeMessages::Seed, only_get: false };

async fn assert_everywhere(router: &Router, expected: &str, why: &str) {
    for query in ACTIONS {
        assert_eq!(ask(router, query).await, expected, "{query} {why}");
    }
}

#[tokio::test]
async fn every_failure_has_its_code_everywhere() {
    let fake = Fake::default();
    let router = fake.router_with(WITH_ROLLBACK);
    let foreign = tonic_types::ErrorDetails::with_error_info("NOT_FOUND", "elsewhere", []);
    for (status, code) in [
        (refusal("BUSY"), -4),
        (refusal("SHUTTING_DOWN"), -4),
        (Status::unavailable("secret"), -4),
        (Status::unimplemented("secret"), -21),
        (refusal("NOT_SUPPORTED"), -21),
        (refusal("INVALID_USER"), -7),
        (Status::unauthenticated("secret"), -7),
        (Status::permission_denied("secret"), -7),
        (refusal("DATA_DAMAGED"), -1),
        (refusal("SOMETHING_NEW"), -1),
        (Status::internal("secret"), -1),
        (Status::not_found("secret"), -1),
        (Status::with_error_details(Code::NotFound, "secret", foreign), -1),
        (Status::deadline_exceeded("secret"), -1),
    ] {
        fake.refuse(Some(status.clone()));
        assert_everywhere(&router, &coded(code), &format!("{status:?}")).await;
    }
}

#[tokio::test]
async fn who_is_not_known_is_told_how_to_sign_in_and_who_tries_too_often_when_to_come_again() {
    let info = |reason| tonic_types::ErrorDetails::with_error_info(reason, "steward", []);
    let too_often = info("TOO_MANY_ATTEMPTS").set_retry_info(Some(Duration::from_secs(10))).clone();
    for (status, http, code, header, value) in [
        (Status::unauthenticated("no"), 500, "-7", "www-authenticate", "Basic realm=\"steward\", charset=\"UTF-8\""),
        (Status::with_error_details(Code::ResourceExhausted, "no", too_often), 429, "-20", "retry-after", "10"),
    ] {
        let fake = Fake::default();
        fake.refuse(Some(status));
        let path = "/SnapshotCloneService?Version=1.5&Action=ListFile&User=u&Dir=/";
        let response = send(&fake.router(), "GET", path, &[], "").await;
        assert_eq!(response.headers()[header], value);
        assert_eq!(response.status(), http);
        assert!(read(response).await.contains(&format!("\"Code\" : \"{code}\"")));
    }
}

#[tokio::test]
async fn answers_that_cannot_be_are_internal_errors() {
    let router = Fake::default().router_with(WITH_ROLLBACK);
    for query in [
        "ListFile&User=u&File=/a",
        "CreateSnapshot&User=u&File=/a&Name=s",
        "GetFileSnapshotInfo&User=u&UUID=x",
        "Clone&User=u&Destination=/c&File=/a&Name=s",
        "Recover&User=u&Source=x&Destination=/a&Lazy=true",
        "Flatten&User=u&UUID=x",
        "GetCloneTasks&User=u&UUID=x",
    ] {
        assert_eq!(ask(&router, query).await, coded(-1), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn service_that_does_not_answer_is_an_internal_error() {
    let silent = tower::service_fn(|_| async {
        tokio::time::sleep(Duration::from_hours(1)).await;
        Ok::<_, Status>(http::Response::new(tonic::body::Body::empty()))
    });
    let options = Options { volumes: WITH_ROLLBACK, ..Options::default() };
    let router = router(silent, options, CancellationToken::new());
    assert_everywhere(&router, &coded(-1), "silence").await;
}

//! What is common to all actions: paths, methods, headers, bodies, and what every request has to say.

use steward_gateway::{Options, VolumeMessages, VolumeOptions};
use steward_proto::volume::v1::*;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::fake::Fake;
use super::{ask, coded, done, error, malformed, not_found, read, refusal, send};
use crate::http::{get, plain};

const CREATE: &str = "Action=CreateFile&Version=1.5&User=curve&File=/test1&Size=100";

#[tokio::test]
async fn every_form_of_the_path_is_the_service() {
    let fake = Fake::default();
    for path in [
        "/SnapshotCloneService",
        "//SnapshotCloneService",
        "///SnapshotCloneService//",
        "//SnapshotCloneService/x",
        "/SnapshotCloneService/",
        "/SnapshotCloneService/x",
        "/SnapshotCloneService//x/y/%zz",
        "/curve.snapshotcloneserver.SnapshotCloneService",
        "/curve.snapshotcloneserver.SnapshotCloneService/default_method",
        "//curve.snapshotcloneserver.SnapshotCloneService/",
    ] {
        let response = send(&fake.router(), "GET", &format!("{path}?{CREATE}"), &[], "").await;
        assert_eq!(read(response).await, done(), "{path}");
    }
}

#[tokio::test]
async fn other_paths_are_not() {
    let router = Fake::default().router();
    for path in ["/%53napshotCloneService", "/SnapshotCloneServices", "/snapshotcloneservice", "//x", "//config", "//"]
    {
        assert_eq!(get(&router, path).await, plain(404, "404 page not found"), "{path}");
    }
}

#[tokio::test]
async fn without_the_api_its_paths_are_nothing() {
    let router = Fake::default().router_with(VolumeOptions { enabled: false, ..VolumeOptions::default() });
    for path in ["/SnapshotCloneService", "//SnapshotCloneService", "/SnapshotCloneService/x"] {
        assert_eq!(get(&router, &format!("{path}?{CREATE}")).await, plain(404, "404 page not found"), "{path}");
    }
}

#[tokio::test]
async fn method_and_body_are_ignored() {
    let fake = Fake::default();
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
        let body = "Action=DeleteFile&Version=1&User=u&File=/x";
        let response = send(&fake.router(), method, &format!("/SnapshotCloneService?{CREATE}"), &[], body).await;
        assert_eq!(read(response).await, done(), "{method}");
        let response = send(&fake.router(), method, "/SnapshotCloneService", &[], body).await;
        assert_eq!(read(response).await, malformed(), "{method}");
    }
    assert_eq!(fake.count(), 7);
    let response = send(&fake.router(), "HEAD", &format!("/SnapshotCloneService?{CREATE}"), &[], "").await;
    assert_eq!(response.status(), 200);
    assert_eq!(fake.count(), 8);
}

#[tokio::test]
async fn methods_other_than_get_can_be_refused() {
    let fake = Fake::default();
    let router = fake.router_with(VolumeOptions { only_get: true, ..VolumeOptions::default() });
    for method in ["POST", "PUT", "DELETE", "HEAD"] {
        let response = send(&router, method, &format!("/SnapshotCloneService?{CREATE}"), &[], "").await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["allow"]),
            (405, &"GET".parse().unwrap()),
            "{method}"
        );
    }
    assert_eq!(fake.count(), 0);
    let response = send(&router, "GET", &format!("/SnapshotCloneService?{CREATE}"), &[], "").await;
    assert_eq!(read(response).await, done());
}

#[tokio::test]
async fn content_type_is_that_of_the_request() {
    let router = Fake::default().router();
    for (headers, expected) in [
        (&[][..], "application/json"),
        (&["Content-Type: application/json"], "application/json"),
        (&["Content-Type: text/plain; charset=utf-8"], "text/plain; charset=utf-8"),
    ] {
        for query in [CREATE, ""] {
            let response = send(&router, "GET", &format!("/SnapshotCloneService?{query}"), headers, "").await;
            assert_eq!(response.headers()["content-type"], expected);
        }
    }
}

#[tokio::test]
async fn action_and_version_are_needed() {
    let fake = Fake::default();
    for (query, field) in [
        ("", "Action"),
        ("Version=1.5", "Action"),
        ("Action=&Version=1.5", "Action"),
        ("Action=Nothing&Version=1.5", "Action"),
        ("action=CreateFile&Version=1.5", "Action"),
        ("Action=createfile&Version=1.5", "Action"),
        ("Action=CreateFile&Action=&Version=1.5", "Action"),
        ("Action=CreateFile&User=u&File=/a&Size=1", "Version"),
        ("Action=CreateFile&User=u&File=/a&Size=1&Version=", "Version"),
    ] {
        let response = send(&fake.router(), "GET", &format!("/SnapshotCloneService?{query}"), &[], "").await;
        assert_eq!(response.headers()["x-error-field"], field, "{query}");
        assert_eq!(read(response).await, malformed(), "{query}");
    }
    assert_eq!(fake.count(), 0);
    for version in ["0.0.6", "2018-01-01", "1", "x"] {
        let query = CREATE.replace("1.5", version);
        let response = send(&fake.router(), "GET", &format!("/SnapshotCloneService?{query}"), &[], "").await;
        assert_eq!(read(response).await, done(), "{version}");
    }
}

#[tokio::test]
async fn every_request_has_an_id_of_its_own() {
    let router = Fake::default().router();
    let path = format!("/SnapshotCloneService?{CREATE}");
    assert_ne!(get(&router, &path).await, get(&router, &path).await);
}

#[tokio::test]
async fn values_are_read_escaped_and_the_last_one_counts() {
    let fake = Fake::default();
    ask(&fake.router(), "DeleteFile&User=a&User=b%26c&File=%2Fd%2Be+f&File=/g%2Bh+i&X=1").await;
    let message = fake.only::<DeleteVolumeRequest>();
    assert_eq!((message.user.as_str(), message.volume.unwrap().path.as_str()), ("b&c", "/g+h+i"));
}

#[tokio::test]
async fn server_that_ends_says_so() {
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    let fake = Fake::default();
    let router = fake.router_until(Options::default(), shutdown);
    assert_eq!(ask(&router, "DeleteFile&User=u&File=/a").await, coded(-4));
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn words_can_be_those_of_the_original_server() {
    let fake = Fake::default();
    let router = fake.router_with(VolumeOptions { messages: VolumeMessages::Upstream, ..VolumeOptions::default() });
    for (reason, expected) in [
        ("SHUTTING_DOWN", error(-4, "Sevice is stop.")),
        ("DIRECTORY_NOT_EMPTY", error(-21, "Not support.")),
        ("HAS_SNAPSHOTS", error(-22, "File is under snapshot.")),
        ("VOLUME_IN_USE", error(-23, "File is occupied.")),
        ("INVALID_USER", coded(-7)),
    ] {
        fake.refuse(Some(refusal(reason)));
        assert_eq!(ask(&router, "DeleteFile&User=u&File=/a").await, expected);
    }
}

#[tokio::test]
async fn tools_see_an_active_server() {
    let router = Fake::refusing(Status::internal("no")).router();
    let line = |line: &str| format!("200\ncontent-type: text/plain\n\n{line}\r\n");
    for (path, expected) in [
        ("/vars/snapshotcloneserver_status", r#"snapshotcloneserver_status : "active""#.to_owned()),
        ("/vars/curve_version", format!(r#"curve_version : "{}""#, env!("CARGO_PKG_VERSION"))),
        (
            "/vars/snapshot_clone_server_config_server_address",
            concat!(
                r#"snapshot_clone_server_config_server_address : "#,
                r#""{"conf_name":"server.address","conf_value":"127.0.0.1:8080"}""#
            )
            .to_owned(),
        ),
    ] {
        assert_eq!(get(&router, path).await, line(&expected), "{path}");
    }
    let path = "/vars/snapshot_clone_server_config_server_address";
    for (host, expected) in [("store.example:5555", "store.example:5555"), ("\"}", "127.0.0.1:8080")] {
        let response = send(&router, "GET", path, &[&format!("Host: {host}")], "").await;
        assert!(crate::http::written(response).await.contains(&format!("\"conf_value\":\"{expected}\"}}\"")), "{host}");
    }
}

#[tokio::test]
async fn what_the_service_refuses_is_named() {
    let mut details = ErrorDetails::with_error_info("NOT_FOUND", "steward", []);
    details.add_bad_request_violation("path", "is nowhere");
    let status = Status::with_error_details(Code::NotFound, "no", details);
    let response =
        send(&Fake::refusing(status).router(), "GET", &format!("/SnapshotCloneService?{CREATE}"), &[], "").await;
    assert_eq!(response.headers()["x-error-field"], "path");
    assert_eq!(read(response).await, not_found());
}

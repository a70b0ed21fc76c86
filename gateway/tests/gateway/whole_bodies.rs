//! Bodies that are read whole before a call is made: how long they may take, and how much of them there may be at a time.

use std::io;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures::stream::{StreamExt as _, once, pending};
use http::Method;
use steward_gateway::{Options, router};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::http::{plain, send, written};

const LOCK: (Method, &str) = (Method::POST, "/lock");
const FARM: (Method, &str) = (Method::POST, "/api/v1/tasks");
const PROJECT: (Method, &str) = (Method::POST, "/repository/api/project/create");
const MANIFEST: (Method, &str) = (Method::PUT, "/v2/p1/img/nginx/manifests/1.0");

/// With no service behind it: no call is made.
fn with_room(whole_body_bytes: u64) -> Router {
    let options = Options { whole_body_bytes, ..Options::default() };
    router(Routes::default().prepare(), options, CancellationToken::new())
}

/// Some bytes, and then nothing for ever.
fn unending(first: &'static [u8]) -> Body {
    Body::from_stream(once(async move { io::Result::Ok(Bytes::from_static(first)) }).chain(pending()))
}

async fn ask(router: &Router, (method, path): (Method, &str), body: Body) -> String {
    written(send(router, method, path, body).await).await
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    // For small bodies, such as those of locks, an eighth of it.
    let router = with_room(800);
    for first in [&b""[..], b"{"] {
        assert_eq!(ask(&router, LOCK, unending(first)).await, plain(408, "请求体接收超时"));
        let answer = ask(&router, FARM, unending(first)).await;
        assert!(answer.starts_with("408\n") && answer.contains("请求体接收超时"), "{answer}");
        let answer = ask(&router, PROJECT, unending(first)).await;
        assert!(answer.starts_with("408\n") && answer.contains("\"traceId\""), "{answer}");
        let answer = ask(&router, MANIFEST, unending(first)).await;
        assert!(answer.starts_with("408\n") && answer.contains("connection: close\n"), "{answer}");
        assert!(answer.contains("SIZE_INVALID"), "{answer}");
    }
    assert!(ask(&router, LOCK, Body::from(vec![b' '; 100])).await.starts_with("400\n"), "the room is free again");
}

#[tokio::test]
async fn what_finds_no_room_is_to_come_again() {
    let router = with_room(16);
    let long = || Body::from("{\"a\": \"too long for it\"}");
    let locks = ask(&router, LOCK, long()).await;
    assert!(locks.contains("\n服务暂时不可用，请稍后重试\n"), "{locks}");
    let farm = ask(&router, FARM, long()).await;
    assert!(farm.contains("\"message\":\"服务暂时不可用，请稍后重试\""), "{farm}");
    let project = ask(&router, PROJECT, long()).await;
    let manifest = ask(&router, MANIFEST, long()).await;
    assert!(manifest.contains("{\"errors\":[{\"code\":\"UNAVAILABLE\","), "{manifest}");
    for answer in [locks, farm, project, manifest] {
        assert!(answer.starts_with("503\n") && answer.contains("retry-after: 1\n"), "{answer}");
    }
    assert!(ask(&router, LOCK, Body::from("[]")).await.starts_with("400\n"), "it fits");
}

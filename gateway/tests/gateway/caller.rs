//! What goes with a call besides the message, and what a caller hears who may not make it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use http::Request;
use steward_gateway::{Options, Peer, router};
use steward_proto::lock::v1::lock_service_server::LockServiceServer;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tower::{ServiceBuilder, ServiceExt};

use crate::fake::{Fake, Script, refusal};
use crate::http::{get, plain, post};

const BODY: &str = r#"{"type":"t","resource_id":"r","node_id":"A"}"#;

/// The headers and the peer of the last call.
type Seen = Arc<Mutex<Option<(HashMap<String, String>, Option<Peer>)>>>;

/// A router in front of a service that remembers what came with a call.
fn watched(options: Options) -> (Router, Seen) {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let upstream = ServiceBuilder::new()
        .map_request(move |request: Request<tonic::body::Body>| {
            let headers = request.headers().iter();
            let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
            *noted.lock().unwrap() = Some((headers.collect(), request.extensions().get().copied()));
            request
        })
        .service(LockServiceServer::new(Fake::new(Script::default())));
    (router(upstream, options, CancellationToken::new()), seen)
}

async fn ask(router: &Router, peer: Option<Peer>, headers: &[(&str, &str)]) {
    let mut request = Request::builder().uri("/lock/status?type=t&resource_id=r");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(peer) = peer {
        request = request.extension(peer);
    }
    router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
}

#[tokio::test]
async fn credentials_and_the_way_go_with_the_call() {
    let options = Options { user_header: Some("x-user".parse().unwrap()), ..Options::default() };
    let (router, seen) = watched(options);
    let headers = [
        ("authorization", "Basic YTpi"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2, 3.3.3.3"),
        ("x-user", "alice"),
        ("x-request-id", "id-1"),
        ("cookie", "other=things"),
    ];
    let peer = Some(Peer(Some([10, 0, 0, 1].into())));
    ask(&router, peer, &headers).await;
    let (headers, seen_peer) = seen.lock().unwrap().take().unwrap();
    assert_eq!(seen_peer, peer);
    assert_eq!(headers["authorization"], "Basic YTpi");
    assert_eq!(headers["x-forwarded-for"], "1.1.1.1, 2.2.2.2, 3.3.3.3");
    assert_eq!(headers["x-user"], "alice");
    assert_eq!(headers["x-request-id"], "id-1");
    assert!(!headers.contains_key("cookie"));

    ask(&router, Some(Peer(None)), &[]).await;
    let (headers, seen_peer) = seen.lock().unwrap().take().unwrap();
    assert_eq!(seen_peer, Some(Peer(None)));
    assert!(!headers.contains_key("authorization") && !headers.contains_key("x-forwarded-for"));
}

#[tokio::test]
async fn a_name_goes_with_the_call_only_where_a_header_for_it_is_set() {
    let (router, seen) = watched(Options::default());
    ask(&router, None, &[("x-user", "alice")]).await;
    let (headers, peer) = seen.lock().unwrap().take().unwrap();
    assert!(!headers.contains_key("x-user"));
    assert_eq!(peer, None);
}

#[tokio::test]
async fn refused_callers_hear_it_in_the_words_of_http() {
    let unauthorized = "401\ncontent-type: text/plain; charset=utf-8\n\
                        www-authenticate: Basic realm=\"steward\", charset=\"UTF-8\"\n\
                        x-content-type-options: nosniff\n\nUnauthorized\n";
    let too_many = "429\ncontent-type: text/plain; charset=utf-8\nretry-after: 10\n\
                    x-content-type-options: nosniff\n\nToo Many Requests\n";
    let limited = too_many.replace("10", "1");
    // A lock is refused as the API refuses locks.
    let forbidden = plain(403, "Forbidden");
    for (status, expected) in [
        (refusal(Code::ResourceExhausted, "TOO_MANY_REQUESTS"), limited.as_str()),
        (refusal(Code::ResourceExhausted, "TOO_MANY_CALLS"), limited.as_str()),
        (refusal(Code::ResourceExhausted, "TOO_MANY_BYTES"), limited.as_str()),
        (refusal(Code::Unauthenticated, "UNAUTHENTICATED"), unauthorized),
        (Status::unauthenticated("of a proxy between"), unauthorized),
        (refusal(Code::PermissionDenied, "PERMISSION_DENIED"), forbidden.as_str()),
        (refusal(Code::ResourceExhausted, "TOO_MANY_ATTEMPTS"), too_many),
        (Status::resource_exhausted("of another kind"), plain(500, "内部错误").as_str()),
    ] {
        let script = Script {
            acquire: Err(status.clone()),
            release: Err(status.clone()),
            get: Err(status.clone()),
            watch: Err(status),
            ..Script::default()
        };
        let router = Fake::new(script).router();
        let is_json = expected == forbidden;
        assert!(is_json || post(&router, "/lock", BODY).await == expected, "{expected}");
        assert!(is_json || post(&router, "/unlock", BODY).await == expected, "{expected}");
        assert_eq!(get(&router, "/lock/status?type=t&resource_id=r").await, expected);
        assert_eq!(get(&router, "/lock/subscribe?type=t&resource_id=r").await, expected);
    }
}

//! Every method and every route, asked by everybody who may come: nobody gets in who may not, and nobody learns why.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::uri::PathAndQuery;
use steward_proto::access::{Access, METHODS, Right};
use steward_proto::auth::v1::token_service_client::TokenServiceClient;
use steward_proto::auth::v1::{CreateTokenRequest, RevokeTokensRequest};
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use crate::common::http::Answer;
use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::wait::within;
use crate::users::htpasswd;

/// Alice may do everything, bob nothing, and carol a little in every area that is not the one that is asked.
const RIGHTS: &str = "alice * * admin\ncarol lock other read\ncarol restic other read\ncarol volume /other read\n";

/// Routes of the older APIs, of the operators, and of images: a method, a path and a body.
const ROUTES: [(&str, &str, &str); 39] = [
    ("POST", "/lock", r#"{"type":"pull","resource_id":"sha256:a","node_id":"n"}"#),
    ("POST", "/unlock", r#"{"type":"pull","resource_id":"sha256:a","node_id":"n"}"#),
    ("POST", "/lock/status", r#"{"type":"pull","resource_id":"sha256:a","node_id":"n"}"#),
    ("GET", "/lock/subscribe?type=pull&resource_id=sha256:a", ""),
    ("POST", "/infer/lock", r#"{"type":"pull","resource_id":"sha256:a","node_id":"n"}"#),
    ("POST", "/restic/mine/?create=true", ""),
    ("HEAD", "/restic/mine/config", ""),
    ("GET", "/restic/mine/data/", ""),
    ("DELETE", "/restic/mine/config", ""),
    ("GET", "/v2/", ""),
    ("GET", "/v2/_catalog", ""),
    ("GET", "/v2/p/r/i/tags/list", ""),
    ("GET", "/v2/p/r/i/manifests/latest", ""),
    ("PUT", "/v2/p/r/i/manifests/latest", "{}"),
    ("DELETE", "/v2/p/r/i/manifests/latest", ""),
    ("POST", "/v2/p/r/i/blobs/uploads/", ""),
    ("GET", "/generic/p/r/f", ""),
    ("HEAD", "/generic/p/r/f", ""),
    ("PUT", "/generic/p/r/f", "bytes"),
    ("DELETE", "/generic/p/r/f", ""),
    ("GET", "/repository/api/project/list", ""),
    ("POST", "/repository/api/project/create", r#"{"name":"p","displayName":"p"}"#),
    ("GET", "/repository/api/repo/list/p", ""),
    ("GET", "/api/v1/workers", ""),
    ("POST", "/api/v1/workers/heartbeat", r#"{"worker_id":1,"worker_name":"w"}"#),
    ("GET", "/api/v1/tasks", ""),
    ("GET", "/api/v1/videos", ""),
    ("GET", "/api/v1/logs", ""),
    ("GET", "/api/v1/tasks/stats", ""),
    ("GET", "/api/v2/events", ""),
    ("GET", "/SnapshotCloneService?Action=GetFileSnapshotList&Version=0.0.6&User=alice&Limit=1&Offset=0", ""),
    ("GET", "/SnapshotCloneService?Action=CreateSnapshot&Version=0.0.6&User=alice&File=/f&Name=s", ""),
    ("GET", "/SnapshotCloneService?Action=GetCloneTasks&Version=0.0.6&User=alice&Limit=1&Offset=0", ""),
    ("GET", "/SnapshotCloneService?Action=DeleteSnapshot&Version=0.0.6&User=alice&UUID=u&File=/f", ""),
    ("GET", "/metrics", ""),
    ("GET", "/vars/curve_version", ""),
    ("GET", "/replication/api/cluster/list", ""),
    ("GET", "/replication/api/remote/distribution/info/p/r", ""),
    ("DELETE", "/replication/api/remote/distribution/delete/p/r/t", ""),
];

/// Who asks, and what is expected of the answer.
struct World {
    server: Server,
    expired: String,
    revoked: String,
}

impl World {
    async fn start() -> Self {
        let home = temporary::directory();
        let users = htpasswd(home.path(), &[("alice", "p"), ("bob", "p"), ("carol", "p")]);
        let config = format!("[auth]\nhtpasswd = {users:?}\nrights = {RIGHTS:?}\n");
        let server = Setup::default().config(&config).start_in(home).await;
        let expired = token(&server, Duration::from_nanos(1)).await.0;
        let (revoked, id) = token(&server, Duration::from_hours(1)).await;
        let request =
            signed(&basic("alice", "p"), RevokeTokensRequest { ids: vec![id], ..RevokeTokensRequest::default() });
        TokenServiceClient::new(server.channel()).revoke_tokens(request).await.expect("it is revoked");
        World { server, expired: format!("Bearer {expired}"), revoked: format!("Bearer {revoked}") }
    }

    /// Those whom nobody knows.
    fn strangers(&self) -> [&str; 4] {
        ["", &self.expired, &self.revoked, "Bearer stw_of_nobody"]
    }
}

async fn token(server: &Server, ttl: Duration) -> (String, String) {
    let ttl = prost_types::Duration::try_from(ttl).ok();
    let request = signed(&basic("alice", "p"), CreateTokenRequest { ttl, ..CreateTokenRequest::default() });
    let made = TokenServiceClient::new(server.channel()).create_token(request).await.expect("a token").into_inner();
    (made.secret, made.token.expect("what is known of it").id)
}

fn signed<T>(authorization: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !authorization.is_empty() {
        request.metadata_mut().insert("authorization", authorization.parse().expect("ASCII"));
    }
    request
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// What a method answers to a message without fields; of a stream, its beginning counts.
async fn ask(channel: &Channel, method: &Access, authorization: &str) -> Result<(), Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.expect("a connection");
    let request = signed(authorization, futures::stream::iter([()]));
    let path = PathAndQuery::from_static(method.path);
    let answer = client.streaming(request, path, ProstCodec::<(), ()>::default());
    within(method.path, answer).await.map(drop)
}

fn code(answer: &Result<(), Status>) -> Code {
    answer.as_ref().map_or_else(Status::code, |()| Code::Ok)
}

#[tokio::test]
async fn no_method_answers_whom_it_does_not_know_or_who_may_not_call_it() {
    let world = World::start().await;
    let channel = world.server.channel();
    let mut problems = Vec::new();
    for method in METHODS {
        let needs_right = method.needs.iter().any(|need| need.right != Right::SignedIn);
        let bob = ask(&channel, method, &basic("bob", "p")).await;
        if needs_right && code(&bob) != Code::PermissionDenied {
            problems.push(format!("{} for bob: {bob:?}", method.path));
        }
        let alice = ask(&channel, method, &basic("alice", "p")).await;
        let reason = alice.as_ref().err().and_then(|status| Some(status.get_details_error_info()?.reason));
        let is_denied = reason.as_deref() == Some("PERMISSION_DENIED");
        if is_denied || matches!(code(&alice), Code::Unauthenticated | Code::Internal | Code::Unknown) {
            problems.push(format!("{} for alice: {alice:?}", method.path));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn no_method_answers_a_stranger() {
    let world = World::start().await;
    let channel = world.server.channel();
    for method in METHODS {
        for authorization in world.strangers() {
            let answer = ask(&channel, method, authorization).await;
            assert_eq!(code(&answer), Code::Unauthenticated, "{} for {authorization:?}: {answer:?}", method.path);
        }
    }
    // Not for every method: who is wrong often has to wait.
    for (method, authorization) in METHODS.iter().zip([basic("alice", "wrong"), basic("nobody", "p")]) {
        let answer = ask(&channel, method, &authorization).await;
        assert_eq!(code(&answer), Code::Unauthenticated, "{authorization:?}: {answer:?}");
    }
}

#[tokio::test]
async fn no_route_answers_whom_it_does_not_know_or_who_may_not_take_it() {
    let world = World::start().await;
    let mut problems = Vec::new();
    for (method, path, body) in ROUTES {
        let ask = async |authorization: &str| {
            let credentials = [("Authorization", authorization)];
            let headers = if authorization.is_empty() { &[][..] } else { &credentials[..] };
            let answer = world.server.http().request(method, path, headers, body.as_bytes());
            within(path, answer).await
        };
        for authorization in world.strangers() {
            let answer = ask(authorization).await;
            if !is_refused(path, &answer, &[401]) {
                problems.push(format!("{method} {path} for {authorization:?}: {}", answer.status));
            }
        }
        // Whoever has signed in may know that this is a registry.
        for user in ["bob", "carol"].into_iter().filter(|_| path != "/v2/") {
            let answer = ask(&basic(user, "p")).await;
            let is_empty_list = user == "carol"
                && path.contains("GetFileSnapshotList")
                && answer.text().contains(r#""Snapshots" : null"#);
            if !is_refused(path, &answer, &[401, 403, 404]) && !is_empty_list {
                problems.push(format!("{method} {path} for {user}: {} {}", answer.status, answer.text()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Whether an answer says that its caller may not have it. The API of volumes says so by a code of its own.
fn is_refused(path: &str, answer: &Answer, statuses: &[u16]) -> bool {
    if path.starts_with("/SnapshotCloneService") {
        return answer.text().contains(r#""Code" : "-7""#);
    }
    statuses.contains(&answer.status)
}

//! Every method, asked by everybody who may come: nobody gets in who may not, and nobody learns why.

use std::time::Duration;

use http::uri::PathAndQuery;
use steward_proto::access::{Access, METHODS, Right};
use steward_proto::auth::v1::token_service_client::TokenServiceClient;
use steward_proto::auth::v1::{CreateTokenRequest, RevokeTokensRequest};
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::users::{basic, htpasswd, signed};
use crate::common::wait::within;

/// Alice may do everything, and bob nothing.
const RIGHTS: &str = "alice * * admin\n";

/// Who asks, and what is expected of the answer.
struct World {
    server: Server,
    ended: [String; 2],
}

impl World {
    async fn start() -> Self {
        let home = temporary::directory();
        let users = htpasswd(home.path(), &[("alice", "p"), ("bob", "p")]);
        let config = format!("[auth]\nhtpasswd = {users:?}\nrights = {RIGHTS:?}\n");
        let server = Setup::default().config(&config).start_in(home).await;
        let ended = ended_tokens(&server).await;
        World { server, ended }
    }

    /// Those whom nobody knows.
    fn strangers(&self) -> [&str; 4] {
        let [expired, revoked] = &self.ended;
        ["", expired, revoked, "Bearer stw_of_nobody"]
    }
}

/// How somebody signs in with a token of alice that has expired, and with one that was revoked.
pub(crate) async fn ended_tokens(server: &Server) -> [String; 2] {
    let expired = token(server, Duration::from_nanos(1)).await.0;
    let (revoked, id) = token(server, Duration::from_hours(1)).await;
    let request = signed(&basic("alice", "p"), RevokeTokensRequest { ids: vec![id], ..RevokeTokensRequest::default() });
    TokenServiceClient::new(server.channel()).revoke_tokens(request).await.expect("it is revoked");
    [format!("Bearer {expired}"), format!("Bearer {revoked}")]
}

async fn token(server: &Server, ttl: Duration) -> (String, String) {
    let ttl = prost_types::Duration::try_from(ttl).ok();
    let request = signed(&basic("alice", "p"), CreateTokenRequest { ttl, ..CreateTokenRequest::default() });
    let made = TokenServiceClient::new(server.channel()).create_token(request).await.expect("a token").into_inner();
    (made.secret, made.token.expect("what is known of it").id)
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

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use http::{Request, Response};
use steward_gateway::{ClientUser, Peer};
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;
use tower::service_fn;

use super::*;
use crate::auth::refusal::unauthenticated as unauthenticated_for;
use crate::auth::{Acquaintance, Bearers, GateLayer, Grants, Identity, Proven};
use crate::config;
use crate::error::Failure;

const CALL: &str = "/steward.lock.v1.LockService/Get";
const LOCAL: Option<Peer> = Some(Peer(Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))));
// Of "alice" and "secret".
const USERS: &str = "alice:$2y$04$CCCCCCCCCCCCCCCCCCCCC.4K7lyz.nKATbsiu/RcZjqWyDNnj87qG\n";

/// A service behind the layer, and how it is asked.
struct Fixture {
    authenticator: Authenticator,
    file: tempfile::NamedTempFile,
}

impl Fixture {
    fn new(change: impl FnOnce(&mut config::Auth, &std::path::Path)) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), USERS).unwrap();
        let mut auth = config::Auth::default();
        change(&mut auth, file.path());
        Fixture { authenticator: Authenticator::from_config(&auth).unwrap(), file }
    }

    fn off() -> Self {
        Self::new(|_, _| {})
    }

    fn passwords() -> Self {
        Self::new(|auth, path| auth.htpasswd = Some(path.to_owned()))
    }

    fn proxy() -> Self {
        Self::new(|auth, _| auth.proxy_header = Some("X-User".to_owned()))
    }

    async fn ask(&self, request: Request<Body>) -> Result<Identity, (Code, String)> {
        let service = service_fn(async |request: Request<Body>| {
            assert!(!request.headers().contains_key(AUTHORIZATION), "the password goes no further");
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(request.extensions().get::<Grants>().unwrap().caller().clone());
            Ok::<_, Infallible>(response)
        });
        let response =
            AuthLayer::new(self.authenticator.clone()).layer(GateLayer.layer(service)).oneshot(request).await.unwrap();
        if let Some(identity) = response.extensions().get::<Identity>() {
            return Ok(identity.clone());
        }
        let status = Status::from_header_map(response.headers()).unwrap();
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.domain, "steward");
        let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
        assert_eq!(retry.is_some(), status.code() == Code::ResourceExhausted, "{status}");
        Err((status.code(), info.reason))
    }

    async fn user(&self, peer: Option<Peer>, headers: &[(&str, &str)]) -> Result<Option<String>, (Code, String)> {
        self.ask(request(CALL, peer, headers)).await.map(|identity| identity.user)
    }
}

fn request(path: &str, peer: Option<Peer>, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    if let Some(peer) = peer {
        request = request.extension(peer);
    }
    request.body(Body::empty()).unwrap()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn unauthenticated<T>() -> Result<T, (Code, String)> {
    Err((Code::Unauthenticated, "UNAUTHENTICATED".to_owned()))
}

/// No credentials, wrong ones, right ones, malformed ones, and restic's empty ones.
fn all_credentials() -> [Vec<(&'static str, String)>; 6] {
    [
        vec![],
        vec![("authorization", basic("alice", "wrong"))],
        vec![("authorization", basic("bob", "secret"))],
        vec![("authorization", basic("alice", "secret"))],
        vec![("authorization", "Basic %%%".to_owned())],
        vec![("authorization", "Basic Og==".to_owned())],
    ]
}

async fn ask_with_all(fixture: &Fixture, extra: &[(&str, &str)]) -> Vec<Result<Option<String>, (Code, String)>> {
    let mut answers = Vec::new();
    for headers in all_credentials() {
        let own = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers: Vec<_> = own.chain(extra.iter().copied()).collect();
        answers.push(fixture.user(LOCAL, &headers).await);
    }
    answers
}

#[tokio::test]
async fn when_auth_is_off_no_credentials_matter() {
    let answers = ask_with_all(&Fixture::off(), &[("x-user", "root")]).await;
    assert!(answers.iter().all(|answer| *answer == Ok(None)), "{answers:?}");
}

#[tokio::test]
async fn with_passwords_only_the_right_one_counts() {
    let no = unauthenticated;
    let alice = Ok(Some("alice".to_owned()));
    let answers = ask_with_all(&Fixture::passwords(), &[("x-user", "root")]).await;
    assert_eq!(answers, [no(), no(), no(), alice, no(), no()]);
}

#[tokio::test]
async fn with_a_proxy_no_passwords_are_asked() {
    let proxy = Fixture::proxy();
    assert!(ask_with_all(&proxy, &[]).await.iter().all(|answer| *answer == unauthenticated()));
    let root = Ok(Some("root".to_owned()));
    assert!(ask_with_all(&proxy, &[("x-user", "root")]).await.iter().all(|answer| *answer == root));
}

#[tokio::test]
async fn a_name_counts_only_from_a_trusted_proxy_and_only_when_it_is_one() {
    let proxy = Fixture::proxy();
    let named = [("x-user", "王.小明@example.org")];
    assert_eq!(proxy.user(LOCAL, &named).await, Ok(Some("王.小明@example.org".to_owned())));
    assert!(proxy.user(Some(Peer(None)), &named).await.is_ok());
    for stranger in [None, Some(Peer(Some([9, 9, 9, 9].into())))] {
        assert_eq!(proxy.user(stranger, &named).await, unauthenticated());
    }
    for odd in ["", "..", "a/b", "a b", "a,b"] {
        assert_eq!(proxy.user(LOCAL, &[("x-user", odd)]).await, unauthenticated(), "{odd:?}");
    }
    assert_eq!(proxy.user(LOCAL, &[("x-user", "a"), ("x-user", "root")]).await, unauthenticated());
}

#[tokio::test]
async fn health_and_reflection_are_open_and_nothing_else() {
    for fixture in [Fixture::passwords(), Fixture::proxy()] {
        for path in ["/grpc.health.v1.Health/Check", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"] {
            let identity = fixture.ask(request(path, LOCAL, &[])).await.unwrap();
            assert_eq!(identity.user, None);
        }
        for path in [CALL, "/", "/grpc.other/Call", "/steward.auth.v1.New/Call"] {
            assert_eq!(fixture.ask(request(path, LOCAL, &[])).await, unauthenticated(), "{path}");
        }
    }
}

#[tokio::test]
async fn the_address_is_the_connections_or_what_a_trusted_proxy_says() {
    let forwarded = [("x-forwarded-for", "6.6.6.6, 7.7.7.7")];
    let address = async |fixture: &Fixture, request| fixture.ask(request).await.unwrap().address.map(|a| a.to_string());
    let off = Fixture::off();
    assert_eq!(address(&off, request(CALL, LOCAL, &forwarded)).await.as_deref(), Some("127.0.0.1"));
    let trusting = Fixture::new(|auth, _| auth.trusted_proxies = vec!["127.0.0.0/8".to_owned()]);
    assert_eq!(address(&trusting, request(CALL, LOCAL, &forwarded)).await.as_deref(), Some("7.7.7.7"));
    let mut over_network = request(CALL, None, &forwarded);
    let remote_addr = Some("[::ffff:8.8.8.8]:9".parse().unwrap());
    over_network.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
    assert_eq!(address(&trusting, over_network).await.as_deref(), Some("8.8.8.8"));
}

#[tokio::test]
async fn failures_slow_down_and_a_flood_is_refused_at_once() {
    let fixture = Fixture::passwords();
    let (wrong, right) = (basic("alice", "wrong"), basic("alice", "secret"));
    let wrong = [("authorization", wrong.as_str())];
    for _ in 0..5 {
        assert_eq!(fixture.user(LOCAL, &wrong).await, unauthenticated());
    }
    let started = Instant::now();
    assert_eq!(fixture.user(LOCAL, &wrong).await, unauthenticated());
    assert!(started.elapsed() >= Duration::from_millis(250));

    let mut flood: FuturesUnordered<_> = (0..9).map(|_| fixture.user(LOCAL, &wrong)).collect();
    let first = flood.next().await.unwrap();
    assert_eq!(first, Err((Code::ResourceExhausted, "TOO_MANY_ATTEMPTS".to_owned())));
    drop(flood);
    // Giving up did not help; and others are not concerned.
    let refused = fixture.user(LOCAL, &wrong).await;
    assert_eq!(refused, Err((Code::ResourceExhausted, "TOO_MANY_ATTEMPTS".to_owned())));
    let elsewhere = Some(Peer(Some([8, 8, 8, 8].into())));
    assert!(fixture.user(elsewhere, &[("authorization", &right)]).await.is_ok());
    assert!(fixture.user(LOCAL, &[("authorization", &right)]).await.is_ok(), "known for the next minute");
}

/// Knows one token, and one that has ended.
#[derive(Debug, Default)]
struct TwoTokens {
    /// Whether nothing is known of them at once.
    has_to_wait: bool,
    /// How often they were looked up.
    lookups: AtomicUsize,
}

#[async_trait::async_trait]
impl Bearers for TwoTokens {
    fn may_know(&self, token: &str) -> bool {
        ["good", "ended"].contains(&token)
    }

    fn recall(&self, token: &str) -> Option<Proven> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let is_good = token == "good" && !self.has_to_wait;
        is_good.then(|| Proven::by_password("alice".to_owned()))
    }

    async fn check(&self, token: &str) -> Option<Result<Proven, Failure>> {
        match token {
            "good" => Some(Ok(Proven::by_password("alice".to_owned()))),
            "ended" => Some(Err(unauthenticated_for("the token has ended"))),
            _ => None,
        }
    }
}

#[tokio::test]
async fn who_tries_tokens_waits_and_an_honest_client_whose_token_has_ended_does_not() {
    let mut fixture = Fixture::passwords();
    fixture.authenticator = fixture.authenticator.with_tokens(vec![Arc::new(TwoTokens::default())]);
    let (guesser, honest) = (Some(Peer(Some([9, 9, 9, 9].into()))), Some(Peer(Some([8, 8, 8, 8].into()))));
    // Of those who wait only so many are let wait.
    let at_once = async |peer, authorization: &str| {
        let credentials = [("authorization", authorization)];
        let mut asked: FuturesUnordered<_> = (0..20).map(|_| fixture.user(peer, &credentials)).collect();
        while let Some(answer) = asked.next().await {
            if answer != unauthenticated() {
                return answer;
            }
        }
        unauthenticated()
    };
    let too_many = Err((Code::ResourceExhausted, "TOO_MANY_ATTEMPTS".to_owned()));
    let (good, alice) = ([("authorization", "Bearer good")], Ok(Some("alice".to_owned())));
    assert_eq!(fixture.user(honest, &good).await, alice);
    assert_eq!(at_once(honest, "Bearer ended").await, unauthenticated());
    assert_eq!(at_once(honest, &basic("alice", "ended")).await, unauthenticated());
    assert_eq!(at_once(guesser, "Bearer unknown").await, too_many);
    assert_eq!(fixture.user(guesser, &good).await, alice, "a good token does not wait");
    assert_eq!(at_once(guesser, "Bearer unknown").await, unauthenticated());
}

#[tokio::test]
async fn a_token_is_the_password_of_its_own_user_alone() {
    for has_to_wait in [false, true] {
        let mut fixture = Fixture::passwords();
        let tokens = Arc::new(TwoTokens { has_to_wait, ..TwoTokens::default() });
        fixture.authenticator = fixture.authenticator.with_tokens(vec![tokens]);
        let user = async |authorization: &str| fixture.user(LOCAL, &[("authorization", authorization)]).await;
        for authorization in ["Bearer good", &basic("alice", "good"), &basic("alice", "secret")] {
            assert_eq!(user(authorization).await, Ok(Some("alice".to_owned())), "{authorization}");
        }
        for authorization in ["Bearer ended", &basic("bob", "good"), &basic("alice", "ended"), &basic("", "good")] {
            assert_eq!(user(authorization).await, unauthenticated(), "{authorization}");
        }
    }
}

#[tokio::test]
async fn a_client_certificate_says_who_somebody_is() {
    let wrong = basic("alice", "wrong");
    for fixture in [Fixture::off(), Fixture::passwords(), Fixture::proxy()] {
        let mut request = request(CALL, LOCAL, &[("authorization", &wrong), ("x-user", "root")]);
        request.extensions_mut().insert(ClientUser("eva".into()));
        assert_eq!(fixture.ask(request).await.map(|identity| identity.user), Ok(Some("eva".to_owned())));
    }
    let mut only = Fixture::off();
    only.authenticator = only.authenticator.with_certificates(true);
    assert_eq!(only.user(LOCAL, &[("authorization", &basic("alice", "secret"))]).await, unauthenticated());
    assert!(only.ask(request("/grpc.health.v1.Health/Check", LOCAL, &[])).await.is_ok());
}

#[tokio::test]
async fn a_connection_learns_that_somebody_was_let_in_and_not_that_somebody_was_refused_or_asked_what_all_may() {
    let (right, wrong) = (basic("alice", "secret"), basic("alice", "wrong"));
    let (fixture, health) = (Fixture::passwords(), "/grpc.health.v1.Health/Check");
    for (path, password, is_admitted) in
        [(CALL, &wrong, false), (health, &wrong, false), (health, &right, false), (CALL, &right, true)]
    {
        let acquaintance = Acquaintance::default();
        let mut request = request(path, LOCAL, &[("authorization", password)]);
        request.extensions_mut().insert(acquaintance.clone());
        let _ = fixture.ask(request).await;
        assert_eq!(acquaintance.is_admitted(), is_admitted, "{path}");
    }
}

#[tokio::test]
async fn over_one_connection_everybody_is_who_they_prove_to_be_each_time() {
    let fixture = Fixture::passwords();
    let (right, wrong) = (basic("alice", "secret"), basic("alice", "wrong"));
    let acquaintance = Acquaintance::default();
    let ask = async |path, peer, headers: &[(&str, &str)]| {
        let mut request = request(path, peer, headers);
        request.extensions_mut().insert(acquaintance.clone());
        fixture.ask(request).await
    };
    let elsewhere = Some(Peer(Some([192, 0, 2, 1].into())));
    for _ in 0..3 {
        for peer in [LOCAL, elsewhere] {
            let alice = ask(CALL, peer, &[("authorization", &right)]).await.unwrap();
            assert_eq!((alice.user.as_deref(), alice.address), (Some("alice"), peer.unwrap().0));
        }
        for headers in [&[("authorization", &*wrong)][..], &[], &[("authorization", &right), ("authorization", &right)]]
        {
            assert_eq!(ask(CALL, elsewhere, headers).await, unauthenticated());
        }
    }
    std::fs::write(fixture.file.path(), "").unwrap();
    fixture.authenticator.reload().await;
    assert_eq!(
        ask(CALL, elsewhere, &[("authorization", &right)]).await,
        unauthenticated(),
        "who is gone is gone at once"
    );
}

#[tokio::test]
async fn who_says_the_same_again_over_a_connection_is_seldom_looked_up_and_recorded_each_time() {
    let (mut fixture, tokens) = (Fixture::passwords(), Arc::new(TwoTokens::default()));
    fixture.authenticator = fixture.authenticator.with_tokens(vec![Arc::clone(&tokens) as Arc<dyn Bearers>]);
    let acquaintance = Acquaintance::default();
    for _ in 0..100 {
        let (mut request, trail) = (request(CALL, LOCAL, &[("authorization", "Bearer good")]), Trail::kept());
        request.extensions_mut().insert(acquaintance.clone());
        request.extensions_mut().insert(trail.clone());
        assert_eq!(fixture.ask(request).await.unwrap().user.as_deref(), Some("alice"));
        assert_eq!((trail.user(), trail.proof(), trail.address()), ("alice", "token", LOCAL.unwrap().0));
    }
    // The tests beside this one change things, too.
    assert!(tokens.lookups.load(Ordering::Relaxed) < 50, "{tokens:?}");
}

#[tokio::test]
async fn a_missing_file_of_users_is_an_error() {
    let auth = config::Auth { htpasswd: Some("/nowhere/users".into()), ..config::Auth::default() };
    let error = Authenticator::from_config(&auth).unwrap_err();
    assert!(error.to_string().contains("/nowhere/users"), "{error}");
}

#[tokio::test]
async fn the_log_learns_the_address_of_those_who_are_refused() {
    let fixture = Fixture::new(|auth, path| {
        auth.htpasswd = Some(path.to_owned());
        auth.trusted_proxies = vec!["127.0.0.1".to_owned()];
    });
    for (password, user) in [("wrong", None), ("secret", Some("alice"))] {
        let credentials = basic("alice", password);
        let mut request = request(CALL, LOCAL, &[("authorization", &credentials), ("x-forwarded-for", "7.7.7.7")]);
        let note = CallerNote::default();
        request.extensions_mut().insert(note.clone());
        assert_eq!(fixture.ask(request).await.is_ok(), user.is_some());
        assert_eq!((note.address(), note.user()), (Some([7, 7, 7, 7].into()), user));
    }
}

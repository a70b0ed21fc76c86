//! Tokens of an issuer.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use steward_proto::lock::v1::ListRequest;
use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use tonic::{Code, Status};

use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::users::{htpasswd, signed};
use crate::common::wait::eventually;
use crate::issuer::{AUDIENCE, Issuer, Key, encoded, key_set, now};

/// Lists locks with a token; the code of the answer.
async fn grpc(server: &Server, token: &str) -> Result<(), Status> {
    let mut locks = LockServiceClient::new(server.channel());
    let request = signed(&format!("Bearer {token}"), ListRequest::default());
    locks.list(request).await.map(drop)
}

async fn code(server: &Server, token: &str) -> Code {
    grpc(server, token).await.map_or_else(|status| status.code(), |()| Code::Ok)
}

async fn http(server: &Server, token: &str) -> u16 {
    let authorization = format!("Bearer {token}");
    server.http().request("GET", "/metrics", &[("Authorization", &authorization)], b"").await.status
}

/// Returns when a token is taken.
async fn taken(server: &Server, token: &str) {
    eventually("the token is taken", async || (code(server, token).await == Code::Ok).then_some(())).await;
}

fn hang_up(server: &Server) {
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, Signal::HUP).expect("a living process can be told");
}

#[tokio::test]
async fn a_token_lets_its_user_in_on_both_wires_and_what_is_wrong_with_it_does_not() {
    let key = Key::new("one");
    let issuer = Issuer::start(&[&key]).await;
    let server = Setup::default().config(&issuer.settings()).start().await;
    let token = |others: &Value| key.token(issuer.url(), "alice", others);
    let good = token(&json!({}));
    taken(&server, &good).await;
    assert_eq!(http(&server, &good).await, 200);

    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let none = encoded(r#"{"alg":"none"}"#);
    let root = encoded(json!({"iss": issuer.url(), "aud": AUDIENCE, "sub": "root", "exp": now() + 300}).to_string());
    for (wrong, bad) in [
        ("expired", token(&json!({"exp": now() - 100}))),
        ("too early", token(&json!({"nbf": now() + 1000}))),
        ("for another server", token(&json!({"aud": "other"}))),
        ("of another issuer", token(&json!({"iss": "https://other.example.org"}))),
        ("no user", token(&json!({"sub": "../root"}))),
        ("another key of that name", Key::new("one").token(issuer.url(), "alice", &json!({}))),
        ("not signed", format!("{none}.{claims}.")),
        ("somebody else's", format!("{header}.{root}.{signature}")),
        ("garbage", "garbage".to_owned()),
        ("nothing", String::new()),
    ] {
        let status = grpc(&server, &bad).await.expect_err(wrong);
        assert_eq!(status.code(), Code::Unauthenticated, "{wrong}: {status:?}");
        assert_eq!(http(&server, &bad).await, 401, "{wrong}");
    }
    let log = server.log();
    let told = "login failed client=127.0.0.1 user=\"\" problem=\"the token has expired\"";
    assert!(log.contains(told), "failures are told: {log}");
    for secret in [&good, claims, signature] {
        assert!(!log.contains(secret), "no token is in the log");
    }
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_fetched_when_a_token_needs_it_and_not_all_the_time() {
    let (first, second) = (Key::new("first"), Key::new("second"));
    let issuer = Issuer::start(&[&first]).await;
    let server = Setup::default().config(&issuer.settings()).start().await;
    let [old, new] = [&first, &second].map(|key| key.token(issuer.url(), "alice", &json!({})));
    taken(&server, &old).await;
    assert_eq!(code(&server, &new).await, Code::Unauthenticated);

    issuer.publish(&[&second]);
    taken(&server, &new).await;
    assert_eq!(code(&server, &old).await, Code::Unauthenticated, "the old key was withdrawn");
    assert!(issuer.asked() <= 3, "however many tokens there were: {}", issuer.asked());

    // An operator need not wait.
    issuer.publish(&[&first]);
    hang_up(&server);
    taken(&server, &old).await;
}

#[tokio::test]
async fn without_its_issuer_a_server_serves_those_who_have_passwords() {
    let home = temporary::directory();
    let users = htpasswd(home.path(), &[("bob", "b")]);
    let key = Key::new("one");
    let issuer = Issuer::start(&[&key]).await;
    issuer.point_to(&format!("{}/moved", issuer.url()));
    let config = format!("[auth]\nhtpasswd = {users:?}\n{}", issuer.settings());
    let server = Setup::default().config(&config).start_in(home).await;

    let token = key.token(issuer.url(), "alice", &json!({}));
    assert_eq!(code(&server, &token).await, Code::Unavailable, "a redirect is not followed");
    let bob = server.http().request("GET", "/metrics", &[("Authorization", "Basic Ym9iOmI=")], b"").await;
    assert_eq!(bob.status, 200);
    eventually("it is told", async || server.log().contains("302").then_some(())).await;

    issuer.point_to("http://127.0.0.1:1/keys");
    hang_up(&server);
    issuer.point_to(&format!("{}/keys", issuer.url()));
    hang_up(&server);
    taken(&server, &token).await;
}

#[tokio::test]
async fn keys_in_a_file_are_read_again_when_it_changes() {
    let home = temporary::directory();
    let file = home.path().join("keys.json");
    let (first, second) = (Key::new("first"), Key::new("second"));
    replace(&file, &key_set(&[&first]));
    let settings = format!("[auth.oidc]\nissuer = \"local\"\naudience = {AUDIENCE:?}\nkeys = {file:?}\n");
    let server = Setup::default().config(&settings).start_in(home).await;
    let [old, new] = [&first, &second].map(|key| key.token("local", "alice", &json!({})));
    assert_eq!(code(&server, &old).await, Code::Ok, "from the first call on");

    replace(&file, &key_set(&[&second]));
    taken(&server, &new).await;
    assert_eq!(code(&server, &old).await, Code::Unauthenticated);

    replace(&file, "no keys");
    eventually("it is told", async || server.log().contains("the former ones stay").then_some(())).await;
    assert_eq!(code(&server, &new).await, Code::Ok);
}

fn replace(file: &Path, content: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, content).expect("a file can be written");
    std::fs::rename(new, file).expect("a file can be replaced");
}

#[tokio::test]
async fn settings_that_would_take_tokens_for_others_are_refused() {
    let home = temporary::directory();
    for (settings, told) in [
        ("issuer = \"https://a.example.org\"", "auth.oidc.audience"),
        ("audience = \"steward\"", "auth.oidc.issuer"),
        ("issuer = \"http://a.example.org\"\naudience = \"steward\"", "auth.oidc.issuer"),
        ("issuer = \"https://a\"\naudience = \"s\"\nalgorithms = [\"HS256\"]", "HS256"),
        ("issuer = \"https://a\"\naudience = \"s\"\nalgorithms = [\"none\"]", "none"),
        ("issuer = \"https://a\"\naudience = \"s\"\nuser_prefix = \"oidc:\"", "auth.oidc.user_prefix"),
        ("issuer = \"https://a\"\naudience = \"s\"\nkeys = \"/nowhere\"", "auth.oidc.keys"),
    ] {
        let output = Setup::default().config(&format!("[auth.oidc]\n{settings}\n")).refused(home.path()).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(told), "{settings}: {error}");
    }
}

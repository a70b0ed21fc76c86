//! Who logs in, and who fails to.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::{Duration, Instant};

use futures::future::{Either, select};

use crate::common::http::Answer;
use crate::common::server::{Server, Setup};
use crate::common::temporary;
use crate::common::users::{htpasswd, line};
use crate::common::wait::eventually;
use crate::vocabulary::{Repo, assert_ok, assert_refused};

/// What nothing else in the tests comes from.
const CLIENT: &str = "203.0.113.7";
const OTHER: &str = "203.0.113.8";
/// So many failures in a minute cost nothing.
const FREE_FAILURES: usize = 5;
/// What the first one costs that costs something.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// A server that believes these networks what they say of others.
async fn start(trusted: &str) -> Server {
    let home = temporary::directory();
    let file = htpasswd(home.path(), &[("alice", "wonder")]);
    let config = format!("[auth]\nhtpasswd = {file:?}\ntrusted_proxies = [{trusted}]\n[server]\nopen_metrics = true");
    Setup::default().config(&config).restic_listen().start_in(home).await
}

/// Asks for what everybody may see who is known, as a proxy does for somebody at an address.
async fn ask(server: &Server, password: &str, forwarded_for: &str) -> Answer {
    let repo = Repo::at(server.restic(), "/a/").by("alice", password);
    repo.request("GET", "data/", &[("X-Forwarded-For", forwarded_for)], b"").await
}

#[tokio::test]
async fn a_failed_login_is_challenged_and_logged_with_the_address_behind_the_proxy() {
    let server = start("\"127.0.0.1\"").await;

    let answer = ask(&server, "guessed", CLIENT).await;

    assert_refused(&answer, 401);
    assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic realm=")));
    let log = server.log();
    let line = log.lines().find(|line| line.contains("login failed")).expect("it is logged");
    assert!(line.contains(&format!("client={CLIENT}")) && line.contains("alice"), "{line}");
    assert!(!log.contains("guessed"), "{log}");
    assert!(server.http().get("/metrics").await.text().lines().any(|line| line == "steward_auth_failures_total 1"));
}

#[tokio::test]
async fn only_the_last_address_before_trusted_ones_is_believed() {
    let server = start("\"127.0.0.1\", \"10.0.0.0/8\"").await;
    ask(&server, "guessed", &format!("192.0.2.66, {CLIENT}, 10.1.2.3")).await;
    let log = server.log();
    assert!(log.contains(&format!("client={CLIENT} ")) && !log.contains("192.0.2.66"), "{log}");
}

#[tokio::test]
async fn who_is_not_trusted_cannot_say_that_it_is_somebody_else() {
    for trusted in ["", "\"10.0.0.0/8\""] {
        let server = start(trusted).await;
        // Nor can it get around the wait by it.
        let start = Instant::now();
        for last in 0..=FREE_FAILURES {
            assert_eq!(ask(&server, "guessed", &format!("203.0.113.{last}")).await.status, 401);
        }
        assert!(start.elapsed() >= FIRST_DELAY, "{:?}", start.elapsed());
        let log = server.log();
        assert!(log.contains("client=127.0.0.1 ") && !log.contains("203.0.113."), "{log}");
    }
}

#[tokio::test]
async fn who_fails_again_and_again_waits_and_nobody_else_does() {
    let server = start("\"127.0.0.1\"").await;
    let mut longest = Duration::ZERO;
    for _ in 0..FREE_FAILURES + 2 {
        let start = Instant::now();
        assert_eq!(ask(&server, "guessed", CLIENT).await.status, 401);
        longest = longest.max(start.elapsed());
    }
    assert!(longest >= FIRST_DELAY * 2, "the wait doubles: {longest:?}");

    // It waits a second now. Meanwhile others are answered, and so is the one who has the password.
    let slow = Box::pin(ask(&server, "guessed", CLIENT));
    let others = Box::pin(async {
        assert_eq!(ask(&server, "guessed", OTHER).await.status, 401);
        assert_eq!(ask(&server, "wonder", OTHER).await.status, 404, "alice is known");
        assert_eq!(ask(&server, "wonder", CLIENT).await.status, 404, "alice is known");
    });
    match select(others, slow).await {
        Either::Left(((), slow)) => assert_eq!(slow.await.status, 401),
        Either::Right(_) => panic!("who fails again and again is answered before others"),
    }
}

#[tokio::test]
async fn a_user_who_is_added_to_the_file_gets_in_without_a_restart_and_one_who_is_removed_does_not() {
    let server = start("\"127.0.0.1\"").await;
    let repo = Repo::at(server.restic(), "/a/");
    repo.by("alice", "wonder").create().await;
    let file = server.home().join("htpasswd");
    let mut users = OpenOptions::new().append(true).open(&file).expect("the file of users");
    users.write_all(line("bob", "builder").as_bytes()).expect("it can be written");
    // Each time from somewhere else: who fails again and again waits for the answer.
    let tries = Cell::new(0);
    let knows = async |user: &str, password: &str| {
        tries.set(tries.get() + 1);
        let address = format!("2001:db8:0:{:x}::1", tries.get());
        let answer = repo.by(user, password).request("GET", "data/", &[("X-Forwarded-For", &address)], b"").await;
        assert!(matches!(answer.status, 200 | 401), "{}", answer.status);
        answer.status == 200
    };

    eventually("bob is known", async || knows("bob", "builder").await.then_some(())).await;

    assert!(knows("alice", "wonder").await);
    std::fs::write(&file, line("bob", "builder")).expect("it can be written");
    eventually("alice is known no more", async || (!knows("alice", "wonder").await).then_some(())).await;
    assert!(knows("bob", "builder").await);
    assert_ok(&repo.by("bob", "builder").get("data/").await);
    eventually("the log tells of it", async || server.log().contains("read again").then_some(())).await;
}

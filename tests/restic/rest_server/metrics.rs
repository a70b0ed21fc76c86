//! Who may read the metrics.

use crate::common::http::Answer;
use crate::common::rest_server::{RestServer, RestSetup};
use crate::common::temporary;
use crate::common::users::htpasswd;
use crate::numbers::Numbers;
use crate::vocabulary::{Repo, assert_ok, blob};

const USERS: [(&str, &str); 2] = [("alice", "a"), ("metrics", "m")];

async fn start(flags: &[&str]) -> RestServer {
    let home = temporary::directory();
    let users = htpasswd(home.path(), &USERS);
    let path = home.path().join("repositories");
    RestSetup::default().flags(["--htpasswd-file", &users]).flags(flags.iter().copied()).start_on(home, path).await
}

async fn ask(server: &RestServer, user: Option<&str>) -> Answer {
    let root = Repo::at(server.http(), "/");
    let password = USERS.iter().find(|(known, _)| Some(*known) == user).map_or("guessed", |(_, password)| password);
    user.map_or_else(|| root.clone(), |user| root.by(user, password)).get("metrics").await
}

#[tokio::test]
async fn they_are_there_only_when_they_are_asked_for() {
    let server = start(&[]).await;
    let answer = ask(&server, Some("alice")).await;
    assert!(matches!(answer.status, 400 | 404), "{}", answer.status);
}

#[tokio::test]
async fn a_user_reads_them_and_they_name_who_did_what() {
    let server = start(&["--prometheus"]).await;
    let repo = Repo::at(server.http(), "/laptops/one/").by("alice", "a");
    let object = blob("an object");
    repo.store("data", &object).await;
    assert_ok(&repo.get(&format!("data/{}", object.name)).await);

    let stranger = ask(&server, None).await;
    assert_eq!(stranger.status, 401);
    let is_challenged = stranger.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic"));
    assert!(is_challenged || server.is_original());
    assert!(!stranger.text().contains("rest_server"));
    assert_eq!(ask(&server, Some("nobody")).await.status, 401);

    let answer = ask(&server, Some("alice")).await;
    assert_ok(&answer);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let numbers = Numbers::read(answer.text());
    let labels = [("user", "alice"), ("repo", "laptops/one"), ("type", "data")];
    for (name, value) in
        [("write_total", 1.0), ("write_bytes_total", 9.0), ("read_total", 1.0), ("read_bytes_total", 9.0)]
    {
        assert_eq!(numbers.get(&format!("rest_server_blob_{name}"), &labels), Some(value), "{name}");
    }
}

#[tokio::test]
async fn where_repositories_are_private_one_user_reads_them() {
    let server = start(&["--prometheus", "--private-repos"]).await;
    assert_ok(&ask(&server, Some("metrics")).await);
    let alice = ask(&server, Some("alice")).await;
    assert!(matches!(alice.status, 401 | 403), "{}", alice.status);
}

#[tokio::test]
async fn anybody_reads_them_where_that_is_said() {
    let server = start(&["--prometheus", "--prometheus-no-auth"]).await;
    assert_ok(&ask(&server, None).await);
    let server = RestServer::open().flags(["--prometheus"]).start().await;
    assert_ok(&ask(&server, None).await);
}

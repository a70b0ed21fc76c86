//! What it writes of requests, and what it never writes.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use regex::Regex;

use crate::common::rest_server::{RestServer, RestSetup};
use crate::common::temporary;
use crate::common::users::htpasswd;
use crate::common::wait::eventually;
use crate::tree::files;
use crate::vocabulary::{Repo, blob};

const PASSWORD: &str = "correct-horse";
const GUESS: &str = "battery-staple";

async fn start(flags: &[&str]) -> RestServer {
    let home = temporary::directory();
    let users = htpasswd(home.path(), &[("alice", PASSWORD)]);
    let path = home.path().join("repositories");
    RestSetup::default().flags(["--htpasswd-file", &users]).flags(flags.iter().copied()).start_on(home, path).await
}

/// What of a line is the same on every day.
fn assert_line(line: &str, client: &str, rest: &str) {
    let form = Regex::new(r"^(\S+ - \S+) \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] (.*)$").expect("a form");
    let parts = form.captures(line).unwrap_or_else(|| panic!("not of the combined form: {line}"));
    assert_eq!((&parts[1], &parts[2]), (client, rest));
}

#[tokio::test]
async fn each_request_has_its_line_with_the_name_of_its_user() {
    let mut server = start(&["--log", "-"]).await;
    if server.is_original() {
        // It knows no names, and leaves empty what is not there.
        return;
    }
    let repo = Repo::at(server.http(), "/a/");
    let agent = [("User-Agent", "restic/0.19"), ("Referer", "http://alice:secret@here/")];
    let object = blob("an object");

    repo.by("alice", PASSWORD).request("POST", "?create=true", &agent, b"").await;
    assert_line(
        &server.next_line().await,
        "127.0.0.1 - alice",
        r#""POST /a/?create=true HTTP/1.1" 200 0 "-" "restic/0.19""#,
    );
    repo.by("alice", PASSWORD).store("data", &object).await;
    let stored = format!(r#""POST /a/data/{} HTTP/1.1" 200 0 "-" "-""#, object.name);
    assert_line(&server.next_line().await, "127.0.0.1 - alice", &stored);
    repo.by("alice", PASSWORD).get(&format!("data/{}", object.name)).await;
    let read = format!(r#""GET /a/data/{} HTTP/1.1" 200 9 "-" "-""#, object.name);
    assert_line(&server.next_line().await, "127.0.0.1 - alice", &read);
    // A name that nobody has proved is no name.
    let refused = repo.by("alice", GUESS).get("config").await;
    let refusal = format!(r#""GET /a/config HTTP/1.1" 401 {} "-" "-""#, refused.body.len());
    assert_line(&server.next_line().await, "127.0.0.1 - -", &refusal);
}

#[tokio::test]
async fn lines_can_go_to_a_file() {
    let home = temporary::directory();
    let log = home.path().join("access.log");
    let server = start(&["--log", log.to_str().expect("UTF-8")]).await;
    Repo::at(server.http(), "/a/").by("alice", PASSWORD).create().await;
    let is_original = server.is_original();
    let line =
        eventually("the line is written", async || fs::read_to_string(&log).ok().filter(|lines| lines.ends_with('\n')))
            .await;
    let (who, unknown) = if is_original { ("-", "") } else { ("alice", "-") };
    let rest = format!(r#""POST /a/?create=true HTTP/1.1" 200 0 "{unknown}" "{unknown}""#);
    assert_line(line.trim_end(), &format!("127.0.0.1 - {who}"), &rest);
}

fn assert_has_none_of(secrets: &[String], text: &str, whose: &str) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{secret} in {whose}: {text}");
    }
}

#[tokio::test]
async fn no_log_has_a_password_and_neither_has_the_disk() {
    let home = temporary::directory();
    let access = home.path().join("access.log");
    let mut server = start(&["--debug", "--log", access.to_str().expect("UTF-8")]).await;
    let basic = |password: &str| BASE64_STANDARD.encode(format!("alice:{password}"));
    let secrets = [PASSWORD.to_owned(), GUESS.to_owned(), basic(PASSWORD), basic(GUESS)];
    for path in ["/a/", "/b/c/"] {
        let repo = Repo::at(server.http(), path);
        for password in [PASSWORD, GUESS] {
            let user = repo.by("alice", password);
            user.post("?create=true", b"").await;
            user.get("config").await;
            let referer = format!("http://alice:{password}@127.0.0.1/");
            // The original writes it as it comes.
            let headers = [("Referer", referer.as_str())];
            user.request("GET", "data/", if server.is_original() { &[] } else { &headers }, b"").await;
        }
    }
    // A password instead of a name, and the scheme that nobody knows.
    Repo::at(server.http(), "/a/").request("GET", "config", &[("Authorization", GUESS)], b"").await;
    Repo::at(server.http(), "/a/").request("GET", "config", &[("Authorization", &secrets[2])], b"").await;
    assert!(server.terminate().await.success());

    let log = server.log();
    assert!(log.contains("login failed") || server.is_original(), "{log}");
    assert_has_none_of(&secrets, &log, "the log");
    let access = fs::read_to_string(&access).expect("the log of requests");
    assert!(access.lines().count() >= 14, "{access}");
    assert_has_none_of(&secrets, &access, "the log of requests");
    for file in files(server.path()) {
        let content = fs::read(server.path().join(&file)).expect("a file");
        assert_has_none_of(&secrets, &String::from_utf8_lossy(&content), &Path::new(&file).display().to_string());
    }
}

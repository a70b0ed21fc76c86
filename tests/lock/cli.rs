//! `steward lock …`, as people and scripts at a shell use it.

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use steward_proto::lock::v1::{ForceReleaseRequest, LockKey, Outcome};
use tokio::process::{Child, Command};

use crate::common::process::STEWARD;
use crate::common::server::Server;
use crate::common::wait::{eventually, within};
use crate::vocabulary::{Locks, acquire, pull};

const KEY: &str = "pull/sha256:abc";

fn key() -> LockKey {
    pull("sha256:abc")
}

fn steward(server: &Server, args: &[&str]) -> Command {
    let mut command = Command::new(STEWARD);
    command.arg("lock").arg(args[0]).args(["--server", &server.grpc_url()]).args(&args[1..]).kill_on_drop(true);
    command
}

/// Starts a command that is not read.
fn start(server: &Server, args: &[&str]) -> Child {
    let mut command = steward(server, args);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the binary can be started")
}

async fn run(server: &Server, args: &[&str]) -> Output {
    within("the command ends", steward(server, args).output()).await.expect("the binary can be started")
}

async fn json(server: &Server, args: &[&str]) -> (Option<i32>, Value) {
    let output = run(server, &[args, &["--json"]].concat()).await;
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let read = serde_json::from_str(&text);
    let error = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), read.unwrap_or_else(|_| panic!("not one JSON object: {text:?} {error}")))
}

/// How often the command in question ran.
fn runs(marker: &Path) -> usize {
    std::fs::read_to_string(marker).map_or(0, |text| text.lines().count())
}

#[tokio::test]
async fn work_that_is_done_is_not_run_a_second_time() {
    let server = Server::start().await;
    let home = tempfile::tempdir().expect("a temporary directory");
    let marker = home.path().join("runs");
    let command = format!("echo pulled >> '{}'", marker.display());
    for time in ["first", "second"] {
        let output = run(&server, &["run", "--skip-completed", KEY, "--", "sh", "-c", &command]).await;
        assert_eq!(output.status.code(), Some(0), "{time}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(runs(&marker), 1);
    assert!(Locks::of(&server).get(&key()).await.completion.is_some());
}

#[tokio::test]
async fn a_command_that_fails_passes_its_code_on_and_leaves_the_work_to_be_done() {
    let server = Server::start().await;
    for code in [7, 1] {
        let output = run(&server, &["run", "--skip-completed", KEY, "--", "sh", "-c", &format!("exit {code}")]).await;
        assert_eq!(output.status.code(), Some(code));
    }
    let lock = Locks::of(&server).get(&key()).await;
    assert_eq!((lock.holder_count, lock.completion), (0, None));
}

#[tokio::test]
async fn what_the_command_says_is_passed_on_and_it_knows_its_token() {
    let server = Server::start().await;
    let output =
        run(&server, &["run", KEY, "--", "sh", "-c", "echo \"$STEWARD_LOCK_FENCING_TOKEN\"; echo oops >&2"]).await;
    let token: i64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a token");
    assert!(token > 0);
    assert!(String::from_utf8_lossy(&output.stderr).contains("oops"));
}

#[tokio::test]
async fn the_lock_is_held_while_the_command_runs_and_the_next_one_waits() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let held = locks.hold(acquire(&key(), "somebody")).await;
    let mut waiting = start(&server, &["run", KEY, "--", "true"]);
    locks.see_waiters(&key(), 1).await;

    locks.give_back(&held, Outcome::Failed).await;

    assert_eq!(within("it ends", waiting.wait()).await.expect("a child").code(), Some(0));
}

#[tokio::test]
async fn waiting_ends_with_the_timeout() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    locks.hold(acquire(&key(), "somebody")).await;

    let output = run(&server, &["run", "--timeout", "200ms", KEY, "--", "echo", "never"]).await;

    assert_eq!(output.status.code(), Some(75));
    assert_eq!(output.stdout, b"");
    assert_eq!(locks.get(&key()).await.waiter_count, 0);
}

#[tokio::test]
async fn a_command_whose_lock_is_lost_is_killed_at_once() {
    let server = Server::start().await;
    let locks = Locks::of(&server);
    let home = tempfile::tempdir().expect("a temporary directory");
    let (started, ended) = (home.path().join("started"), home.path().join("ended"));
    let script = format!("echo $$ > '{}'; sleep 100; echo > '{}'", started.display(), ended.display());
    // The next renewal is minutes away: the loss is learned by watching.
    let run = ["run", "--ttl", "1h", KEY, "--", "sh", "-c", &script];
    let mut running = start(&server, &run);
    let read_pid = || async { std::fs::read_to_string(&started).ok()?.trim().parse::<u32>().ok() };
    let pid = eventually("the command runs", read_pid).await;

    let request = ForceReleaseRequest { key: Some(key()), reason: "test".to_owned(), ..ForceReleaseRequest::default() };
    within("an answer", locks.client.clone().force_release(request)).await.expect("it is held");

    assert_eq!(within("it ends", running.wait()).await.expect("a child").code(), Some(76));
    assert!(!ended.exists());
    let is_gone = || async { (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()) };
    eventually("the command is gone", is_gone).await;
}

#[tokio::test]
async fn a_command_outlives_a_restart_of_the_server() {
    let mut server = Server::start().await;
    let home = tempfile::tempdir().expect("a temporary directory");
    let (started, go_on) = (home.path().join("started"), home.path().join("go-on"));
    let script = format!("echo > '{}'; while [ ! -e '{}' ]; do sleep 0.05; done", started.display(), go_on.display());
    let mut running = start(&server, &["run", KEY, "--", "sh", "-c", &script]);
    eventually("the command runs", || async { started.exists().then_some(()) }).await;

    server.restart().await;
    std::fs::write(&go_on, "").expect("it can be written");

    assert_eq!(within("it ends", running.wait()).await.expect("a child").code(), Some(0));
    assert!(Locks::of(&server).get(&key()).await.completion.is_some(), "the success was reported");
}

#[tokio::test]
async fn locks_are_taken_shown_and_given_back_by_scripts() {
    let server = Server::start().await;
    let (code, granted) = json(&server, &["acquire", KEY, "--owner", "NODEA", "--ttl", "60s"]).await;
    assert_eq!((code, &granted["status"]), (Some(0), &"granted".into()));
    assert_eq!(granted["grant"]["owner"], "NODEA");

    let (code, contended) = json(&server, &["acquire", KEY, "--owner", "NODEB"]).await;
    assert_eq!((code, &contended["status"]), (Some(3), &"contended".into()));

    let (code, status) = json(&server, &["status", KEY]).await;
    assert_eq!((code, &status["holder_count"]), (Some(0), &1.into()));
    assert_eq!(status["holders"][0]["owner"], "NODEA");
    let (_, listed) = json(&server, &["list"]).await;
    assert_eq!(listed["key"]["resource_id"], "sha256:abc");

    let grant_id = granted["grant"]["grant_id"].as_str().expect("a grant id");
    let (code, _) = json(&server, &["release", KEY, "--grant-id", grant_id]).await;
    assert_eq!(code, Some(0));
    let (_, status) = json(&server, &["status", KEY]).await;
    assert_eq!(status["holder_count"], 0);
}

#[tokio::test]
async fn people_read_who_holds_the_lock() {
    let server = Server::start().await;
    run(&server, &["acquire", KEY, "--owner", "NODEA"]).await;
    for args in [&["status", KEY][..], &["list"]] {
        let output = run(&server, args).await;
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("NODEA") && text.contains("sha256:abc"), "{args:?}: {text}");
    }
}

#[tokio::test]
async fn an_operator_takes_a_lock_away() {
    let server = Server::start().await;
    run(&server, &["acquire", KEY, "--owner", "ghost"]).await;
    let (code, taken) = json(&server, &["force-release", KEY, "--reason", "node is dead"]).await;
    assert_eq!((code, &taken["released_count"]), (Some(0), &1.into()));
    assert_eq!(Locks::of(&server).get(&key()).await.holder_count, 0);
}

#[tokio::test]
async fn a_server_that_is_away_is_named() {
    let mut server = Server::start().await;
    server.kill9().await;
    let output = run(&server, &["status", KEY]).await;
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains(&server.grpc_address().to_string()), "{message}");
}

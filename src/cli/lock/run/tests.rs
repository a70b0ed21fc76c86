//! `lock run` against a server that is taken away, restarted and turned against it.

mod pipe;

use clap::Parser;
use rustix::process::Signal;
use tokio::sync::mpsc;

use self::pipe::Pipe;
use super::*;
use crate::cli::lock::fake::Fake;
use crate::cli::lock::{LockArgs, LockCommand};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    lock: LockArgs,
}

/// A `lock run pull/a --owner me` that a test starts and sends signals to.
struct Trial {
    server: Server,
    args: RunArgs,
    signals: Signals,
    sender: mpsc::UnboundedSender<Signal>,
}

impl Trial {
    fn new(fake: &Fake, words: &[&str]) -> Self {
        let url = fake.url();
        let start = ["steward", "--server", &url, "run", "pull/a", "--owner", "me"];
        let cli = Cli::parse_from(start.iter().chain(words));
        let LockCommand::Run(args) = cli.lock.command else { panic!("not a run") };
        let (sender, signals) = Signals::scripted();
        Trial { server: cli.lock.client.server().clone(), args: *args, signals, sender }
    }

    async fn run(self) -> Exit {
        let notices = Notices::start(io::sink());
        let _open = self.sender;
        run_with(&self.args, &self.server, self.signals, &notices).await
    }

    /// Runs it beside the test. The handle has its exit, the sender sends it signals.
    fn spawn(self) -> (tokio::task::JoinHandle<Exit>, mpsc::UnboundedSender<Signal>) {
        let sender = self.sender.clone();
        (tokio::spawn(self.run()), sender)
    }
}

async fn run(fake: &Fake, words: &[&str]) -> Exit {
    Trial::new(fake, words).run().await
}

fn exit_code(code: i32) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    Exit::of_command(std::process::ExitStatus::from_raw(code << 8))
}

#[tokio::test]
async fn the_command_sees_its_lock_and_its_success_is_recorded() {
    let fake = Fake::start();
    let script = r#"test "$STEWARD_LOCK_KEY $STEWARD_LOCK_FENCING_TOKEN $STEWARD_LOCK_GRANT_ID" = "pull/a 1 grant-1""#;
    assert_eq!(run(&fake, &["--", "sh", "-c", script]).await, Exit::DONE);
    fake.look(|state| {
        assert!(state.holder.is_none());
        assert_eq!(state.releases[0].outcome(), pb::Outcome::Succeeded);
    });
}

#[tokio::test]
async fn the_code_of_the_command_is_passed_on_and_recorded_as_failure() {
    let fake = Fake::start();
    assert_eq!(run(&fake, &["--", "sh", "-c", "exit 7"]).await, exit_code(7));
    assert_eq!(run(&fake, &["--", "sh", "-c", "kill -KILL $$"]).await, Exit::of_signal(Signal::KILL));
    fake.look(|state| {
        let errors: Vec<_> = state.releases.iter().map(|release| release.error.as_str()).collect();
        assert_eq!(errors, ["exit status 7", "killed by signal 9"]);
        assert!(state.releases.iter().all(|release| release.outcome() == pb::Outcome::Failed));
    });
}

#[tokio::test]
async fn a_command_that_cannot_start_is_told_as_shells_tell_it() {
    let fake = Fake::start();
    assert_eq!(run(&fake, &["--", "/no/such/command"]).await, Exit::NOT_FOUND);
    assert_eq!(run(&fake, &["--", "/dev/null"]).await, Exit::NOT_EXECUTABLE);
    fake.look(|state| assert!(state.holder.is_none() && state.releases.len() == 2));
}

#[tokio::test]
async fn completed_work_is_skipped_only_when_asked_for() {
    let fake = Fake::start();
    fake.change(|state| state.completion = Some(pb::Completion::default()));
    assert_eq!(run(&fake, &["--skip-completed", "--", "sh", "-c", "exit 9"]).await, Exit::DONE);
    assert_eq!(run(&fake, &["--", "sh", "-c", "exit 9"]).await, exit_code(9));
}

#[tokio::test]
async fn a_lock_that_is_not_free_in_time_is_a_temporary_failure() {
    let fake = Fake::start();
    fake.change(|state| drop(state.grant_to("other")));
    assert_eq!(run(&fake, &["--timeout", "0s", "--", "true"]).await, Exit::NOT_IN_TIME);
    assert_eq!(run(&fake, &["--timeout", "100ms", "--", "true"]).await, Exit::NOT_IN_TIME);
    fake.look(|state| assert_eq!(state.holder.as_ref().unwrap().owner, "other"));
}

#[tokio::test]
async fn an_absent_server_has_its_own_code() {
    let mut fake = Fake::start();
    fake.stop();
    assert_eq!(run(&fake, &["--", "true"]).await, Exit::UNREACHABLE);
}

#[tokio::test]
async fn a_wait_goes_on_when_the_server_restarts() {
    let mut fake = Fake::start();
    fake.change(|state| drop(state.grant_to("other")));
    let (run, _signals) = Trial::new(&fake, &["--", "sh", "-c", "exit 3"]).spawn();
    fake.until(|state| state.acquires.len() == 2).await;
    fake.stop();
    fake.start_again();
    fake.until(|state| state.acquires.len() == 3).await;
    fake.change(|state| state.holder = None);
    assert_eq!(run.await.unwrap(), exit_code(3));
    fake.look(|state| {
        assert_eq!(state.acquires[2].policy(), pb::WaitPolicy::Block);
        assert!(state.acquires.iter().all(|ask| ask.owner == "me" && ask.request_id == state.acquires[0].request_id));
    });
}

#[tokio::test]
async fn a_grant_that_ended_unheard_is_asked_for_anew() {
    let fake = Fake::start();
    fake.change(|state| state.is_request_ended = true);
    assert_eq!(run(&fake, &["--", "true"]).await, Exit::DONE);
    fake.look(|state| assert_ne!(state.acquires[0].request_id, state.acquires[1].request_id));
}

#[tokio::test]
async fn a_signal_ends_the_wait_and_leaves_the_queue() {
    let fake = Fake::start();
    fake.change(|state| drop(state.grant_to("other")));
    let (run, signals) = Trial::new(&fake, &["--", "true"]).spawn();
    fake.until(|state| state.acquires.len() == 2).await;
    signals.send(Signal::INT).unwrap();
    assert_eq!(run.await.unwrap(), Exit::of_signal(Signal::INT));
    fake.look(|state| assert_eq!(state.cancel_count, 1));
}

#[tokio::test]
async fn a_grant_that_was_long_in_coming_is_renewed_before_the_command_starts() {
    let fake = Fake::start();
    fake.change(|state| drop(state.grant_to("other")));
    let (run, _signals) = Trial::new(&fake, &["--ttl", "6s", "--", "true"]).spawn();
    fake.until(|state| state.acquires.len() == 2).await;
    // Time has to pass: a third of the ttl.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    fake.change(|state| state.holder = None);
    assert_eq!(run.await.unwrap(), Exit::DONE);
    fake.look(|state| assert!(state.renewal_count >= 1));
}

#[tokio::test]
async fn a_command_whose_lock_was_taken_is_stopped_with_all_that_it_started() {
    let fake = Fake::start();
    let mut pipe = Pipe::new();
    let script = pipe.script("sleep 1000 & echo started >&3; wait");
    let (run, _signals) = Trial::new(&fake, &["--ttl", "6s", "--", "sh", "-c", &script]).spawn();
    pipe.read_start().await;
    fake.change(|state| drop(state.grant_to("other")));
    assert_eq!(run.await.unwrap(), Exit::LOST);
    pipe.read_end().await;
    fake.look(|state| assert!(state.releases.is_empty()));
}

#[tokio::test]
async fn a_command_that_ignores_sigterm_is_killed() {
    let fake = Fake::start();
    let mut pipe = Pipe::new();
    let script = pipe.script("trap '' TERM; sleep 1000 & echo started >&3; wait");
    let words = ["--ttl", "6s", "--kill-grace", "100ms", "--", "sh", "-c", &script];
    let (run, _signals) = Trial::new(&fake, &words).spawn();
    pipe.read_start().await;
    fake.change(|state| state.holder = None);
    assert_eq!(run.await.unwrap(), Exit::LOST);
    pipe.read_end().await;
}

#[tokio::test]
async fn what_outlives_the_command_after_sigterm_gets_the_rest_of_the_grace() {
    let fake = Fake::start();
    let mut pipe = Pipe::new();
    // The shell ends at once; its child cleans up first.
    let script = pipe
        .script("sh -c 'trap \"echo cleaned >&3; exit\" TERM; echo started >&3; while :; do sleep 0.05; done' & wait");
    let words = ["--ttl", "6s", "--kill-grace", "60s", "--", "sh", "-c", &script];
    let (run, _signals) = Trial::new(&fake, &words).spawn();
    pipe.read_start().await;
    fake.change(|state| state.holder = None);
    assert_eq!(run.await.unwrap(), Exit::LOST);
    assert_eq!(pipe.read_end().await, "cleaned\n");
}

#[tokio::test]
async fn a_lock_that_cannot_be_renewed_in_time_is_lost() {
    let mut fake = Fake::start();
    let mut pipe = Pipe::new();
    let script = pipe.script("sleep 1000 & echo started >&3; wait");
    let (run, _signals) = Trial::new(&fake, &["--ttl", "4s", "--", "sh", "-c", &script]).spawn();
    pipe.read_start().await;
    fake.stop();
    assert_eq!(run.await.unwrap(), Exit::LOST);
    pipe.read_end().await;
}

#[tokio::test]
async fn a_restart_of_the_server_is_survived_and_signals_reach_the_command() {
    let mut fake = Fake::start();
    let mut pipe = Pipe::new();
    let script = pipe.script("sleep 1000 & echo started >&3; wait");
    let (run, signals) = Trial::new(&fake, &["--ttl", "6s", "--", "sh", "-c", &script]).spawn();
    pipe.read_start().await;
    fake.until(|state| state.renewal_count == 1).await;
    fake.stop();
    fake.start_again();
    fake.until(|state| state.renewal_count >= 2).await;
    signals.send(Signal::HUP).unwrap();
    assert_eq!(run.await.unwrap(), Exit::of_signal(Signal::HUP));
    pipe.read_end().await;
    fake.look(|state| assert_eq!(state.releases[0].error, "killed by signal 1"));
}

#[tokio::test]
async fn the_release_waits_for_the_server_to_come_back() {
    let mut fake = Fake::start();
    let mut pipe = Pipe::new();
    let script = pipe.script("echo started >&3; exec sleep 1000");
    let (run, signals) = Trial::new(&fake, &["--", "sh", "-c", &script]).spawn();
    pipe.read_start().await;
    fake.stop();
    signals.send(Signal::TERM).unwrap();
    pipe.read_end().await;
    fake.start_again();
    assert_eq!(run.await.unwrap(), Exit::of_signal(Signal::TERM));
    fake.look(|state| assert!(state.holder.is_none()));
}

#[test]
fn ttls_and_graces_have_their_limits() {
    assert_eq!(parse_ttl("30s"), Ok(Duration::from_secs(30)));
    assert!(parse_ttl("1ms").is_err() && parse_ttl("721h").is_err());
    assert!(parse_grace("0s").is_ok() && parse_grace("25h").is_err());
}

//! The short commands against a small server: what they print, and what they survive.

use clap::Parser;
use steward_proto::lock::v1 as pb;

use super::fake::Fake;
use super::*;
use crate::cli::testing::{Output, console_of};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    lock: LockArgs,
}

async fn execute(url: &str, words: &[&str], output: &Output) -> Result<Exit, Error> {
    let cli = Cli::parse_from(["steward", "--server", url].iter().chain(words));
    let mut console = console_of(words, output);
    answer(cli.lock.command, cli.lock.client.server(), &mut console).await
}

fn locks(count: usize) -> Vec<pb::Lock> {
    let key = |number| pb::LockKey { r#type: "pull".to_owned(), resource_id: format!("{number:04}") };
    (0..count).map(|number| pb::Lock { key: Some(key(number)), ..pb::Lock::default() }).collect()
}

#[tokio::test]
async fn acquire_tells_the_decision_by_its_code() {
    let fake = Fake::start();
    let output = Output::new();
    let words = ["acquire", "pull/a", "--owner", "me", "--ttl", "1m"];
    assert_eq!(execute(&fake.url(), &words, &output).await.unwrap(), Exit::DONE);
    assert!(output.text().starts_with("granted pull/a to me\n  fencing token  1\n  grant id       grant-1\n"));
    let words = ["acquire", "pull/a", "--owner", "you", "--wait=10ms"];
    assert_eq!(execute(&fake.url(), &words, &output).await.unwrap(), Exit::CONTENDED);
    fake.look(|state| {
        assert_eq!(state.acquires[0].policy(), pb::WaitPolicy::Try);
        assert_eq!(state.acquires[0].completion_policy(), pb::CompletionPolicy::Ignore);
        assert_eq!(state.acquires[1].policy(), pb::WaitPolicy::Block);
    });
}

#[tokio::test]
async fn a_grant_id_wins_over_an_owner() {
    let fake = Fake::start();
    let words = ["release", "pull/a", "--owner", "me", "--grant-id", "g"];
    let error = execute(&fake.url(), &words, &Output::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "refused by the fake (NOT_HOLDER)");
    fake.look(|state| {
        let holder = state.releases[0].holder.clone();
        assert_eq!(holder, Some(pb::release_request::Holder::GrantId("g".to_owned())));
    });
}

#[tokio::test]
async fn a_list_goes_through_all_pages() {
    let fake = Fake::start();
    fake.change(|state| state.stored_locks = locks(1203));
    let output = Output::new();
    execute(&fake.url(), &["list", "--json"], &output).await.unwrap();
    let lines: Vec<serde_json::Value> = output.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1203);
    assert_eq!(lines[1202]["key"]["resource_id"], "1202");
    fake.look(|state| assert_eq!(state.lists.len(), 3));
}

#[tokio::test]
async fn a_limited_list_asks_for_no_more() {
    let fake = Fake::start();
    fake.change(|state| state.stored_locks = locks(20));
    let output = Output::new();
    execute(&fake.url(), &["list", "--limit", "2"], &output).await.unwrap();
    assert_eq!(
        output.text(),
        "KEY        STATE  OWNER  TOKEN  EXPIRES  WAITERS\n\
         pull/0000  free   -      -      -        0\n\
         pull/0001  free   -      -      -        0\n"
    );
    fake.look(|state| assert_eq!(state.lists[0].page_size, 2));
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was() {
    let mut fake = Fake::start();
    let (url, output) = (fake.url(), Output::new());
    let seen = output.clone();
    let watch = tokio::spawn(async move { execute(&url, &["watch", "--json"], &output).await });
    seen.until(|text| text.contains(r#"{"revision":6,"event""#)).await;
    fake.stop();
    fake.start_again();
    fake.until(|state| state.watches.len() == 2).await;
    fake.look(|state| assert_eq!(state.watches[1].from_revision, 6));
    watch.abort();
}

#[tokio::test]
async fn a_watch_whose_point_is_forgotten_starts_again() {
    let mut fake = Fake::start();
    fake.change(|state| state.is_watch_compacted = true);
    let (url, output) = (fake.url(), Output::new());
    let seen = output.clone();
    let watch = tokio::spawn(async move { execute(&url, &["watch", "--json"], &output).await });
    seen.until(|text| text.contains("event")).await;
    fake.stop();
    fake.start_again();
    seen.until(|text| text.matches(r#""event""#).count() == 2).await;
    fake.look(|state| {
        let points: Vec<_> = state.watches.iter().map(|watch| watch.from_revision).collect();
        assert_eq!(points, [0, 6, 0]);
    });
    watch.abort();
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

#[test]
fn a_release_needs_to_know_whose() {
    // The environment of the test may name an owner.
    if std::env::var_os("STEWARD_OWNER").is_none() {
        assert!(Cli::try_parse_from(["steward", "release", "pull/a"]).is_err());
    }
}

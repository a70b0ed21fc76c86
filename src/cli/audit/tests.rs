//! The commands against a small server: what they print, what they ask for, and how they end.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use clap::Parser;
use futures::StreamExt as _;
use steward_proto::audit::v1 as pb;
use steward_proto::audit::v1::audit_service_server::{AuditService, AuditServiceServer};
use tonic::{Code, Request, Response};

use super::*;
use crate::cli::testing::{Answer, AnswerStream, Output, Running, console_of, refusal, watch};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    audit: AuditArgs,
}

/// A server with entries, which answers two at a time.
#[derive(Clone, Debug, Default)]
struct Fake {
    entries: Vec<pb::AuditEntry>,
    lists: Arc<Mutex<Vec<pb::ListEntriesRequest>>>,
    watches: Arc<Mutex<Vec<pb::WatchEntriesRequest>>>,
}

#[tonic::async_trait]
impl AuditService for Fake {
    async fn list_entries(&self, request: Request<pb::ListEntriesRequest>) -> Answer<pb::ListEntriesResponse> {
        let request = request.into_inner();
        self.lists.lock().unwrap().push(request.clone());
        let limit = usize::try_from(request.page_size).unwrap().min(2);
        let skipped: usize = request.page_token.parse().unwrap_or(0);
        let entries: Vec<_> = self.entries.iter().rev().skip(skipped).take(limit).cloned().collect();
        let next = skipped + entries.len();
        let next_page_token = if next < self.entries.len() { next.to_string() } else { String::new() };
        Ok(Response::new(pb::ListEntriesResponse { entries, next_page_token }))
    }

    type WatchEntriesStream = AnswerStream<pb::WatchEntriesResponse>;

    /// The first breaks off behind the first entry; the second says that the past is gone; the third has all.
    async fn watch_entries(&self, request: Request<pb::WatchEntriesRequest>) -> Answer<Self::WatchEntriesStream> {
        let mut watches = self.watches.lock().unwrap();
        watches.push(request.into_inner());
        let step = |entry: &pb::AuditEntry| {
            Ok(pb::WatchEntriesResponse { next_number: entry.number + 1, entry: Some(entry.clone()) })
        };
        match watches.len() {
            1 => Ok(Response::new(
                futures::stream::iter(self.entries.iter().take(1).map(step).collect::<Vec<_>>()).boxed(),
            )),
            2 => Err(refusal(Code::OutOfRange, "ENTRIES_REMOVED")),
            _ => {
                let all = futures::stream::iter(self.entries.iter().map(step).collect::<Vec<_>>());
                Ok(Response::new(all.chain(futures::stream::pending()).boxed()))
            }
        }
    }
}

impl Fake {
    fn start(&self) -> (String, Running) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = tonic::transport::Server::builder().add_service(AuditServiceServer::new(self.clone()));
        (url, Running::start(listener, router))
    }
}

fn entry(number: i64) -> pb::AuditEntry {
    pb::AuditEntry {
        number,
        time: Some(prost_types::Timestamp { seconds: 1_700_000_000 + number, nanos: 0 }),
        kind: pb::EntryKind::Call.into(),
        user: "alice".to_owned(),
        proof: "password".to_owned(),
        address: "10.0.0.1".to_owned(),
        method: "LockService/Acquire".to_owned(),
        area: "lock".to_owned(),
        right: "write".to_owned(),
        resource: format!("pull/{number}"),
        outcome: "OK".to_owned(),
        count: 1,
        ..pb::AuditEntry::default()
    }
}

fn fake(count: i64) -> Fake {
    Fake { entries: (1..=count).map(entry).collect(), ..Fake::default() }
}

async fn execute(url: &str, words: &[&str], output: &Output) -> Result<Exit, Error> {
    let cli = Cli::parse_from(["steward", "--server", url].iter().chain(words));
    let mut console = console_of(words, output);
    answer(cli.audit.command, cli.audit.client.server(), &mut console).await
}

async fn run(fake: &Fake, words: &[&str]) -> String {
    let (url, _running) = fake.start();
    let output = Output::new();
    assert_eq!(execute(&url, words, &output).await.unwrap(), Exit::DONE);
    output.text()
}

#[tokio::test]
async fn a_list_begins_with_the_newest_and_goes_on_over_pages() {
    let text = run(&fake(5), &["list", "--limit", "3"]).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "2023-11-14T22:13:25Z  alice  10.0.0.1  LockService/Acquire  pull/5  OK");
    assert_eq!(lines.len(), 3);
    assert_eq!(run(&fake(5), &["list", "--limit", "0"]).await.lines().count(), 5);
}

#[tokio::test]
async fn a_refusal_tells_its_reason_and_its_count() {
    let mut refused = fake(1);
    let entry = &mut refused.entries[0];
    (entry.user, entry.resource) = (String::new(), String::new());
    (entry.outcome, entry.reason, entry.count) = ("UNAUTHENTICATED".to_owned(), "TOO_\tMANY".to_owned(), 7);
    let text = run(&refused, &["tail"]).await;
    let end = "-  10.0.0.1  LockService/Acquire  -  UNAUTHENTICATED TOO_\\tMANY  7 times\n";
    assert_eq!(text, format!("2023-11-14T22:13:21Z  {end}"));
}

#[tokio::test]
async fn every_filter_is_asked_for() {
    let fake = fake(1);
    let words = [
        "list",
        "--by",
        "alice",
        "--from",
        "10.0.0.1",
        "--area",
        "lock",
        "--method",
        "LockService",
        "--resource",
        "pull/",
        "--outcome",
        "!OK",
        "--request",
        "r",
        "--since",
        "2023-11-14T22:13:20Z",
        "--until",
        "1h",
        "--asc",
    ];
    run(&fake, &words).await;
    let asked = fake.lists.lock().unwrap()[0].clone();
    assert_eq!(asked.order(), pb::EntryOrder::OldestFirst);
    let filter = asked.filter.unwrap();
    assert_eq!((filter.user.as_str(), filter.address.as_str(), filter.area.as_str()), ("alice", "10.0.0.1", "lock"));
    assert_eq!((filter.method.as_str(), filter.resource_prefix.as_str()), ("LockService", "pull/"));
    assert_eq!((filter.outcome.as_str(), filter.request_id.as_str()), ("!OK", "r"));
    assert_eq!(filter.start_time.unwrap().seconds, 1_700_000_000);
    assert!(filter.end_time.is_some());
}

#[tokio::test]
async fn json_has_every_field() {
    let text = run(&fake(1), &["tail", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["number"], 1);
    assert_eq!((&json["kind"], &json["proof"]), (&"call".into(), &"password".into()));
    assert_eq!(json["time"], "2023-11-14T22:13:21Z");
}

#[tokio::test]
async fn a_tail_ends_with_the_newest() {
    let text = run(&fake(9), &["tail", "-n", "3"]).await;
    let shown: Vec<&str> = text.lines().map(|line| line.split("  ").nth(4).unwrap()).collect();
    assert_eq!(shown, ["pull/7", "pull/8", "pull/9"]);
}

#[tokio::test]
async fn a_tail_that_follows_goes_on_where_it_was_and_shows_nothing_twice() {
    let fake = fake(3);
    let (url, _running) = fake.start();
    let output = Output::new();
    watch(execute(&url, &["tail", "-f", "-n", "5"], &output), &output, |text| text.contains("pull/3")).await;
    assert_eq!(output.text().lines().count(), 3);
    let watches = fake.watches.lock().unwrap();
    let asked: Vec<_> = watches.iter().map(|watch| (watch.from_number, watch.backlog)).collect();
    assert_eq!(asked, [(0, 5), (2, 0), (0, 1000)]);
}

//! The commands against a small farm: what they print, what they ask for, and how they end.

use clap::Parser;
use serde_json::json;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::watch_tasks_response::Update;

use super::*;
use crate::cli::farm::fake::Fake;
use crate::cli::testing::{Output, console_of, watch};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    task: TaskArgs,
}

async fn execute(url: &str, words: &[&str], output: &Output) -> Result<Exit, Error> {
    let cli = Cli::parse_from(["steward", "--server", url].iter().chain(words));
    let mut console = console_of(words, output);
    answer(cli.task.command, cli.task.client.server(), &mut console).await
}

/// The end and the output of a command.
async fn run(fake: &Fake, words: &[&str]) -> (Exit, String) {
    let output = Output::new();
    let exit = execute(&fake.url(), words, &output).await.unwrap();
    (exit, output.text())
}

async fn failure(fake: &Fake, words: &[&str]) -> String {
    execute(&fake.url(), words, &Output::new()).await.unwrap_err().to_string()
}

fn task(id: i32) -> pb::Task {
    pb::Task {
        task_id: format!("{id:04x}abcd-0000-4000-8000-000000000000"),
        id,
        video_path: format!("films/{id}.mkv"),
        worker_id: 1,
        worker_name: "w\x1b[2J1".to_owned(),
        progress: 42.0,
        status: pb::TaskStatus::Running.into(),
        elapsed_time: 65,
        remaining_time: Some(182),
        lease_token: "secret".to_owned(),
        ..pb::Task::default()
    }
}

fn farm(count: i32) -> Fake {
    Fake::with(|state| {
        state.tasks = (1..=count).map(task).collect();
        state.workers = vec![pb::Worker { worker_id: 1, worker_name: "nodea".to_owned(), ..pb::Worker::default() }];
    })
}

fn changed(revision: i64, id: i32) -> pb::WatchTasksResponse {
    pb::WatchTasksResponse { revision, update: Some(Update::Task(task(id))) }
}

#[tokio::test]
async fn a_list_is_a_table_that_cannot_steer_the_terminal() {
    let (exit, text) = run(&farm(1), &["list"]).await;
    assert_eq!(exit, Exit::DONE);
    assert_eq!(
        text,
        "TASK      STATUS   DONE   WORKER       STARTED  TOOK   LEFT   VIDEO\n\
         0001abcd  running  42.0%  w\\u{1b}[2J1  -        1m 5s  3m 2s  films/1.mkv\n"
    );
}

#[tokio::test]
async fn a_list_has_twenty_lines_a_page_or_everything() {
    let fake = farm(1203);
    assert_eq!(run(&fake, &["list", "--json"]).await.1.lines().count(), 20);
    assert_eq!(run(&fake, &["list", "--json", "--limit", "0"]).await.1.lines().count(), 1203);
    let (_, text) = run(&fake, &["list", "--json", "--limit", "3", "--page", "2"]).await;
    let listed: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((listed["id"].clone(), listed["status"].clone()), (json!(4), json!("running")));
    assert!(!text.contains("secret"), "{text}");
    assert!(failure(&fake, &["list", "--limit", "0", "--page", "2"]).await.contains("--limit from 1 to 1000"));
}

#[tokio::test]
async fn filters_and_orders_are_asked_for() {
    let fake = farm(1);
    let words = ["list", "--status", "failed,cancelled", "--worker", "nodea", "--sort", "progress", "--asc"];
    run(&fake, &words).await;
    let asked = &fake.asked::<pb::ListTasksRequest>()[0];
    assert_eq!(asked.statuses, [4, 5]);
    assert_eq!((asked.worker_id, asked.sort_by.as_str(), asked.order()), (1, "progress", pb::SortOrder::Asc));
    assert_eq!(failure(&fake, &["list", "--worker", "nodeb"]).await, "there is no worker \"nodeb\"");
}

#[tokio::test]
async fn the_beginning_of_an_id_is_enough() {
    let fake = farm(3);
    let (_, text) = run(&fake, &["show", "0002AB"]).await;
    assert!(text.starts_with("0002abcd-0000-4000-8000-000000000000\n  number         2\n"), "{text}");
    assert!(text.contains("  status         running, 42.0%\n"), "{text}");
    assert_eq!(failure(&fake, &["show", "ffff"]).await, "there is no task ffff…");
    assert!(failure(&fake, &["show", "000"]).await.contains("at least the first 4 characters"));
    let whole = "0009abcd-0000-4000-8000-000000000000";
    assert_eq!(failure(&fake, &["show", whole]).await, "refused by the fake (TASK_NOT_FOUND)");
}

#[tokio::test]
async fn an_ambiguous_beginning_is_refused() {
    let fake = Fake::with(|state| {
        state.tasks = ["abcd1", "abcd2"].map(|id| pb::Task { task_id: id.to_owned(), ..pb::Task::default() }).into();
    });
    assert_eq!(failure(&fake, &["show", "abcd"]).await, "abcd may be abcd1 or abcd2: give more of it");
}

#[tokio::test]
async fn the_others_are_cancelled_when_one_has_ended() {
    let fake = Fake::with(|state| {
        let ended = pb::Task { end_time: Some(prost_types::Timestamp::default()), ..task(1) };
        state.tasks = vec![ended, task(2)];
    });
    let words = ["cancel", "0001abcd", "0002abcd", "--reason", "maintenance", "--requeue"];
    let (exit, text) = run(&fake, &words).await;
    assert_eq!((exit, text.as_str()), (Exit::ERROR, "cancelled 0002abcd; films/2.mkv waits again\n"));
    let asked = fake.asked::<pb::CancelTaskRequest>();
    assert_eq!((asked[1].reason.as_str(), asked[1].requeue), ("maintenance", true));
}

#[tokio::test]
async fn a_retry_says_which_video_waits() {
    let fake = farm(1);
    assert_eq!(run(&fake, &["retry", "0001abcd", "--priority", "-5"]).await.1, "0001abcd: video 7 waits again\n");
    assert_eq!(fake.asked::<pb::RetryTaskRequest>()[0].priority, Some(-5));
}

#[tokio::test]
async fn stats_are_a_table_of_days() {
    let (_, text) = run(&farm(0), &["stats", "--days", "2"]).await;
    assert_eq!(
        text,
        "DAY         COMPLETED  FAILED  SAVED\n\
         2026-11-20          0       1  0 B\n\
         2026-11-21         12       1  1.5 GiB\n\
         2 in progress, 30 videos wait\n"
    );
}

#[tokio::test]
async fn a_watch_that_is_piped_has_a_line_for_each_change_and_goes_on_where_it_was() {
    let fake = Fake::with(|state| {
        let end = pb::WatchTasksResponse { revision: 5, update: Some(Update::SnapshotEnd(pb::TasksSnapshotEnd {})) };
        let other = pb::Task { worker_id: 2, ..task(3) };
        let other = pb::WatchTasksResponse { revision: 7, update: Some(Update::Task(other)) };
        state.task_streams = [vec![changed(0, 1), end, changed(6, 2), other], vec![changed(8, 4)]].into();
        state.workers = vec![pb::Worker { worker_id: 1, ..pb::Worker::default() }];
    });
    let (output, url) = (Output::new(), fake.url());
    let command = execute(&url, &["list", "--watch", "--worker", "1"], &output);
    watch(command, &output, |text| text.contains("films/4.mkv\n")).await;
    let text = output.text();
    assert_eq!(text.lines().count(), 3, "{text}");
    let first = "  running    0001abcd   42.0%  0.0 fps  0.00x  3m 2s left  w\\u{1b}[2J1  films/1.mkv";
    assert!(text.lines().next().unwrap().ends_with(first), "{text}");
    let asked = fake.asked::<pb::WatchTasksRequest>();
    assert_eq!(asked.iter().map(|asked| asked.from_revision).collect::<Vec<_>>(), [0, 7]);
    assert!(asked[0].only_in_progress);
}

#[tokio::test]
async fn a_watch_on_a_terminal_is_redrawn() {
    let fake = Fake::with(|state| state.task_streams = [vec![changed(0, 1)]].into());
    let output = Output::new();
    let cli = Cli::parse_from(["steward", "--server", &fake.url(), "list", "--watch"]);
    let mut console = Console::terminal(Box::new(output.clone()));
    let command = answer(cli.task.command, cli.task.client.server(), &mut console);
    watch(command, &output, |text| text.contains("1 task at work\n0001abcd  ")).await;
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

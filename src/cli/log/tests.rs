//! The commands against a small farm: what they print, what they ask for, and how they end.

use clap::Parser;
use steward_proto::transcode::v1 as pb;

use super::*;
use crate::cli::farm::fake::Fake;
use crate::cli::testing::{Output, console_of, watch};

const TASK: &str = "a1b2c3d4-0000-4000-8000-000000000000";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
}

async fn execute(url: &str, words: &[&str], output: &Output) -> Result<Exit, Error> {
    let cli = Cli::parse_from(["steward", "--server", url].iter().chain(words));
    let mut console = console_of(words, output);
    answer(cli.log.command, cli.log.client.server(), &mut console).await
}

async fn run(fake: &Fake, words: &[&str]) -> String {
    let output = Output::new();
    assert_eq!(execute(&fake.url(), words, &output).await.unwrap(), Exit::DONE);
    output.text()
}

fn entry(id: i32) -> pb::LogEntry {
    pb::LogEntry {
        id,
        task_id: if id % 2 == 0 { TASK.to_owned() } else { String::new() },
        log_time: Some(prost_types::Timestamp { seconds: 1_700_000_000 + i64::from(id), nanos: 0 }),
        log_level: pb::LogLevel::Warning.into(),
        log_message: format!("entry\t{id}"),
        ..pb::LogEntry::default()
    }
}

fn farm(count: i32) -> Fake {
    Fake::with(|state| {
        state.logs = (1..=count).map(entry).collect();
        state.tasks = vec![pb::Task { task_id: TASK.to_owned(), ..pb::Task::default() }];
    })
}

#[tokio::test]
async fn a_list_begins_with_the_newest() {
    let text = run(&farm(2), &["list"]).await;
    assert_eq!(
        text,
        "2023-11-14T22:13:22Z  warning  a1b2c3d4  entry\\t2\n2023-11-14T22:13:21Z  warning  -         entry\\t1\n"
    );
}

#[tokio::test]
async fn a_list_has_a_level_a_task_and_a_time() {
    let fake = farm(1);
    let words =
        ["list", "--level", "warning,error", "--task", "a1b2", "--since", "2023-11-14T22:13:20Z", "--until", "1h"];
    run(&fake, &words).await;
    let asked = &fake.asked::<pb::ListLogsRequest>()[0];
    assert_eq!((asked.levels.clone(), asked.task_id.as_str()), (vec![3, 4], TASK));
    assert_eq!(asked.start_time.unwrap().seconds, 1_700_000_000);
    assert!(asked.end_time.is_some());
}

#[tokio::test]
async fn a_tail_ends_with_the_newest() {
    let text = run(&farm(30), &["tail", "-n", "2"]).await;
    let ends: Vec<_> = text.lines().map(|line| line.rsplit('\\').next().unwrap()).collect();
    assert_eq!(ends, ["t29", "t30"]);
    assert_eq!(run(&farm(30), &["tail", "-n", "0"]).await, "");
}

#[tokio::test]
async fn a_tail_that_follows_goes_on_where_it_was() {
    let step = |revision, id| pb::WatchLogsResponse { revision, log: (id != 0).then(|| entry(id)) };
    let fake = Fake::with(|state| {
        let first = vec![step(0, 1), step(0, 2), step(7, 0), step(8, 3)];
        state.log_streams = [first, vec![step(9, 4)]].into();
    });
    let (output, url) = (Output::new(), fake.url());
    let command = execute(&url, &["tail", "-f", "-n", "2", "--json"], &output);
    watch(command, &output, |text| text.contains(r#""id":4"#)).await;
    assert_eq!(output.text().lines().count(), 4);
    let asked: Vec<_> = fake.asked::<pb::WatchLogsRequest>();
    assert_eq!(asked.iter().map(|asked| (asked.from_revision, asked.backlog)).collect::<Vec<_>>(), [(0, 2), (8, 0)]);
}

#[tokio::test]
async fn a_tail_that_is_cut_off_at_its_beginning_shows_nothing_twice() {
    let step = |revision, id| pb::WatchLogsResponse { revision, log: Some(entry(id)) };
    let fake = Fake::with(|state| {
        state.log_streams = [vec![step(0, 1), step(0, 2)], vec![step(0, 1), step(0, 2), step(0, 3)]].into();
    });
    let (output, url) = (Output::new(), fake.url());
    let command = execute(&url, &["tail", "-f"], &output);
    watch(command, &output, |text| text.contains("entry\\t3\n")).await;
    assert_eq!(output.text().lines().count(), 3, "{}", output.text());
    assert_eq!(fake.asked::<pb::WatchLogsRequest>()[1].backlog, 1000);
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

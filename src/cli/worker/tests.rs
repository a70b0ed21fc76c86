//! The commands against a small farm: what they print, what they ask for, and how they end.

use clap::Parser;
use serde_json::json;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::watch_workers_response::Update;

use super::*;
use crate::cli::farm::fake::Fake;
use crate::cli::farm::schedule;
use crate::cli::testing::{Output, console_of, watch};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: WorkerCommand,
}

async fn execute(url: &str, words: &[&str], output: &Output) -> Result<Exit, Error> {
    let cli = Cli::parse_from(["steward", "--server", url].iter().chain(words));
    let mut console = console_of(words, output);
    answer(cli.command, cli.client.server(), &mut console).await
}

/// The end and the output of a command.
async fn run(fake: &Fake, words: &[&str]) -> (Exit, String) {
    let output = Output::new();
    let exit = execute(&fake.url(), words, &output).await.unwrap();
    (exit, output.text())
}

fn worker(worker_id: i32, name: &str) -> pb::Worker {
    pb::Worker {
        worker_id,
        worker_name: name.to_owned(),
        worker_type: pb::WorkerType::Nvenc.into(),
        state: pb::WorkerState::Busy.into(),
        task_ids: vec!["a1b2c3d4-0000-4000-8000-000000000000".to_owned()],
        labels: [("gpu", "a2000"), ("rack", "3")].map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        max_concurrent: 1,
        schedule: Some(pb::Schedule {
            windows: vec![schedule::parse("sat,sun").unwrap()],
            time_zone: "Europe/Berlin".to_owned(),
        }),
        ..pb::Worker::default()
    }
}

fn farm() -> Fake {
    Fake::with(|state| state.workers = vec![worker(1, "nodea"), worker(2, "node\x07b"), worker(3, "1")])
}

#[tokio::test]
async fn a_list_is_a_table() {
    let (exit, text) = run(&farm(), &["list"]).await;
    assert_eq!(exit, Exit::DONE);
    assert_eq!(
        text.lines().take(3).collect::<Vec<_>>(),
        [
            "ID  NAME        STATE  TYPE   HEARTBEAT  TASKS     LABELS",
            "1   nodea       busy   nvenc  never      a1b2c3d4  gpu=a2000, rack=3",
            "2   node\\u{7}b  busy   nvenc  never      a1b2c3d4  gpu=a2000, rack=3",
        ]
    );
}

#[tokio::test]
async fn a_worker_is_found_by_id_or_name() {
    let fake = farm();
    let shown = run(&fake, &["show", "1", "--json"]).await.1;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["worker_id"], &shown["state"]), (&json!(1), &json!("busy")));
    assert_eq!(shown["schedule"], json!({"windows": ["sat,sun 00:00-24:00"], "time_zone": "Europe/Berlin"}));
    let (_, text) = run(&fake, &["show", "nodea"]).await;
    assert!(text.contains("  schedule       sat,sun 00:00-24:00 (Europe/Berlin)\n"), "{text}");
    assert!(text.contains("  takes          everything\n"), "{text}");
    let error = execute(&fake.url(), &["show", "node\x1b"], &Output::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no worker \"node\\\\u{1b}\"");
}

#[tokio::test]
async fn several_workers_are_paused_and_go_on() {
    let fake = farm();
    assert_eq!(run(&fake, &["pause", "1", "2"]).await.1, "nodea: paused\nnode\\u{7}b: paused\n");
    assert!(fake.look(|state| state.workers[0].paused && state.workers[1].paused));
    assert_eq!(run(&fake, &["resume", "nodea"]).await.1, "nodea: gets tasks again\n");
    assert!(fake.look(|state| !state.workers[0].paused));
}

#[tokio::test]
async fn a_worker_is_told_to_go_and_to_stay() {
    let fake = farm();
    let words = ["offline", "nodea", "--shutdown", "--deadline", "10m"];
    assert_eq!(run(&fake, &words).await.1, "nodea: told to end and to shut its machine down\n");
    let asked = &fake.asked::<pb::SetWorkerOfflineRequest>()[0];
    assert_eq!((asked.action(), asked.deadline.unwrap().seconds), (pb::OfflineAction::Shutdown, 600));
    assert_eq!(run(&fake, &["cancel", "nodea"]).await.1, "nodea: need not end\n");
    assert_eq!(fake.asked::<pb::CancelWorkerOfflineRequest>().len(), 1);
}

#[tokio::test]
async fn a_worker_is_forgotten() {
    let fake = farm();
    let done: serde_json::Value = serde_json::from_str(&run(&fake, &["delete", "2", "--json"]).await.1).unwrap();
    assert_eq!(done, json!({"worker_id": 2, "worker_name": "node\x07b", "done": "deleted"}));
    assert_eq!(fake.look(|state| state.workers.len()), 2);
}

#[tokio::test]
async fn what_is_not_set_stays_as_it_is() {
    let fake = farm();
    run(&fake, &["set", "nodea", "--time-zone", "UTC", "--label", "gpu=a4000", "--no-label", "rack"]).await;
    let asked = fake.asked::<pb::UpdateWorkerRequest>();
    let schedule = asked[0].schedule.clone().unwrap();
    assert_eq!((schedule.windows.len(), schedule.time_zone.as_str()), (1, "UTC"));
    assert_eq!(asked[0].labels.clone().unwrap().labels, [("gpu".to_owned(), "a4000".to_owned())].into());
    assert_eq!((asked[0].constraints.clone(), asked[0].worker_type), (None, None));

    let words = ["set", "nodea", "--window", "mon-fri 22:00-06:00", "--window", "sat", "--codec", "h264,hevc"];
    run(&fake, &words).await;
    let asked = fake.asked::<pb::UpdateWorkerRequest>();
    assert_eq!(asked[1].schedule.clone().unwrap().windows.len(), 2);
    assert_eq!(asked[1].constraints.clone().unwrap().codecs, ["h264", "hevc"]);
    assert_eq!(asked[1].labels, None);

    run(&fake, &["set", "nodea", "--always", "--codec", "any"]).await;
    let asked = fake.asked::<pb::UpdateWorkerRequest>();
    assert!(asked[2].schedule.clone().unwrap().windows.is_empty());
    assert!(asked[2].constraints.clone().unwrap().codecs.is_empty());
}

#[test]
fn wrong_changes_are_refused_with_a_hint() {
    for (words, hint) in [
        (&["set", "a"][..], "--window"),
        (&["set", "a", "--window", "monday"], "mon, tue"),
        (&["set", "a", "--type", "gpu"], "nvenc"),
        (&["set", "a", "--label", "gpu"], "KEY=VALUE"),
    ] {
        let error = Cli::try_parse_from(["steward"].iter().chain(words)).err().unwrap().to_string();
        assert!(error.contains(hint), "{error}");
    }
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was() {
    let step = |revision, update| pb::WatchWorkersResponse { revision, update: Some(update) };
    let fake = Fake::with(|state| {
        let end = step(5, Update::SnapshotEnd(pb::WorkersSnapshotEnd {}));
        let first = vec![step(0, Update::Worker(worker(1, "nodea"))), end];
        state.worker_streams = [first, vec![step(6, Update::DeletedWorkerId(1))]].into();
    });
    let (output, url) = (Output::new(), fake.url());
    watch(execute(&url, &["watch"], &output), &output, |text| text.contains("deleted   (1)\n")).await;
    assert!(output.text().contains("  busy      nodea (1)  a1b2c3d4\n"), "{}", output.text());
    let points: Vec<_> = fake.asked::<pb::WatchWorkersRequest>().iter().map(|asked| asked.from_revision).collect();
    assert_eq!(points, [0, 5]);
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

//! The commands against small services: what they print, what they ask for, and how they end.

mod runs;
mod tasks;

use clap::Parser;
use steward_proto::replication::v1 as pb;

use super::fake::{Fake, RUN, State};
use super::*;
use crate::cli::testing::{Output, console_of};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    replication: ReplicationArgs,
}

async fn execute(url: &str, words: &[&str], output: &Output) -> Result<Exit, Error> {
    let cli = Cli::parse_from(["steward", "--server", url].iter().chain(words));
    let mut console = console_of(words, output);
    answer(cli.replication.command, cli.replication.client.server(), &mut console).await
}

/// The end and the output of a command.
async fn run(fake: &Fake, words: &[&str]) -> (Exit, String) {
    let output = Output::new();
    let exit = execute(&fake.url(), words, &output).await.unwrap();
    (exit, output.text())
}

async fn said(fake: &Fake, words: &[&str]) -> String {
    let (exit, text) = run(fake, words).await;
    assert_eq!(exit, Exit::DONE, "{text}");
    text
}

async fn failure(fake: &Fake, words: &[&str]) -> String {
    execute(&fake.url(), words, &Output::new()).await.unwrap_err().to_string()
}

fn objects_of(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn is_refused(words: &[&str]) -> bool {
    Cli::try_parse_from(["steward"].iter().chain(words)).is_err()
}

/// The task `p1/images/mirror`, whose latest run is [`RUN`].
fn mirror() -> pb::Task {
    let registry = pb::RegistryTarget {
        registry: "https://registry.example.org".to_owned(),
        username: "robot".to_owned(),
        ..pb::RegistryTarget::default()
    };
    let config = pb::Config {
        project: "p1".to_owned(),
        repository: "images".to_owned(),
        name: "mirror".to_owned(),
        target: Some(pb::Target { target: Some(pb::target::Target::Registry(registry)) }),
        replica_type: pb::ReplicaType::RealTime.into(),
        enabled: Some(true),
        ..pb::Config::default()
    };
    pb::Task {
        config: Some(config),
        last_execution_id: RUN.to_owned(),
        last_status: pb::ExecutionStatus::Success.into(),
        has_password: true,
        ..pb::Task::default()
    }
}

fn execution(status: pb::ExecutionStatus) -> pb::Execution {
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    pb::Execution {
        id: RUN.to_owned(),
        task_name: "p1/images/mirror".to_owned(),
        status: status.into(),
        start_time: at(1_700_000_000),
        end_time: if text::has_ended(status) { at(1_700_000_062) } else { None },
        replicated_bytes: 3 << 20,
        total_bytes: 4 << 20,
        sent_bytes: 2 << 20,
        overview: Some(pb::Overview { success: 3, failed: 1, ..pb::Overview::default() }),
        attempt: 1,
        trigger: "manual".to_owned(),
        ..pb::Execution::default()
    }
}

fn with_mirror(state: &mut State) {
    state.tasks.push(mirror());
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

//! `steward worker list` and its like: the workers of the farm.

mod delete;
mod json;
mod list;
mod offline;
mod online;
mod pause;
mod set;
mod show;
#[cfg(test)]
mod tests;
mod text;
mod watch;
mod who;

use std::process::ExitCode;

use clap::Subcommand;
use steward_proto::transcode::v1::worker_service_client::WorkerServiceClient;

use super::connect::{Channel, ClientArgs, Server};
use super::console::Console;
use super::error::{self, Error};
use super::exit::Exit;

type Workers = WorkerServiceClient<Channel>;

/// What can be done about workers from anywhere.
// A WHO is the id or the name of a worker.
#[derive(Debug, Subcommand)]
pub enum WorkerCommand {
    /// Lists the workers and what they are doing.
    List(list::ListArgs),
    /// Shows one worker.
    Show(who::WhoArgs),
    /// Gives workers no new tasks. What they have they finish.
    Pause(who::SeveralArgs),
    /// Gives paused workers tasks again.
    Resume(who::SeveralArgs),
    /// Tells workers to end once they have finished.
    Offline(offline::OfflineArgs),
    /// Takes back that workers are to end.
    #[command(visible_alias = "cancel")]
    Online(who::SeveralArgs),
    /// Forgets workers. Their tasks fail; what they did stays in the history.
    Delete(who::SeveralArgs),
    /// Changes what a worker takes, and when.
    Set(Box<set::SetArgs>),
    /// Shows the workers as they are, then every change.
    Watch(watch::WatchArgs),
}

/// Does what `command` asks for. Failures are told on standard error.
pub async fn run(command: WorkerCommand, client: &ClientArgs) -> ExitCode {
    let mut console = client.console();
    let exit = answer(command, client.server(), &mut console).await;
    exit.unwrap_or_else(|error| error::report(&error)).into()
}

async fn answer(command: WorkerCommand, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let exit = match command {
        WorkerCommand::List(args) => list::run(args, server, console).await?,
        WorkerCommand::Show(args) => show::run(args, server, console).await?,
        WorkerCommand::Pause(args) => pause::run(args, true, server, console).await?,
        WorkerCommand::Resume(args) => pause::run(args, false, server, console).await?,
        WorkerCommand::Offline(args) => offline::run(args, server, console).await?,
        WorkerCommand::Online(args) => online::run(args, server, console).await?,
        WorkerCommand::Delete(args) => delete::run(args, server, console).await?,
        WorkerCommand::Set(args) => set::run(*args, server, console).await?,
        WorkerCommand::Watch(args) => watch::run(args, server, console).await?,
    };
    console.flush()?;
    Ok(exit)
}

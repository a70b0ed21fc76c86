//! `steward task`: what the farm works on, and what it did.

mod cancel;
mod json;
mod list;
mod live;
mod retry;
mod show;
mod stats;
#[cfg(test)]
mod tests;
mod text;
mod watch;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::connect::{ClientArgs, Server};
use super::console::Console;
use super::error::{self, Error};
use super::exit::Exit;

/// `steward task …`
#[derive(Args, Debug)]
#[command(after_help = "A TASK is the id of a task, or the first characters of it, four at least.\n\n\
                        Exit codes: 0 done, 1 error, 2 wrong usage. With several tasks: 1 if one of them failed.")]
pub struct TaskArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    /// Lists tasks, the newest first, or watches them.
    List(list::ListArgs),
    /// Shows one task.
    Show(show::ShowArgs),
    /// Ends tasks that are in progress.
    Cancel(cancel::CancelArgs),
    /// Lets the videos of ended tasks wait again, with all their attempts.
    Retry(retry::RetryArgs),
    /// Counts what was done, day by day.
    Stats(stats::StatsArgs),
}

/// Does what `args` ask for. Failures are told on standard error.
pub async fn run(args: TaskArgs) -> ExitCode {
    let server = args.client.server();
    let mut console = args.client.console();
    let exit = answer(args.command, server, &mut console).await;
    exit.unwrap_or_else(|error| error::report(&error)).into()
}

async fn answer(command: TaskCommand, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let exit = match command {
        TaskCommand::List(args) => list::run(args, server, console).await?,
        TaskCommand::Show(args) => show::run(args, server, console).await?,
        TaskCommand::Cancel(args) => cancel::run(args, server, console).await?,
        TaskCommand::Retry(args) => retry::run(args, server, console).await?,
        TaskCommand::Stats(args) => stats::run(args, server, console).await?,
    };
    console.flush()?;
    Ok(exit)
}

//! `steward log`: what happened on the farm.

mod json;
mod list;
mod tail;
#[cfg(test)]
mod tests;
mod text;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::connect::{ClientArgs, Server};
use super::console::Console;
use super::error::{self, Error};
use super::exit::Exit;

/// `steward log …`
#[derive(Args, Debug)]
#[command(after_help = "A TASK is the id of a task, or the first characters of it, four at least.\n\n\
                        Exit codes: 0 done, 1 error, 2 wrong usage.")]
pub struct LogArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: LogCommand,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Lists entries, the newest first.
    List(list::ListArgs),
    /// Shows the newest entries, the newest last.
    Tail(tail::TailArgs),
}

/// Does what `args` ask for. Failures are told on standard error.
pub async fn run(args: LogArgs) -> ExitCode {
    let server = args.client.server();
    let mut console = args.client.console();
    let exit = answer(args.command, server, &mut console).await;
    exit.unwrap_or_else(|error| error::report(&error)).into()
}

async fn answer(command: LogCommand, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let exit = match command {
        LogCommand::List(args) => list::run(args, server, console).await?,
        LogCommand::Tail(args) => tail::run(args, server, console).await?,
    };
    console.flush()?;
    Ok(exit)
}

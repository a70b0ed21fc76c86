//! `steward video`: what is in the libraries, and what is to become of it.

mod import;
mod json;
mod list;
mod requeue;
mod show;
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

/// `steward video …`
#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 done, 1 error, 2 wrong usage. `import` has more: see its help.")]
pub struct VideoArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: VideoCommand,
}

#[derive(Debug, Subcommand)]
enum VideoCommand {
    /// Lists videos, those that changed last first.
    List(Box<list::ListArgs>),
    /// Shows one video.
    Show(show::ShowArgs),
    /// Lets videos wait, with all their attempts.
    Requeue(requeue::RequeueArgs),
    /// Makes videos known that were found elsewhere.
    Import(import::ImportArgs),
    /// Shows every change of a video.
    Watch(watch::WatchArgs),
}

/// Does what `args` ask for. Failures are told on standard error.
pub async fn run(args: VideoArgs) -> ExitCode {
    let server = args.client.server();
    let mut console = args.client.console();
    let exit = answer(args.command, server, &mut console).await;
    exit.unwrap_or_else(|error| error::report(&error)).into()
}

async fn answer(command: VideoCommand, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let exit = match command {
        VideoCommand::List(args) => list::run(*args, server, console).await?,
        VideoCommand::Show(args) => show::run(args, server, console).await?,
        VideoCommand::Requeue(args) => requeue::run(args, server, console).await?,
        VideoCommand::Import(args) => import::run(args, server, console).await?,
        VideoCommand::Watch(args) => watch::run(args, server, console).await?,
    };
    console.flush()?;
    Ok(exit)
}

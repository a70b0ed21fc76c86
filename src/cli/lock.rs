//! `steward lock`: takes, watches and gives back locks.

mod acquire;
#[cfg(test)]
mod fake;
mod force_release;
mod json;
mod key;
mod list;
mod mode;
mod release;
mod run;
mod status;
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

/// `steward lock …`
#[derive(Args, Debug)]
#[command(after_help = "A KEY is TYPE/RESOURCE, split at the first slash: pull/sha256:abc, delete/library/nginx.\n\
                        Without a slash the type is `lock`.\n\n\
                        Exit codes: 0 done, 1 error, 2 wrong usage. `acquire` and `run` have more: see their help.")]
pub struct LockArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: LockCommand,
}

#[derive(Debug, Subcommand)]
enum LockCommand {
    /// Takes a lock, waits for it, or learns that the work is done.
    Acquire(acquire::AcquireArgs),
    /// Gives a lock back and says how the work ended.
    Release(release::ReleaseArgs),
    /// Shows who holds a lock, who waits for it, and whether the work is done.
    Status(status::StatusArgs),
    /// Lists the locks that are held, awaited or completed.
    List(list::ListArgs),
    /// Shows the locks as they are, then every change.
    Watch(watch::WatchArgs),
    /// For operators: takes a lock from its holders.
    ForceRelease(force_release::ForceReleaseArgs),
    /// Runs a command while it holds a lock.
    Run(Box<run::RunArgs>),
}

/// Does what `args` ask for. Failures are told on standard error.
pub async fn run(args: LockArgs) -> ExitCode {
    let server = args.client.server();
    let mut console = args.client.console();
    let exit = answer(args.command, server, &mut console).await;
    exit.unwrap_or_else(|error| error::report(&error)).into()
}

async fn answer(command: LockCommand, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let exit = match command {
        LockCommand::Acquire(args) => acquire::run(args, server, console).await?,
        LockCommand::Release(args) => release::run(args, server, console).await?,
        LockCommand::Status(args) => status::run(args, server, console).await?,
        LockCommand::List(args) => list::run(args, server, console).await?,
        LockCommand::Watch(args) => watch::run(args, server, console).await?,
        LockCommand::ForceRelease(args) => force_release::run(args, server, console).await?,
        // The console is not for it: standard output belongs to the command that it runs.
        LockCommand::Run(args) => run::run(*args, server).await,
    };
    console.flush()?;
    Ok(exit)
}

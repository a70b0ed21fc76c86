//! `steward audit`: who changed what, and who was not let.

mod filter;
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

/// `steward audit …`
#[derive(Args, Debug)]
#[command(after_help = "--user is who to log in as; --by is whose entries are shown.\n\n\
                        Exit codes: 0 done, 1 error, 2 wrong usage.")]
pub struct AuditArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Lists entries, the newest first.
    List(list::ListArgs),
    /// Shows the newest entries, the newest last.
    Tail(tail::TailArgs),
}

/// Does what `args` ask for. Failures are told on standard error.
pub async fn run(args: AuditArgs) -> ExitCode {
    let server = args.client.server();
    let mut console = args.client.console();
    let exit = answer(args.command, server, &mut console).await;
    exit.unwrap_or_else(|error| error::report(&error)).into()
}

async fn answer(command: AuditCommand, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let exit = match command {
        AuditCommand::List(args) => list::run(args, server, console).await?,
        AuditCommand::Tail(args) => tail::run(args, server, console).await?,
    };
    console.flush()?;
    Ok(exit)
}

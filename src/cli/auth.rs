//! `steward auth`: who one is to a server, and who may do what.

mod check;
mod whoami;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::connect::ClientArgs;
use super::error;

/// `steward auth …`
#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 done, or allowed; 1 error; 2 wrong usage; 3 not allowed.")]
pub struct AuthArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: AuthCommand,
}

#[derive(Debug, Subcommand)]
enum AuthCommand {
    /// Explains whether somebody may do something.
    Check(check::CheckArgs),
    /// Tells who you are to the server.
    Whoami,
}

/// Does what `args` ask for. Failures are told on standard error.
pub async fn run(args: AuthArgs) -> ExitCode {
    let server = args.client.server();
    let mut console = args.client.console();
    let exit = match args.command {
        AuthCommand::Check(args) => check::run(args, server, &mut console).await,
        AuthCommand::Whoami => whoami::run(server, &mut console).await,
    };
    let exit = exit.and_then(|exit| console.flush().map(|()| exit));
    exit.unwrap_or_else(|error| error::report(&error)).into()
}

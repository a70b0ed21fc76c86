//! `steward token`: tokens by which programs sign in.

mod create;
mod json;
mod list;
mod revoke;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::connect::ClientArgs;
use super::error;
use super::exit::Exit;

/// `steward token …`
#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 done, 1 error, 2 wrong usage.")]
pub struct TokenArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Makes a token, and shows it this once.
    Create(create::CreateArgs),
    /// Lists tokens, without what is secret of them.
    List(list::ListArgs),
    /// Revokes tokens at once.
    Revoke(revoke::RevokeArgs),
}

/// Does what `args` ask for. Failures are told on standard error.
pub async fn run(args: TokenArgs) -> ExitCode {
    let server = args.client.server();
    let mut console = args.client.console();
    let done = match args.command {
        TokenCommand::Create(args) => create::run(args, server, &mut console).await,
        TokenCommand::List(args) => list::run(args, server, &mut console).await,
        TokenCommand::Revoke(args) => revoke::run(args, server, &mut console).await,
    };
    let exit = done.and_then(|()| console.flush()).map(|()| Exit::DONE);
    exit.unwrap_or_else(|error| error::report(&error)).into()
}

//! `steward restic`: looks after repositories of backups.

mod create;
mod deleted;
#[cfg(test)]
mod fake;
mod import;
mod json;
mod kind;
mod list;
mod objects;
mod quota;
mod repository;
mod show;
#[cfg(test)]
mod tests;
mod text;
mod undelete;
mod verify;
mod watch;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::connect::{ClientArgs, Server};
use super::console::Console;
use super::error::{self, Error};
use super::exit::Exit;

/// `steward restic …`
#[derive(Args, Debug)]
#[command(after_help = "A REPO is a path such as alice/laptop; / is the root repository.\n\n\
                        Exit codes: 0 done, 1 error, 2 wrong usage. `verify` and `import` have more: see their help.")]
pub struct ResticArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: ResticCommand,
}

#[derive(Debug, Subcommand)]
enum ResticCommand {
    /// Creates a repository.
    Create(create::CreateArgs),
    /// Lists the repositories.
    List(list::ListArgs),
    /// Shows one repository.
    Show(show::ShowArgs),
    /// Sets how many bytes a repository may have.
    Quota(quota::QuotaArgs),
    /// Lists the objects of one type.
    Objects(objects::ObjectsArgs),
    /// Lists the objects that were deleted and can still be restored.
    Deleted(deleted::DeletedArgs),
    /// Restores deleted objects.
    Undelete(undelete::UndeleteArgs),
    /// Reads every object and tells what is wrong.
    Verify(verify::VerifyArgs),
    /// Copies the repositories of a directory on this machine to the server.
    Import(import::ImportArgs),
    /// Shows the objects of a repository as they are, then every change.
    Watch(watch::WatchArgs),
}

/// Does what `args` ask for. Failures are told on standard error.
pub async fn run(args: ResticArgs) -> ExitCode {
    let server = args.client.server();
    let mut console = args.client.console();
    let exit = answer(args.command, server, &mut console).await;
    exit.unwrap_or_else(|error| error::report(&error)).into()
}

async fn answer(command: ResticCommand, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let exit = match command {
        ResticCommand::Create(args) => create::run(args, server, console).await?,
        ResticCommand::List(args) => list::run(args, server, console).await?,
        ResticCommand::Show(args) => show::run(args, server, console).await?,
        ResticCommand::Quota(args) => quota::run(args, server, console).await?,
        ResticCommand::Objects(args) => objects::run(args, server, console).await?,
        ResticCommand::Deleted(args) => deleted::run(args, server, console).await?,
        ResticCommand::Undelete(args) => undelete::run(args, server, console).await?,
        ResticCommand::Verify(args) => verify::run(args, server, console).await?,
        ResticCommand::Import(args) => import::run(args, server, console).await?,
        ResticCommand::Watch(args) => watch::run(args, server, console).await?,
    };
    console.flush()?;
    Ok(exit)
}

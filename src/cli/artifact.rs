//! `steward artifact`: projects and repositories, files and images.

mod change;
mod get;
mod image;
mod json;
mod list;
mod meta;
mod name;
mod project;
mod put;
mod remove;
mod repo;
mod session;
mod show;
mod tags;
mod text;
mod watch;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use self::session::Session;
use super::connect::{ClientArgs, Server};
use super::console::Console;
use super::error::{self, Error};
use super::exit::Exit;

/// `steward artifact …`
#[derive(Args, Debug)]
#[command(
    after_help = "A file is named PROJECT/REPO/PATH, an image PROJECT/REPO/IMAGE:TAG or PROJECT/REPO/IMAGE@DIGEST. \
                        Images come and go by /v2/ of the HTTP port, with docker, podman, skopeo and the like.\n\n\
                        Exit codes: 0 done, 1 error, 2 wrong usage."
)]
pub struct ArtifactArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: ArtifactCommand,
}

#[derive(Debug, Subcommand)]
enum ArtifactCommand {
    /// Creates, lists and deletes projects.
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Creates, lists and deletes repositories.
    #[command(subcommand)]
    Repo(repo::RepoCommand),
    /// Stores a file.
    Put(put::PutArgs),
    /// Fetches a file.
    Get(get::GetArgs),
    /// Lists projects, repositories, files or images.
    #[command(visible_alias = "list")]
    Ls(list::ListArgs),
    /// Deletes a file, a folder, or a tag or manifest of an image.
    Rm(remove::RemoveArgs),
    /// Shows and changes what is written on a file or a tag.
    Meta(meta::MetaArgs),
    /// Lists the tags of an image.
    Tags(tags::TagsArgs),
    /// Shows an image: what it consists of, and what refers to it.
    Show(show::ShowArgs),
    /// Shows every change of a repository.
    Watch(watch::WatchArgs),
}

/// Does what `args` ask for. Failures are told on standard error.
pub async fn run(args: ArtifactArgs) -> ExitCode {
    let mut console = args.client.console();
    let exit = answer(args.command, args.client.server(), &mut console).await;
    exit.unwrap_or_else(|error| error::report(&error)).into()
}

async fn answer(command: ArtifactCommand, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    // An absent server is told before anything is done on this machine.
    let session = &Session::open(server).await?;
    let exit = match command {
        ArtifactCommand::Project(command) => project::run(command, session, console).await?,
        ArtifactCommand::Repo(command) => repo::run(command, session, console).await?,
        ArtifactCommand::Put(args) => put::run(args, session, console).await?,
        ArtifactCommand::Get(args) => get::run(args, session, console).await?,
        ArtifactCommand::Ls(args) => list::run(args, session, console).await?,
        ArtifactCommand::Rm(args) => remove::run(args, session, console).await?,
        ArtifactCommand::Meta(args) => meta::run(args, session, console).await?,
        ArtifactCommand::Tags(args) => tags::run(args, session, console).await?,
        ArtifactCommand::Show(args) => show::run(args, session, console).await?,
        ArtifactCommand::Watch(args) => watch::run(args, session, console).await?,
    };
    console.flush()?;
    Ok(exit)
}

//! `steward library`: directories that are scanned for videos.

mod add;
mod json;
mod list;
mod pause;
mod remove;
mod rules;
mod scan;
mod show;
#[cfg(test)]
mod tests;
mod text;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::library_service_client::LibraryServiceClient;

use super::connect::{Channel, ClientArgs, Server};
use super::console::{Console, printable};
use super::error::{self, Error};
use super::exit::Exit;

/// `steward library …`
#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 done, 1 error, 2 wrong usage. `scan` has more: see its help.")]
pub struct LibraryArgs {
    #[command(flatten)]
    client: ClientArgs,

    #[command(subcommand)]
    command: LibraryCommand,
}

#[derive(Debug, Subcommand)]
enum LibraryCommand {
    /// Adds a library, or changes the one of that name, and scans it.
    Add(add::AddArgs),
    /// Lists the libraries.
    List(list::ListArgs),
    /// Shows one library and its rules.
    Show(NameArgs),
    /// Scans a library and tells how it goes.
    Scan(scan::ScanArgs),
    /// Gives out no videos of a library.
    Pause(NameArgs),
    /// Gives out the videos of a paused library again.
    Resume(NameArgs),
    /// Forgets a library. No file is touched.
    Remove(NameArgs),
    /// Prints the rules of a library, or those that hold without any, as a file for `add --rules`.
    Rules(rules::RulesArgs),
}

/// One library.
#[derive(Args, Debug)]
struct NameArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: String,
}

type Libraries = LibraryServiceClient<Channel>;

/// Does what `args` ask for. Failures are told on standard error.
pub async fn run(args: LibraryArgs) -> ExitCode {
    let server = args.client.server();
    let mut console = args.client.console();
    let exit = answer(args.command, server, &mut console).await;
    exit.unwrap_or_else(|error| error::report(&error)).into()
}

async fn answer(command: LibraryCommand, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let exit = match command {
        LibraryCommand::Add(args) => add::run(args, server, console).await?,
        LibraryCommand::List(args) => list::run(args, server, console).await?,
        LibraryCommand::Show(args) => show::run(args, server, console).await?,
        LibraryCommand::Scan(args) => scan::run(args, server, console).await?,
        LibraryCommand::Pause(args) => pause::run(args, true, server, console).await?,
        LibraryCommand::Resume(args) => pause::run(args, false, server, console).await?,
        LibraryCommand::Remove(args) => remove::run(args, server, console).await?,
        LibraryCommand::Rules(args) => rules::run(args, server, console).await?,
    };
    console.flush()?;
    Ok(exit)
}

/// The library of this name, if there is one.
async fn find(libraries: &mut Libraries, name: &str, server: &Server) -> Result<Option<pb::Library>, Error> {
    let answer = libraries.list_libraries(pb::ListLibrariesRequest {}).await.map_err(server.failure())?;
    Ok(answer.into_inner().libraries.into_iter().find(|library| library.name == name))
}

/// The same, and an error if there is none.
async fn get(libraries: &mut Libraries, name: &str, server: &Server) -> Result<pb::Library, Error> {
    let unknown = || Error::Local(format!("there is no library {:?}", printable(name)));
    find(libraries, name, server).await?.ok_or_else(unknown)
}

/// Adds or changes a library. Returns it as it is then.
async fn put(libraries: &mut Libraries, library: pb::Library, server: &Server) -> Result<pb::Library, Error> {
    let request = pb::PutLibraryRequest { library: Some(library) };
    let answer = libraries.put_library(request).await.map_err(server.failure())?.into_inner();
    answer.library.ok_or(Error::Nonsense("it has no library"))
}

//! `steward restic create`: a new repository.

use clap::Args;
use steward_proto::restic::v1 as pb;

use super::json;
use super::repository::{Repository, shown};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Creates a repository. One that is there already stays as it is.
#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// Its path.
    #[arg(value_name = "REPO")]
    repository: Repository,
}

pub(super) async fn run(args: CreateArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::CreateRepositoryRequest { path: args.repository.0 };
    let path = shown(&request.path);
    let mut objects = server.connect_objects().await?;
    let answer = objects.create_repository(request).await.map_err(server.failure())?.into_inner();
    match console.format() {
        Format::Json => console.object(&json::Created::from(answer))?,
        Format::Text if answer.created => console.line(format_args!("created {path}"))?,
        Format::Text => console.line(format_args!("{path} is there already"))?,
    }
    Ok(Exit::DONE)
}

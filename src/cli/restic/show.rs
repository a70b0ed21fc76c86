//! `steward restic show`: one repository as it stands.

use clap::Args;
use steward_proto::restic::v1 as pb;

use super::repository::{self, Repository};
use crate::cli::connect::Server;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Shows one repository.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// Which one.
    #[arg(value_name = "REPO")]
    repository: Repository,
}

pub(super) async fn run(args: ShowArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::GetRepositoryRequest { path: args.repository.0 };
    let mut objects = server.connect_objects().await?;
    let answer = objects.get_repository(request).await.map_err(server.failure())?.into_inner();
    repository::show(answer.repository, console)?;
    Ok(Exit::DONE)
}

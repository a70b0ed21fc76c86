//! `steward restic objects`: the objects of one type, as a stream.

use clap::Args;
use steward_proto::restic::v1 as pb;

use super::json;
use super::kind::Kind;
use super::repository::Repository;
use crate::cli::connect::Server;
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::size;
use crate::cli::table::{Table, or_dash};

/// Lists the objects of one type, in the order of their names.
#[derive(Args, Debug)]
pub(super) struct ObjectsArgs {
    /// Of which repository.
    #[arg(value_name = "REPO")]
    repository: Repository,

    /// Of which type.
    #[arg(value_name = "TYPE", value_enum)]
    kind: Kind,
}

pub(super) async fn run(args: ObjectsArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::StreamObjectsRequest { repository: args.repository.0, r#type: args.kind.to_proto().into() };
    let mut objects = server.connect_objects().await?;
    let mut batches = objects.stream_objects(request).await.map_err(server.failure())?.into_inner();
    let mut table = Table::new(["NAME", "SIZE"]);
    while let Some(batch) = batches.message().await.map_err(server.failure())? {
        table.show::<_, json::Entry>(batch.entries, row, console)?;
    }
    Ok(Exit::DONE)
}

fn row(entry: &pb::ObjectEntry) -> [String; 2] {
    [or_dash(printable(&entry.name).into_owned()), size::of_proto(entry.size)]
}

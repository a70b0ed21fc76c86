//! `steward restic undelete`: brings deleted objects back.

use clap::{ArgGroup, Args};
use jiff::Timestamp;
use steward_proto::restic::v1 as pb;

use super::kind::{self, Kind};
use super::repository::{Repository, shown};
use super::{json, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::time;

/// Restores the deleted objects that match. One that is there again stays as it is and is not counted.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["kind", "name", "since", "all"]))]
pub(super) struct UndeleteArgs {
    /// Of which repository.
    #[arg(value_name = "REPO")]
    repository: Repository,

    /// Only objects of this type.
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    kind: Option<Kind>,

    /// Only the object of this name.
    #[arg(long)]
    name: Option<String>,

    /// Only what was deleted since then: 2h for two hours ago, or 2026-03-01T12:00:00Z.
    #[arg(long, value_name = "DURATION|TIME", value_parser = time::parse_past)]
    since: Option<Timestamp>,

    /// Everything that can be restored.
    #[arg(long, conflicts_with_all = ["kind", "name", "since"])]
    all: bool,
}

pub(super) async fn run(args: UndeleteArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::UndeleteObjectsRequest {
        repository: args.repository.0,
        r#type: kind::filter(args.kind),
        name: args.name.unwrap_or_default(),
        deleted_since: args.since.map(time::to_proto),
    };
    let path = shown(&request.repository);
    let mut objects = server.connect_objects().await?;
    let answer = objects.undelete_objects(request).await.map_err(server.failure())?.into_inner();
    match console.format() {
        Format::Json => console.object(&json::Undeleted::from(answer))?,
        Format::Text => {
            let restored = text::objects(answer.restored_count, answer.restored_bytes);
            console.line(format_args!("restored {restored} of {path}"))?;
        }
    }
    Ok(Exit::DONE)
}

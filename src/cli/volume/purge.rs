//! `steward volume purge`: gone for good.

use std::time::Duration;

use clap::{ArgGroup, Args};
use serde::Serialize;
use steward_proto::volume::v1 as pb;

use super::name::PathOrId;
use super::session::Session;
use crate::cli::age;
use crate::cli::console::{Console, Format};
use crate::cli::duration;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Removes volumes of the trash for good.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).multiple(true))]
pub(super) struct PurgeArgs {
    /// One volume: the path that it had, or its number in the trash.
    #[arg(value_name = "PATH|ID", group = "which", conflicts_with = "all")]
    volume: Option<PathOrId>,

    /// Only what has been in the trash for so long, such as 7d.
    #[arg(long, value_name = "DURATION", group = "which", value_parser = age::parse)]
    older_than: Option<Duration>,

    /// Everything in the trash.
    #[arg(long, group = "which", requires = "yes")]
    all: bool,

    /// Really everything.
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
struct Purged {
    purged: u64,
}

pub(super) async fn run(args: PurgeArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::PurgeTrashRequest {
        user: session.user(),
        volume: args.volume.as_ref().map(PathOrId::to_proto),
        older_than: args.older_than.map(duration::to_proto),
    };
    let purged = session.take(session.volumes().purge_trash(request).await)?.purged;
    match console.format() {
        Format::Json => console.object(&Purged { purged })?,
        Format::Text if purged == 1 => console.line("purged 1 volume")?,
        Format::Text => console.line(format_args!("purged {purged} volumes"))?,
    }
    Ok(Exit::DONE)
}

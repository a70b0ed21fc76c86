//! `steward volume restore`: back out of the trash.

use clap::Args;
use steward_proto::volume::v1 as pb;

use super::name::{PathOrId, VolumePath};
use super::session::{NO_VOLUME, Session};
use super::text;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Brings a volume back out of the trash.
#[derive(Args, Debug)]
pub(super) struct RestoreArgs {
    /// Which one: the path that it had (of several, the one deleted last), or its number in the trash.
    #[arg(value_name = "PATH|ID")]
    volume: PathOrId,

    /// Where to. Default: where it was.
    #[arg(long, value_name = "PATH")]
    to: Option<VolumePath>,
}

pub(super) async fn run(args: RestoreArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let new_path = args.to.map(|path| path.0).unwrap_or_default();
    let request = pb::RestoreVolumeRequest { user: session.user(), volume: Some(args.volume.to_proto()), new_path };
    let answer = session.take(session.volumes().restore_volume(request).await)?;
    text::say_volume(answer.volume.ok_or(NO_VOLUME)?, |path| format!("restored {path}"), console)?;
    Ok(Exit::DONE)
}

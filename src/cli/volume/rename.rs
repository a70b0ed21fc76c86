//! `steward volume rename`: another path.

use clap::Args;
use steward_proto::volume::v1 as pb;

use super::name::VolumePath;
use super::session::{NO_VOLUME, Session};
use super::text;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Moves a volume or directory to another path. Clients that have it open keep it.
#[derive(Args, Debug)]
pub(super) struct RenameArgs {
    /// Which one.
    #[arg(value_name = "PATH")]
    path: VolumePath,

    /// Its new path.
    #[arg(value_name = "NEW")]
    new: VolumePath,
}

pub(super) async fn run(args: RenameArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let volume = Some(args.path.to_proto());
    let request = pb::RenameVolumeRequest { user: session.user(), volume, new_path: args.new.0 };
    let answer = session.take(session.volumes().rename_volume(request).await)?;
    let line = |path: &str| format!("{} is {path} now", args.path);
    text::say_volume(answer.volume.ok_or(NO_VOLUME)?, line, console)?;
    Ok(Exit::DONE)
}

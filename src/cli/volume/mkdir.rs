//! `steward volume mkdir`: a new directory.

use clap::Args;
use steward_proto::volume::v1 as pb;

use super::name::VolumePath;
use super::session::{NO_VOLUME, Session};
use super::text;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Creates a directory. One of the same owner that is there already stays as it is.
#[derive(Args, Debug)]
pub(super) struct MkdirArgs {
    /// Its path.
    #[arg(value_name = "PATH")]
    path: VolumePath,

    /// Who owns it; for root alone.
    #[arg(long, value_name = "USER", default_value = "", hide_default_value = true)]
    owner: String,
}

pub(super) async fn run(args: MkdirArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::MakeDirectoryRequest { user: session.user(), path: args.path.0, owner: args.owner };
    let answer = session.take(session.volumes().make_directory(request).await)?;
    let line = |path: &str| {
        if answer.created { format!("created {path}") } else { format!("{path} is there already") }
    };
    text::say_volume(answer.volume.ok_or(NO_VOLUME)?, line, console)?;
    Ok(Exit::DONE)
}

//! `steward volume resize`: a longer volume.

use clap::Args;
use steward_proto::volume::v1 as pb;

use super::name::VolumePath;
use super::session::{NO_VOLUME, Session};
use super::size::NewSize;
use super::{size, text};
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::size::text as size_text;

/// Makes a volume longer. It cannot be made shorter.
#[derive(Args, Debug)]
pub(super) struct ResizeArgs {
    /// Which one.
    #[arg(value_name = "PATH")]
    path: VolumePath,

    /// How long it is to be, such as 20G; with a plus, by how much longer.
    #[arg(value_name = "[+]SIZE", value_parser = size::parse_new)]
    size: NewSize,
}

pub(super) async fn run(args: ResizeArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let size_bytes = match args.size {
        NewSize::To(bytes) => bytes,
        NewSize::By(bytes) => {
            let now = session.volume(args.path.to_proto()).await?.size_bytes;
            now.checked_add(bytes).ok_or_else(|| Error::Local("more than a volume can have".to_owned()))?
        }
    };
    let request = pb::ResizeVolumeRequest { user: session.user(), volume: Some(args.path.to_proto()), size_bytes };
    let answer = session.take(session.volumes().resize_volume(request).await)?;
    let volume = answer.volume.ok_or(NO_VOLUME)?;
    let size = size_text(volume.size_bytes);
    text::say_volume(volume, |path| format!("{path} has {size} now"), console)?;
    Ok(Exit::DONE)
}

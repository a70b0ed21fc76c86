//! `steward artifact show`: an image, what it consists of, and what refers to it.

mod parts;
mod view;

use clap::Args;

use super::name::ImageReference;
use super::session::Session;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Shows an image: its manifest, size and platforms, and the signatures and the like that refer to it.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// Which image. Default: the tag `latest`.
    #[arg(value_name = "PROJECT/REPO/IMAGE[:TAG|@DIGEST]")]
    image: ImageReference,
}

pub(super) async fn run(args: ShowArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let image = parts::read(&args.image, session).await?;
    view::show(&args.image, image, console)?;
    Ok(Exit::DONE)
}

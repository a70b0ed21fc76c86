//! `steward worker show`: one worker as it is.

use super::text;
use super::who::WhoArgs;
use crate::cli::connect::Server;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::farm::which;

pub(super) async fn run(args: WhoArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let channel = server.connect().await?;
    text::show(which::worker(&channel, &args.who, server).await?, console)?;
    Ok(Exit::DONE)
}

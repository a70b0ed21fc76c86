//! `steward volume operation wait`.

use std::time::Duration;

use clap::Args;
use tokio::time::timeout;

use super::follow;
use crate::cli::age;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::volume::session::Session;

/// Waits until an operation has ended. A clone that can be used has.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 it did what it was for, 1 it did not, 2 wrong usage, 75 it has not ended in time."
)]
pub(in crate::cli::volume) struct WaitArgs {
    /// Its UUID.
    #[arg(value_name = "UUID")]
    uuid: String,

    /// At most so long. Default: for ever.
    #[arg(long, value_name = "DURATION", value_parser = age::parse)]
    timeout: Option<Duration>,
}

pub(super) async fn run(args: WaitArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let wait = follow::follow(&args.uuid, "", session);
    let end = match args.timeout {
        None => wait.await?,
        Some(limit) => {
            let Ok(end) = timeout(limit, wait).await else {
                eprintln!("error: operation {} has not ended in time", args.uuid);
                return Ok(Exit::NOT_IN_TIME);
            };
            end?
        }
    };
    follow::report(end, console)
}

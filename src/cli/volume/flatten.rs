//! `steward volume flatten`: a clone that needs its parent no more.

use clap::Args;
use steward_proto::volume::v1 as pb;

use super::name::VolumePath;
use super::session::Session;
use super::{json, operation, size};
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::signals::Signals;

/// Gives a clone all the bytes that it reads from its parent, under its writers.
#[derive(Args, Debug)]
#[command(after_help = "It is waited for. Ctrl-C ends the waiting and leaves the work running.")]
pub(super) struct FlattenArgs {
    /// Which one.
    #[arg(value_name = "PATH")]
    path: VolumePath,

    /// At most so fast, such as 100M/s. Default: as the server is set.
    #[arg(long, value_name = "SPEED", value_parser = size::parse_speed, default_value = "max", hide_default_value = true)]
    limit: u64,

    /// Wait until it is done; this is the default.
    #[arg(long, conflicts_with = "detach")]
    wait: bool,

    /// Do not wait.
    #[arg(long)]
    detach: bool,
}

pub(super) async fn run(args: FlattenArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::FlattenVolumeRequest {
        user: session.user(),
        volume: Some(args.path.to_proto()),
        bytes_per_second: args.limit,
    };
    let answer = session.take(session.volumes().flatten_volume(request).await)?;
    match answer.operation {
        Some(operation) if args.detach => detach(&args.path, operation, console),
        Some(operation) => wait(operation, session, console).await,
        None => {
            match (console.format(), answer.volume) {
                (Format::Json, Some(volume)) => console.object(&json::Volume::from(volume))?,
                (Format::Json, None) => {}
                (Format::Text, _) => console.line(format_args!("{} has all its bytes already", args.path))?,
            }
            Ok(Exit::DONE)
        }
    }
}

fn detach(path: &VolumePath, operation: pb::Operation, console: &mut Console) -> Result<Exit, Error> {
    match console.format() {
        Format::Json => console.object(&json::Operation::from(operation))?,
        Format::Text => console.line(format_args!("{path} is being flattened (operation {})", operation.uuid))?,
    }
    Ok(Exit::DONE)
}

async fn wait(operation: pb::Operation, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let uuid = operation.uuid.clone();
    let mut signals = Signals::listen().map_err(|source| Error::System { what: "cannot catch signals", source })?;
    tokio::select! {
        exit = operation::finish(operation, session, console) => exit,
        signal = signals.next() => {
            eprintln!("steward: it goes on; `steward volume operation wait {uuid}` waits again, `… cancel {uuid}` stops it");
            Ok(Exit::of_signal(signal))
        }
    }
}

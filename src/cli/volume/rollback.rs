//! `steward volume rollback`: back to a snapshot.

use clap::Args;
use steward_proto::volume::v1 as pb;

use super::json;
use super::name::SnapshotPath;
use super::session::{NO_OPERATION, Session};
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Makes a volume read as one of its snapshots does, at once. Nobody may have it open.
#[derive(Args, Debug)]
pub(super) struct RollbackArgs {
    /// To which snapshot.
    #[arg(value_name = "PATH@SNAP")]
    snapshot: SnapshotPath,

    /// Keep what the volume holds now as a snapshot of this name.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    keep_as: String,
}

pub(super) async fn run(args: RollbackArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::RollbackVolumeRequest {
        user: session.user(),
        volume: Some(args.snapshot.volume.to_proto()),
        snapshot: args.snapshot.name.clone(),
        keep_as: args.keep_as.clone(),
    };
    let answer = session.take(session.volumes().rollback_volume(request).await)?;
    match console.format() {
        Format::Json => console.object(&json::Operation::from(answer.operation.ok_or(NO_OPERATION)?))?,
        Format::Text => {
            let line = format!("{} reads as {} now", args.snapshot.volume, args.snapshot);
            match args.keep_as.as_str() {
                "" => console.line(line)?,
                name => console.line(format_args!("{line}; what it held is @{}", printable(name)))?,
            }
        }
    }
    Ok(Exit::DONE)
}

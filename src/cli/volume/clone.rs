//! `steward volume clone`: a volume that starts as another thing is.

use clap::Args;
use steward_proto::volume::v1 as pb;

use super::name::{Place, SnapshotPath, VolumePath};
use super::session::{NO_OPERATION, Session};
use super::{json, labels, operation, size};
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Makes a volume that starts as a snapshot, or as a volume is now: at once and without a copy.
#[derive(Args, Debug)]
pub(super) struct CloneArgs {
    /// From what.
    #[arg(value_name = "PATH@SNAP|PATH")]
    source: Place,

    /// The path of the new volume.
    #[arg(value_name = "DEST")]
    destination: VolumePath,

    /// The new volume refuses writes.
    #[arg(long)]
    read_only: bool,

    /// Give it all the bytes right away, in the background.
    #[arg(long)]
    full_copy: bool,

    /// How long it is to be, if longer than its source.
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "0", hide_default_value = true)]
    size: u64,

    /// A label of it; as often as needed.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = labels::parse)]
    labels: Vec<(String, String)>,

    /// Wait until it can be used, and has all the bytes if it is to.
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(args: CloneArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let (source, wait) = (args.source.to_string(), args.wait);
    let destination = args.destination.clone();
    let answer = session.take(session.snapshots().clone_snapshot(request(args, session)).await)?;
    let operation = answer.operation.ok_or(NO_OPERATION)?;
    if console.format() == Format::Text {
        let word = if answer.created { "is a clone" } else { "is there already as a clone" };
        console.line(format_args!("{destination} {word} of {source} (operation {})", operation.uuid))?;
        console.flush()?;
    }
    if wait {
        return operation::finish(operation, session, console).await;
    }
    if console.format() == Format::Json {
        console.object(&json::Operation::from(operation))?;
    }
    Ok(Exit::DONE)
}

fn request(args: CloneArgs, session: &Session<'_>) -> pb::CloneSnapshotRequest {
    use pb::clone_snapshot_request::Source;

    let snapshot = args.source.to_snapshot().as_ref().map(SnapshotPath::to_proto);
    pb::CloneSnapshotRequest {
        user: session.user(),
        source: Some(snapshot.map_or_else(|| Source::Volume(args.source.volume.to_proto()), Source::Snapshot)),
        destination: args.destination.0,
        read_only: args.read_only,
        full_copy: args.full_copy,
        pool: String::new(),
        labels: args.labels.into_iter().collect(),
        size_bytes: args.size,
    }
}

//! `steward volume tree`: volumes, their snapshots, and the clones of those.

mod draw;
mod plant;

use clap::Args;
use serde::Serialize;
use steward_proto::volume::v1 as pb;

use self::draw::Lines;
use self::plant::{Node, Thing};
use super::json;
use super::name::VolumePath;
use super::session::Session;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::time;

/// Draws the volumes, under them their snapshots, and under those the clones that read from them.
#[derive(Args, Debug)]
pub(super) struct TreeArgs {
    /// Those below this directory, and their clones wherever they are. Default: all.
    #[arg(value_name = "DIR")]
    directory: Option<VolumePath>,
}

/// A line of the tree for programs, in the order of the tree.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Volume { depth: usize, volume: json::Volume },
    Snapshot { depth: usize, snapshot: json::Snapshot },
}

pub(super) async fn run(args: TreeArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let volumes = pb::ListVolumesRequest { user: session.user(), recursive: true, ..Default::default() };
    let snapshots = pb::ListSnapshotsRequest { user: session.user(), with_hidden: true, ..Default::default() };
    let directory = args.directory.map(|directory| directory.0).unwrap_or_default();
    if !directory.is_empty() {
        // One that is not there is an error, and not an empty tree.
        session.volume(VolumePath(directory.clone()).to_proto()).await?;
    }
    let volumes = session.volume_pages(volumes).all().await?;
    let snapshots = session.snapshot_pages(snapshots).all().await?;
    let nodes = plant::plant(volumes, snapshots, &directory);
    show(nodes, console)?;
    Ok(Exit::DONE)
}

fn show(nodes: Vec<Node>, console: &mut Console) -> Result<(), Error> {
    let now = time::now();
    let mut lines = Lines::default();
    for node in nodes {
        match console.format() {
            Format::Text => {
                let line = lines.line(&node, console, now);
                console.line(line)?;
            }
            Format::Json => console.object(&Entry::from(node))?,
        }
    }
    Ok(())
}

impl From<Node> for Entry {
    fn from(Node { depth, thing, .. }: Node) -> Self {
        match thing {
            Thing::Volume(volume) => Entry::Volume { depth, volume: (*volume).into() },
            Thing::Snapshot(snapshot) => Entry::Snapshot { depth, snapshot: (*snapshot).into() },
        }
    }
}

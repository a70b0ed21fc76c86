//! `steward volume list`: what is in a directory.

use clap::Args;
use steward_proto::volume::v1 as pb;

use super::name::VolumePath;
use super::session::Session;
use super::{json, labels, text};
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::size;
use crate::cli::table::{Table, or_dash};

const HEADINGS: [&str; 6] = ["PATH", "SIZE", "SNAPSHOTS", "OPEN", "OWNER", "STATE"];
const USAGE_HEADINGS: [&str; 8] = ["PATH", "SIZE", "USED", "ALONE", "SNAPSHOTS", "OPEN", "OWNER", "STATE"];

/// Lists a directory.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Which one. Default: the root.
    #[arg(value_name = "DIR")]
    directory: Option<VolumePath>,

    /// Also what is in the directories below; volumes alone.
    #[arg(short, long)]
    recursive: bool,

    /// Only those that carry this label; as often as needed.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = labels::parse)]
    labels: Vec<(String, String)>,

    /// Only those of this owner.
    #[arg(long, value_name = "USER", default_value = "", hide_default_value = true)]
    owner: String,

    /// Also find out how much space each takes, and how much of it no other needs.
    #[arg(long)]
    usage: bool,
}

pub(super) async fn run(args: ListArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let mut pages = session.volume_pages(pb::ListVolumesRequest {
        user: session.user(),
        directory: args.directory.map(|directory| directory.0).unwrap_or_default(),
        recursive: args.recursive,
        labels: args.labels.into_iter().collect(),
        owner: args.owner,
        with_usage: args.usage,
        ..pb::ListVolumesRequest::default()
    });
    let (mut plain, mut with_usage) = (Table::new(HEADINGS), Table::new(USAGE_HEADINGS));
    while let Some(page) = pages.next().await? {
        if args.usage {
            with_usage.show::<_, json::Volume>(page, usage_row, console)?;
        } else {
            plain.show::<_, json::Volume>(page, row, console)?;
        }
    }
    Ok(Exit::DONE)
}

fn row(volume: &pb::Volume) -> [String; 6] {
    let [path, snapshots, open, owner, state] = cells(volume);
    [path, or_dash(text::volume_size(volume)), snapshots, open, owner, state]
}

fn usage_row(volume: &pb::Volume) -> [String; 8] {
    let [path, snapshots, open, owner, state] = cells(volume);
    let (used, alone) = (size::text(volume.used_bytes), size::text(volume.unique_bytes));
    [path, or_dash(text::volume_size(volume)), used, alone, snapshots, open, owner, state]
}

/// A directory ends with a slash, and has entries instead of a state.
fn cells(volume: &pb::Volume) -> [String; 5] {
    let (path, owner) = (printable(&volume.path).into_owned(), or_dash(printable(&volume.owner).into_owned()));
    if volume.kind() == pb::VolumeKind::Directory {
        let path = format!("{}/", path.trim_end_matches('/'));
        return [path, "-".to_owned(), "-".to_owned(), owner, format!("{} entries", volume.entry_count)];
    }
    let (snapshots, open) = (volume.snapshot_count.to_string(), volume.open_sessions.to_string());
    [path, snapshots, open, owner, text::volume_state(volume).text]
}

//! `steward volume snapshot list`: which snapshots there are.

use clap::Args;
use jiff::Timestamp;
use steward_proto::volume::v1 as pb;

use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::table::{Table, or_dash};
use crate::cli::volume::name::VolumePath;
use crate::cli::volume::session::Session;
use crate::cli::volume::{json, text};
use crate::cli::{size, time};

const HEADINGS: [&str; 7] = ["SNAPSHOT", "SIZE", "CREATED", "EXPIRES", "CLONES", "OWNER", "STATE"];
const USAGE_HEADINGS: [&str; 8] = ["SNAPSHOT", "SIZE", "ALONE", "CREATED", "EXPIRES", "CLONES", "OWNER", "STATE"];

/// Lists the snapshots of a volume, or all.
#[derive(Args, Debug)]
pub(in crate::cli::volume) struct ListArgs {
    /// Of which volume. Default: of all.
    #[arg(value_name = "PATH")]
    volume: Option<VolumePath>,

    /// Also find out how much space each needs alone.
    #[arg(long)]
    usage: bool,

    /// Also those that nobody named: they were made for clones of volumes.
    #[arg(long)]
    hidden: bool,
}

pub(super) async fn run(args: ListArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let mut pages = session.snapshot_pages(pb::ListSnapshotsRequest {
        user: session.user(),
        volume: args.volume.as_ref().map(VolumePath::to_proto),
        with_hidden: args.hidden,
        with_usage: args.usage,
        ..pb::ListSnapshotsRequest::default()
    });
    let (mut plain, mut with_usage) = (Table::new(HEADINGS), Table::new(USAGE_HEADINGS));
    while let Some(page) = pages.next().await? {
        let now = time::now();
        if args.usage {
            with_usage.show::<_, json::Snapshot>(page, |snapshot| usage_row(snapshot, now), console)?;
        } else {
            plain.show::<_, json::Snapshot>(page, |snapshot| row(snapshot, now), console)?;
        }
    }
    Ok(Exit::DONE)
}

fn usage_row(snapshot: &pb::Snapshot, now: Timestamp) -> [String; 8] {
    let [name, size, created, expires, clones, owner, state] = row(snapshot, now);
    [name, size, size::text(snapshot.unique_bytes), created, expires, clones, owner, state]
}

fn row(snapshot: &pb::Snapshot, now: Timestamp) -> [String; 7] {
    let state = text::snapshot_state(snapshot).text;
    let expires = text::when(snapshot.expire_time, now);
    [
        text::snapshot_name(snapshot),
        size::text(snapshot.size_bytes),
        or_dash(text::when(snapshot.create_time, now)),
        if expires.is_empty() { "never".to_owned() } else { expires },
        snapshot.child_count.to_string(),
        or_dash(printable(&snapshot.owner).into_owned()),
        if snapshot.protected { format!("{state}, protected") } else { state },
    ]
}

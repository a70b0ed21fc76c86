//! `steward volume snapshot diff`: what differs.

use clap::Args;
use steward_proto::volume::v1 as pb;

use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::size;
use crate::cli::table::Table;
use crate::cli::volume::json;
use crate::cli::volume::name::SnapshotPath;
use crate::cli::volume::session::Session;

const HEADINGS: [&str; 3] = ["OFFSET", "LENGTH", "READS AS"];

/// Shows where two snapshots of a volume differ, or where one of them was ever written.
#[derive(Args, Debug)]
pub(in crate::cli::volume) struct DiffArgs {
    /// The older one; without the other, the one to show.
    #[arg(value_name = "PATH@A")]
    older: SnapshotPath,

    /// The newer one.
    #[arg(value_name = "PATH@B")]
    newer: Option<SnapshotPath>,
}

pub(super) async fn run(args: DiffArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let mut stream = session.take(session.snapshots().diff_snapshots(request(args, session)?).await)?;
    let mut table = Table::new(HEADINGS);
    let mut sum = Sum::default();
    while let Some(part) = stream.message().await.map_err(|status| session.failure(status))? {
        part.extents.iter().for_each(|extent| sum.add(extent));
        sum.size = part.size_bytes;
        if !part.extents.is_empty() {
            table.show::<_, json::Extent>(part.extents, row, console)?;
        }
    }
    if console.format() == Format::Text {
        console.line(sum.line())?;
    }
    Ok(Exit::DONE)
}

fn request(args: DiffArgs, session: &Session<'_>) -> Result<pb::DiffSnapshotsRequest, Error> {
    let (newer, base) = match args.newer {
        None => (args.older, String::new()),
        Some(newer) if newer.volume == args.older.volume => (newer, args.older.name),
        Some(newer) => {
            let problem = format!("{} and {newer} are snapshots of different volumes", args.older);
            return Err(Error::Local(problem));
        }
    };
    Ok(pb::DiffSnapshotsRequest { user: session.user(), snapshot: Some(newer.to_proto()), base, offset: 0 })
}

fn row(extent: &pb::Extent) -> [String; 3] {
    let kind = if extent.is_zero { "zeros" } else { "data" };
    [extent.offset.to_string(), extent.length.to_string(), kind.to_owned()]
}

/// How much differs.
#[derive(Debug, Default)]
struct Sum {
    extents: u64,
    data: u64,
    zeros: u64,
    size: u64,
}

impl Sum {
    fn add(&mut self, extent: &pb::Extent) {
        self.extents += 1;
        let bytes = if extent.is_zero { &mut self.zeros } else { &mut self.data };
        *bytes = bytes.saturating_add(extent.length);
    }

    fn line(&self) -> String {
        let Sum { extents, data, zeros, size } = self;
        let (data, zeros, size) = (size::text(*data), size::text(*zeros), size::text(*size));
        let noun = if *extents == 1 { "extent" } else { "extents" };
        format!("{extents} {noun}: {data} of data and {zeros} of zeros, of {size}")
    }
}

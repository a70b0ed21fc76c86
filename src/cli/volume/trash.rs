//! `steward volume trash`: what was deleted and can still be restored.

use jiff::Timestamp;
use steward_proto::volume::v1 as pb;

use super::session::{Session, is_refused_for};
use super::{json, text};
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::table::{Table, or_dash};
use crate::cli::{size, time};

/// Where the volumes of the trash are.
const TRASH: &str = "/RecycleBin";
const HEADINGS: [&str; 5] = ["ID", "WAS", "SIZE", "OWNER", "PURGED"];

pub(super) async fn run(session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let mut pages = session.volume_pages(pb::ListVolumesRequest {
        user: session.user(),
        directory: TRASH.to_owned(),
        ..pb::ListVolumesRequest::default()
    });
    let mut table = Table::new(HEADINGS);
    let now = time::now();
    loop {
        match pages.next().await {
            Ok(Some(page)) => table.show::<_, json::Volume>(page, |volume| row(volume, now), console)?,
            Ok(None) => return Ok(Exit::DONE),
            // Nothing was ever deleted.
            Err(error) if is_refused_for(&error, "NOT_FOUND") => return Ok(Exit::DONE),
            Err(error) => return Err(error),
        }
    }
}

fn row(volume: &pb::Volume, now: Timestamp) -> [String; 5] {
    let was = if volume.original_path.is_empty() { &volume.path } else { &volume.original_path };
    let purged = text::when(volume.purge_time, now);
    [
        volume.id.to_string(),
        printable(was).into_owned(),
        size::text(volume.size_bytes),
        or_dash(printable(&volume.owner).into_owned()),
        if purged.is_empty() { "never".to_owned() } else { purged },
    ]
}

//! `steward library list`: all libraries.

use clap::Args;
use jiff::Timestamp;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::library_service_client::LibraryServiceClient;

use super::{json, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::table::Table;
use crate::cli::time;

const HEADINGS: [&str; 6] = ["NAME", "VIDEOS", "SCANNED", "INTERVAL", "PATH", "STATE"];

/// Lists the libraries, by name.
#[derive(Args, Debug)]
pub(super) struct ListArgs {}

pub(super) async fn run(ListArgs {}: ListArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut libraries = LibraryServiceClient::new(server.connect().await?);
    let answer = libraries.list_libraries(pb::ListLibrariesRequest {}).await.map_err(server.failure())?.into_inner();
    let now = time::now();
    Table::new(HEADINGS).show::<_, json::Library>(answer.libraries, |library| row(library, now), console)?;
    Ok(Exit::DONE)
}

fn row(library: &pb::Library, now: Timestamp) -> [String; 6] {
    let scanned = time::from_proto(library.scan_time);
    [
        printable(&library.name).into_owned(),
        library.video_count.to_string(),
        scanned.map_or_else(|| "never".to_owned(), |time| time::relative(time, now)),
        text::interval(library),
        printable(&library.path).into_owned(),
        text::state(library),
    ]
}

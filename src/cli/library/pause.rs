//! `steward library pause` and `resume`.

use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::library_service_client::LibraryServiceClient;

use super::{NameArgs, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

pub(super) async fn run(args: NameArgs, paused: bool, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut libraries = LibraryServiceClient::new(server.connect().await?);
    let known = super::get(&mut libraries, &args.name, server).await?;
    let library = super::put(&mut libraries, pb::Library { paused, ..known }, server).await?;
    let done = if paused { "paused" } else { "gives out its videos again" };
    match console.format() {
        Format::Json => text::show(library, console)?,
        Format::Text => console.line(format_args!("{}: {done}", printable(&library.name)))?,
    }
    Ok(Exit::DONE)
}

//! `steward library remove`: forgets a library.

use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::library_service_client::LibraryServiceClient;

use super::{NameArgs, json};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

pub(super) async fn run(args: NameArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut libraries = LibraryServiceClient::new(server.connect().await?);
    let request = pb::RemoveLibraryRequest { name: args.name.clone() };
    libraries.remove_library(request).await.map_err(server.failure())?;
    match console.format() {
        Format::Json => console.object(&json::Removed { name: args.name })?,
        Format::Text => console.line(format_args!("{}: removed; its files are untouched", printable(&args.name)))?,
    }
    Ok(Exit::DONE)
}

//! `steward library show`: one library as it stands.

use steward_proto::transcode::v1::library_service_client::LibraryServiceClient;

use super::{NameArgs, text};
use crate::cli::connect::Server;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

pub(super) async fn run(args: NameArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut libraries = LibraryServiceClient::new(server.connect().await?);
    text::show(super::get(&mut libraries, &args.name, server).await?, console)?;
    Ok(Exit::DONE)
}

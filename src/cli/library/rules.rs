//! The rules of a library as a file, and `steward library rules`, which prints it.

pub(super) mod file;
mod print;

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::library_service_client::LibraryServiceClient;

pub(super) use self::file::parse;
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Prints the rules of a library, or those that hold without any, as a file for `add --rules`.
#[derive(Args, Debug)]
pub(super) struct RulesArgs {
    /// Of which library. Default: the rules that hold when nothing is said.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(super) async fn run(args: RulesArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let rules = match args.name {
        // Nothing is asked of a server.
        None => pb::Rules::default(),
        Some(name) => {
            let mut libraries = LibraryServiceClient::new(server.connect().await?);
            super::get(&mut libraries, &name, server).await?.rules.unwrap_or_default()
        }
    };
    match console.format() {
        Format::Json => console.object(&file::Rules::from(rules))?,
        Format::Text => console.draw(&print::text(rules))?,
    }
    Ok(Exit::DONE)
}

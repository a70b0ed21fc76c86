//! `steward library add`: adds a library, or changes one.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::library_service_client::LibraryServiceClient;

use super::{rules, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, printable};
use crate::cli::duration;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Adds a library, or changes the one of that name, and scans it. Of one that is there, what is not given stays.
#[derive(Args, Debug)]
pub(super) struct AddArgs {
    /// Its name, the first part of the paths of its videos: letters, digits, `-`, `_` and `.`.
    #[arg(value_name = "NAME")]
    name: String,

    /// Its directory on the server, as an absolute path.
    #[arg(value_name = "PATH", value_parser = parse_path)]
    path: String,

    /// A file with its rules; `library rules` prints one.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,

    /// How often it is scanned by itself, such as 30m; 0s: never. Default: the server's setting.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    scan_interval: Option<Duration>,

    /// Its videos are not given out until it is resumed.
    #[arg(long)]
    paused: bool,
}

pub(super) async fn run(args: AddArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let rules = args.rules.as_deref().map(read_rules).transpose()?;
    let mut libraries = LibraryServiceClient::new(server.connect().await?);
    let known = super::find(&mut libraries, &args.name, server).await?;
    let known = known.unwrap_or_else(|| pb::Library { name: args.name, ..pb::Library::default() });
    let library = pb::Library {
        path: args.path,
        rules: rules.or(known.rules),
        scan_interval: args.scan_interval.map(duration::to_proto).or(known.scan_interval),
        paused: args.paused || known.paused,
        ..known
    };
    text::show(super::put(&mut libraries, library, server).await?, console)?;
    Ok(Exit::DONE)
}

fn read_rules(file: &std::path::Path) -> Result<pb::Rules, Error> {
    let shown = file.display().to_string();
    let shown = printable(&shown);
    let content = fs::read_to_string(file).map_err(|cause| Error::Local(format!("cannot read {shown}: {cause}")))?;
    rules::parse(&content).map_err(|problem| Error::Local(format!("{shown}: {problem}")))
}

fn parse_path(text: &str) -> Result<String, &'static str> {
    // The server may be another machine, so nothing is made of a path that depends on this one.
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("it is a path on the server, and has to be absolute") }
}

//! `steward library scan`: scans a library and tells how it goes.

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::library_service_client::LibraryServiceClient;

use super::json;
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, Tone, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::progress::Progress;

/// Scans a library and tells how it goes; joins the scan that is under way.
#[derive(Args, Debug)]
#[command(after_help = "Ending the command does not end the scan.\n\n\
                        Exit codes: 0 the library is scanned, 1 not, or not all of it, 2 wrong usage.")]
pub(super) struct ScanArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: String,

    /// Probe files anew that have not changed.
    #[arg(long)]
    reprobe: bool,
}

pub(super) async fn run(args: ScanArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut libraries = LibraryServiceClient::new(server.connect().await?);
    let request = pb::ScanLibraryRequest { name: args.name, reprobe: args.reprobe };
    let mut steps = libraries.scan_library(request).await.map_err(server.failure())?.into_inner();
    let progress = Progress::stderr();
    while let Some(step) = steps.message().await.map_err(server.failure())? {
        let (is_done, is_whole) = (step.done, step.error.is_empty());
        match console.format() {
            Format::Json => {
                console.object(&json::Scan::from(step))?;
                console.flush()?;
            }
            Format::Text if is_done => {
                progress.clear();
                show_end(&step, console)?;
            }
            Format::Text => progress.say(&format!("{}  {}", counts(&step), printable(&step.current))),
        }
        if is_done {
            return Ok(if is_whole { Exit::DONE } else { Exit::FOUND });
        }
    }
    Err(Error::Nonsense("it ended before the scan did"))
}

fn show_end(step: &pb::ScanLibraryResponse, console: &mut Console) -> Result<(), Error> {
    if step.error.is_empty() {
        return console.line(format_args!("{}: {}", console.paint(Tone::Good, "scanned"), counts(step)));
    }
    let ended = console.paint(Tone::Bad, "ended early");
    console.line(format_args!("{ended}: {}; {}", counts(step), printable(&step.error)))
}

/// `1203 videos, 12 new, 1 changed`: what is none is not told.
fn counts(step: &pb::ScanLibraryResponse) -> String {
    let mut text = if step.seen == 1 { "1 video".to_owned() } else { format!("{} videos", step.seen) };
    for (count, what) in [
        (step.added, "new"),
        (step.changed, "changed"),
        (step.moved, "moved"),
        (step.missing, "gone"),
        (step.unstable, "still being written"),
        (step.errors, "unreadable"),
    ] {
        if count > 0 {
            text.extend([format!(", {count} {what}")]);
        }
    }
    text
}

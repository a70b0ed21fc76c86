//! `steward volume scrub`: has the bytes of volumes checked.

use clap::Args;
use steward_proto::volume::v1 as pb;
use steward_proto::volume::v1::ScrubVolumesResponse as Step;

use super::json;
use super::name::VolumePath;
use super::session::Session;
use crate::cli::console::{Console, Format, Tone, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::progress::Progress;

/// Has the server check records, maps, layers and checksums.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 nothing is wrong, or all of it was mended; 1 something is wrong, or not everything \
                        could be checked; 2 wrong usage."
)]
pub(super) struct ScrubArgs {
    /// Which volume. Default: all.
    #[arg(value_name = "PATH")]
    path: Option<VolumePath>,

    /// Mend what can be mended without a guess.
    #[arg(long)]
    repair: bool,
}

pub(super) async fn run(args: ScrubArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::ScrubVolumesRequest {
        user: session.user(),
        volume: args.path.as_ref().map(VolumePath::to_proto),
        repair: args.repair,
    };
    let mut stream = session.take(session.volumes().scrub_volumes(request).await)?;
    let progress = Progress::stderr();
    let mut tally = Tally::default();
    while let Some(step) = stream.message().await.map_err(|status| session.failure(status))? {
        if !step.findings.is_empty() {
            progress.clear();
        }
        for finding in step.findings {
            tally.add(&finding);
            show(finding, console)?;
        }
        // Somebody may wait for it for hours.
        console.flush()?;
        let now = Step { findings: Vec::new(), ..step };
        tally.more = now.more_findings;
        if now.done {
            progress.clear();
            return end(&now, &tally, console);
        }
        progress.say(&progress_line(&now, &tally));
    }
    Err(Error::Nonsense("it ended before all was checked"))
}

/// What was found so far.
#[derive(Debug, Default)]
struct Tally {
    found: u64,
    repaired: u64,
    more: u64,
}

impl Tally {
    fn add(&mut self, finding: &pb::ScrubFinding) {
        self.found += 1;
        self.repaired += u64::from(finding.is_repaired);
    }

    /// What is still wrong, as far as is known.
    fn wrong(&self) -> u64 {
        self.found - self.repaired + self.more
    }
}

fn progress_line(step: &Step, tally: &Tally) -> String {
    let Step { layers_done, layers_total, blocks, .. } = step;
    format!("scrub  {layers_done} of {layers_total} layers  {blocks} blocks  {} findings", tally.found)
}

fn show(finding: pb::ScrubFinding, console: &mut Console) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&json::Finding::from(finding)),
        Format::Text => {
            let line = line(&finding, console);
            console.line(line)
        }
    }
}

/// `checksum_mismatch  layer 7, 4096 bytes at 8192; mended`.
fn line(finding: &pb::ScrubFinding, console: &Console) -> String {
    let pb::ScrubFinding { layer, offset, length, is_repaired, .. } = finding;
    let tone = if *is_repaired { Tone::Waiting } else { Tone::Bad };
    let kind = console.paint(tone, format!("{:<17}", printable(&finding.kind)));
    let mended = if *is_repaired { "; mended" } else { "" };
    format!("{kind}  layer {layer}, {length} bytes at {offset}{mended}")
}

fn end(step: &Step, tally: &Tally, console: &mut Console) -> Result<Exit, Error> {
    match console.format() {
        Format::Json => console.object(&json::Scrubbed {
            layers: step.layers_done,
            blocks: step.blocks,
            verified: step.verified,
            findings: tally.found,
            repaired: tally.repaired,
            more_findings: tally.more,
        })?,
        Format::Text => {
            let Step { layers_done, blocks, verified, .. } = step;
            let result = result(tally, console);
            console.line(format_args!("{layers_done} layers, {blocks} blocks, {verified} verified: {result}"))?;
        }
    }
    Ok(if tally.wrong() == 0 { Exit::DONE } else { Exit::FOUND })
}

fn result(tally: &Tally, console: &Console) -> String {
    let Tally { found, repaired, more } = tally;
    let (tone, text) = match (found + more, tally.wrong()) {
        (0, _) => (Tone::Good, "nothing is wrong".to_owned()),
        (1, 0) => (Tone::Waiting, "1 finding, mended".to_owned()),
        (all, 0) => (Tone::Waiting, format!("{all} findings, all of them mended")),
        (1, _) => (Tone::Bad, "1 finding".to_owned()),
        (all, _) => (Tone::Bad, format!("{all} findings, {repaired} of them mended")),
    };
    console.paint(tone, text).to_string()
}

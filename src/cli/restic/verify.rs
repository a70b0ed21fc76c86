//! `steward restic verify`: has every object read, and tells what is wrong.

use crate::cli::connect::Channel;
use clap::Args;
use steward_proto::restic::v1 as pb;
use steward_proto::restic::v1::finding::Problem;
use steward_proto::restic::v1::object_service_client::ObjectServiceClient;
use steward_proto::restic::v1::verify_repository_response::Event;

use super::list::Pages;
use super::repository::{Repository, shown};
use super::{json, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, Tone, printable};
use crate::cli::error::{self, Error};
use crate::cli::exit::Exit;
use crate::cli::progress::Progress;

/// Has the server read every object and compare it with its name and the index.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 nothing is wrong, 1 something was found (even if it was repaired), 2 wrong usage, \
                        3 not everything could be verified."
)]
pub(super) struct VerifyArgs {
    /// Which repository. Default: all that you may read.
    #[arg(value_name = "REPO")]
    repository: Option<Repository>,

    /// Put right what can be: move damaged objects aside, restore deleted copies that are good, correct the index.
    #[arg(long)]
    repair: bool,
}

pub(super) async fn run(args: VerifyArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    match verify_all(args, server, console).await {
        Err(error) if !error.is_broken_pipe() => {
            error::report(&error);
            Ok(Exit::NOT_VERIFIED)
        }
        result => result,
    }
}

async fn verify_all(args: VerifyArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut objects = server.connect_objects().await?;
    let paths = match args.repository {
        Some(repository) => vec![repository.0],
        None => all_paths(objects.clone(), server).await?,
    };
    let mut exit = Exit::DONE;
    for repository in paths {
        let request = pb::VerifyRepositoryRequest { repository, repair: args.repair };
        let shown = shown(&request.repository);
        match verify(&mut objects, request, server, console).await {
            Ok(found) if found > 0 && exit == Exit::DONE => exit = Exit::FOUND,
            Ok(_) => {}
            // The others may be readable.
            Err(Error::Refused(status)) => {
                eprintln!("error: {shown}: {}", error::describe(&status));
                exit = Exit::NOT_VERIFIED;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(exit)
}

async fn all_paths(objects: ObjectServiceClient<Channel>, server: &Server) -> Result<Vec<String>, Error> {
    let mut pages = Pages::new(objects, String::new());
    let mut paths = Vec::new();
    while let Some(page) = pages.next().await.map_err(server.failure())? {
        paths.extend(page.into_iter().map(|repository| repository.path));
    }
    Ok(paths)
}

/// Shows what is wrong with one repository. Returns how many findings there were.
async fn verify(
    objects: &mut ObjectServiceClient<Channel>,
    request: pb::VerifyRepositoryRequest,
    server: &Server,
    console: &mut Console,
) -> Result<u64, Error> {
    let repository = request.repository.clone();
    let mut events = objects.verify_repository(request).await.map_err(server.failure())?.into_inner();
    let progress = Progress::stderr();
    progress.begin(&shown(&repository), 0);
    let mut tally = Tally::default();
    while let Some(message) = events.message().await.map_err(server.failure())? {
        match message.event {
            Some(Event::Finding(finding)) => {
                tally.add(&finding);
                progress.clear();
                show_finding(&repository, finding, console)?;
            }
            Some(Event::Progress(now)) if now.done => {
                progress.clear();
                show_end(&repository, &now, &tally, console)?;
                return Ok(tally.found);
            }
            Some(Event::Progress(now)) => {
                let bytes = |number| u64::try_from(number).unwrap_or_default();
                progress.set(bytes(now.object_bytes), bytes(now.total_bytes));
            }
            None => {}
        }
    }
    Err(Error::Nonsense("it ended before all was verified"))
}

#[derive(Debug, Default)]
struct Tally {
    found: u64,
    repaired: u64,
}

impl Tally {
    fn add(&mut self, finding: &pb::Finding) {
        self.found += 1;
        self.repaired += u64::from(finding.repaired);
    }
}

fn show_finding(repository: &str, finding: pb::Finding, console: &mut Console) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&json::Verification::finding(repository, finding))?,
        Format::Text => console.line(finding_line(repository, &finding, console))?,
    }
    // Somebody may wait for it for hours.
    console.flush()
}

/// `alice/laptop  damaged     data/ab/ab…: its SHA-256 is cd…; repaired`.
fn finding_line(repository: &str, finding: &pb::Finding, console: &Console) -> String {
    let problem = match finding.problem() {
        Problem::Unspecified => "wrong",
        Problem::Damaged => "damaged",
        Problem::Missing => "missing",
        Problem::Unreadable => "unreadable",
        Problem::Foreign => "foreign",
    };
    let problem = console.paint(Tone::Bad, format!("{problem:<10}"));
    let line = format!("{}  {problem}  {}", shown(repository), printable(&finding.detail));
    match finding {
        pb::Finding { restored: true, .. } => format!("{line}; restored"),
        // The repository is consistent again, and a backup may still lack something.
        pb::Finding { repaired: true, key: Some(_), .. } => format!("{line}; repaired, but the object may be lost"),
        pb::Finding { repaired: true, .. } => format!("{line}; repaired"),
        pb::Finding { .. } => line,
    }
}

fn show_end(repository: &str, end: &pb::VerifyProgress, tally: &Tally, console: &mut Console) -> Result<(), Error> {
    if console.format() == Format::Json {
        return console.object(&json::Verification::verified(repository, end));
    }
    let read = text::objects(end.object_count, end.object_bytes);
    let result = match tally {
        Tally { found: 0, .. } => console.paint(Tone::Good, "nothing is wrong".to_owned()),
        Tally { found: 1, repaired: 0 } => console.paint(Tone::Bad, "1 finding".to_owned()),
        Tally { found: 1, .. } => console.paint(Tone::Waiting, "1 finding, repaired".to_owned()),
        Tally { found, repaired } => console.paint(Tone::Bad, format!("{found} findings, {repaired} of them repaired")),
    };
    console.line(format_args!("{}: {read} verified; {result}", shown(repository)))
}

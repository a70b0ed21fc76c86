//! `steward video import`: makes videos known that were found elsewhere, from a file with a JSON object a line.

mod lines;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::thread;

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::video_service_client::VideoServiceClient;
use tokio::sync::mpsc;
use tonic::Status;
use tonic_types::StatusExt as _;

use self::lines::{Batch, Found, Line};
use super::json;
use crate::cli::backoff::Backoff;
use crate::cli::connect::{Channel, Server};
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::{self, Error};
use crate::cli::exit::Exit;
use crate::cli::progress::Progress;

// Two wait while one is sent.
const BATCHES_AHEAD: usize = 2;
const MOST_TRIES: usize = 8;

/// Makes videos known that were found elsewhere, or refreshes them: for moving from another master.
#[derive(Args, Debug)]
#[command(
    after_help = "Each line is a JSON object with the fields of `video list --json`; `video_path` is required. Without a \
                  `transcode_status` the rules of the library decide; claimed and transcoding become waiting. Ids, tasks \
                  and times are the server's own. A line that is wrong is named on standard error, and the others are \
                  imported. An import can be run again.\n\n\
                  Exit codes: 0 all lines are imported, 1 some are not, 2 wrong usage."
)]
pub(super) struct ImportArgs {
    /// The file; `-`: standard input.
    #[arg(value_name = "FILE")]
    file: String,
}

pub(super) async fn run(args: ImportArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let progress = Progress::stderr();
    let source = open(&args.file, &progress)
        .map_err(|cause| Error::Local(format!("cannot read {}: {cause}", printable(&args.file))))?;
    let videos = VideoServiceClient::new(server.connect().await?);
    let mut import = Import { videos, progress, tally: Tally::default() };
    let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
    // A thread of its own: standard input may never come to an end, and the command must not wait for it.
    let read = move || lines::read(BufReader::new(source), |found| sender.blocking_send(found).is_ok());
    thread::Builder::new()
        .spawn(read)
        .map_err(|source| Error::System { what: "cannot start a thread that reads", source })?;
    while let Some(found) = batches.recv().await {
        match found {
            Found::Batch(batch) => import.register(batch, server).await?,
            Found::Wrong { line, problem } => import.fail(1, &format!("line {line}: {problem}")),
            Found::Broken { line, cause } => {
                import.fail(1, &format!("line {line}: cannot read on: {cause}"));
            }
        }
    }
    import.progress.clear();
    import.tally.show(console)?;
    Ok(if import.tally.failed > 0 { Exit::FOUND } else { Exit::DONE })
}

fn open(file: &str, progress: &Progress) -> io::Result<Box<dyn Read + Send>> {
    if file == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let opened = File::open(file)?;
    progress.begin(file, opened.metadata()?.len());
    Ok(Box::new(opened))
}

struct Import {
    videos: VideoServiceClient<Channel>,
    progress: Progress,
    tally: Tally,
}

impl Import {
    /// Sends a batch; without the lines that the server names, and library by library when one is not there.
    async fn register(&mut self, batch: Batch, server: &Server) -> Result<(), Error> {
        let bytes = batch.bytes;
        let mut parts = vec![batch.lines];
        while let Some(mut lines) = parts.pop() {
            match self.send(&lines).await {
                Ok(answer) => self.tally.add(&answer),
                Err(status) if !wrong_lines(&status, lines.len()).is_empty() => {
                    let wrong = wrong_lines(&status, lines.len());
                    for (index, problem) in &wrong {
                        self.fail(1, &format!("line {}: {problem}", lines[*index].number));
                    }
                    let mut index = 0..;
                    lines.retain(|_| !index.next().is_some_and(|index| wrong.contains_key(&index)));
                    parts.push(lines);
                }
                Err(status) => match server.failure()(status) {
                    Error::Refused(status) if is_about_a_library(&status) && libraries(&lines) > 1 => {
                        parts.extend(by_library(lines));
                    }
                    Error::Refused(status) => {
                        self.fail(lines.len(), &format!("{}: {}", span(&lines), error::describe(&status)));
                    }
                    error => return Err(error),
                },
            }
            parts.retain(|lines| !lines.is_empty());
        }
        self.progress.advance(bytes);
        Ok(())
    }

    /// The same request again does no harm, so a server that is busy or restarts is asked again.
    async fn send(&mut self, lines: &[Line]) -> Result<pb::RegisterVideosResponse, Status> {
        let videos: Vec<_> = lines.iter().map(|line| line.video.clone()).collect();
        let mut backoff = Backoff::new();
        for _ in 1..MOST_TRIES {
            match self.videos.register_videos(pb::RegisterVideosRequest { videos: videos.clone() }).await {
                Err(status) if error::is_transient(&status) => backoff.pause().await,
                answer => return answer.map(tonic::Response::into_inner),
            }
        }
        self.videos.register_videos(pb::RegisterVideosRequest { videos }).await.map(tonic::Response::into_inner)
    }

    fn fail(&mut self, count: usize, problem: &str) {
        self.tally.failed += count as u64;
        self.progress.clear();
        eprintln!("error: {problem}");
    }
}

/// The lines that the server names, as in `videos[3].video_path`, and what is wrong with them.
fn wrong_lines(status: &Status, count: usize) -> BTreeMap<usize, String> {
    let mut wrong = BTreeMap::new();
    for violation in status.get_details_bad_request().into_iter().flat_map(|details| details.field_violations) {
        let place = violation.field.strip_prefix("videos[").and_then(|rest| rest.split_once(']'));
        let Some((index, field)) = place else { continue };
        let Some(index) = index.parse().ok().filter(|index| *index < count) else { continue };
        let problem = format!("{}: {}", field.trim_start_matches('.'), violation.description);
        wrong.entry(index).or_insert_with(|| printable(problem.trim_start_matches(": ")).into_owned());
    }
    wrong
}

fn is_about_a_library(status: &Status) -> bool {
    error::reason(status).as_deref() == Some("LIBRARY_NOT_FOUND")
}

fn libraries(lines: &[Line]) -> usize {
    lines.iter().map(Line::library).collect::<std::collections::BTreeSet<_>>().len()
}

fn by_library(lines: Vec<Line>) -> Vec<Vec<Line>> {
    let mut parts: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for line in lines {
        parts.entry(line.library().to_owned()).or_default().push(line);
    }
    parts.into_values().collect()
}

/// `line 7`, `lines 1 to 500`.
fn span(lines: &[Line]) -> String {
    match lines {
        [] => "no line".to_owned(),
        [line] => format!("line {}", line.number),
        [first, .., last] => format!("{} lines from {} to {}", lines.len(), first.number, last.number),
    }
}

#[derive(Debug, Default)]
struct Tally {
    registered: u64,
    added: u64,
    failed: u64,
}

impl Tally {
    fn add(&mut self, answer: &pb::RegisterVideosResponse) {
        self.registered += answer.ids.len() as u64;
        self.added += u64::try_from(answer.added).unwrap_or_default();
    }

    fn show(&self, console: &mut Console) -> Result<(), Error> {
        let Tally { registered, added, failed } = *self;
        match console.format() {
            Format::Json => console.object(&json::Imported { registered, added, failed }),
            Format::Text => console.line(format_args!("imported {registered} ({added} new), {failed} failed")),
        }
    }
}

//! `steward artifact get`: fetches a file.

mod download;
mod sink;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use self::download::download;
use self::sink::Sink;
use super::name::Place;
use super::session::Session;
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::size;

/// Fetches a file, and checks its SHA-256. A file that is there already is replaced when the new one is whole.
#[derive(Args, Debug)]
#[command(
    after_help = "What has come so far is in FILE.part. A connection that is lost is made again; when the command itself \
                  was interrupted, --continue goes on where it was."
)]
pub(super) struct GetArgs {
    /// Which one.
    #[arg(value_name = "PROJECT/REPO/PATH")]
    place: Place,

    /// Where to: a file, a directory, or `-` for standard output. Default: the name of the file, here.
    #[arg(value_name = "FILE|-")]
    file: Option<PathBuf>,

    /// Go on with what is in FILE.part.
    #[arg(long = "continue")]
    resume: bool,
}

/// What was fetched, for programs.
#[derive(Serialize)]
struct Fetched<'a> {
    file: String,
    size: i64,
    sha256: &'a str,
    /// How many bytes were there already.
    resumed_from: u64,
}

pub(super) async fn run(args: GetArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let file = session.file(&args.place).await?;
    if file.folder {
        return Err(Error::Local(format!("{} is a folder: get its files one by one", args.place)));
    }
    let size = u64::try_from(file.size).map_err(|_| Error::Nonsense("a file is shorter than nothing"))?;
    let target = target(&args)?;
    let mut sink = match &target {
        Some(target) => Sink::file(target, args.resume, size).await?,
        None => Sink::stdout(),
    };
    let resumed_from = sink.length();
    let progress = Progress::stderr();
    progress.begin(&printable(args.place.last_part()), size.saturating_sub(resumed_from));
    let downloaded = download(&file, size, &mut sink, &progress, session).await;
    progress.clear();
    if let Err(error) = downloaded {
        sink.leave().await;
        return Err(error);
    }
    sink.finish(&file.sha256).await?;
    if let Some(target) = target {
        let shown = target.display().to_string();
        match console.format() {
            Format::Json => {
                let (size, sha256) = (file.size, file.sha256.as_str());
                console.object(&Fetched { file: shown, size, sha256, resumed_from })?;
            }
            Format::Text => {
                let (size, sha256) = (size::of_proto(file.size), printable(&file.sha256));
                console.line(format_args!("{} is in {shown}: {size}, sha256 {sha256}", args.place))?;
            }
        }
    }
    Ok(Exit::DONE)
}

/// Where the file goes; nothing: to standard output.
fn target(args: &GetArgs) -> Result<Option<PathBuf>, Error> {
    let file = args.file.as_deref().unwrap_or(Path::new("."));
    if file.as_os_str() == "-" {
        return Ok(None);
    }
    if !file.is_dir() {
        return Ok(Some(file.to_owned()));
    }
    match args.place.last_part() {
        "" | "." | ".." => Err(Error::Local(format!("say where {} goes", args.place))),
        name => Ok(Some(file.join(name))),
    }
}

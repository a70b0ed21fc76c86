//! `steward artifact put`: stores a file.

mod chunks;
mod once;
mod resumable;

use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use steward_proto::artifact::v1 as pb;
use tokio::fs::File;

use super::change;
use super::json;
use super::name::Place;
use super::session::Session;
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::{age, duration, size};

/// Stores a file, and checks that the server has the same bytes.
#[derive(Args, Debug)]
#[command(
    after_help = "A connection that is lost is made again, and goes on where the server has the bytes before, but for \
                  standard input, pipes and devices: these can be read only once."
)]
pub(super) struct PutArgs {
    /// The file, or `-` for standard input.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// Where it goes. With a slash at its end: into that folder, under the name of the file.
    #[arg(value_name = "PROJECT/REPO/PATH")]
    place: Place,

    /// Replace what has the path.
    #[arg(long)]
    overwrite: bool,

    /// What to write on it, as often as needed.
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = change::parse)]
    metadata: Vec<(String, String)>,

    /// How long it stays, such as 12h, 30d or 2w. Default: until it is deleted.
    #[arg(long, value_name = "TIME", value_parser = age::parse)]
    expires: Option<Duration>,
}

/// What is to be sent.
enum Source {
    /// A file, which can be read again.
    File { file: File, size: u64 },
    /// What is gone when it was read.
    Pipe(File),
}

pub(super) async fn run(args: PutArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let (source, shown) = Source::open(&args).await?;
    let target = target(args)?;
    let answer = match source {
        Source::File { file, size } => resumable::send(file, size, &shown, target, session).await?,
        Source::Pipe(bytes) => once::send(bytes, &shown, target, session).await?,
    };
    match console.format() {
        Format::Json => console.object(&json::File::from(answer))?,
        Format::Text => {
            let place = format!("{}/{}{}", answer.project, answer.repository, answer.path);
            let place = printable(&place);
            console.line(format_args!("{place}: {}, sha256 {}", size::of_proto(answer.size), answer.sha256))?;
        }
    }
    Ok(Exit::DONE)
}

fn target(args: PutArgs) -> Result<pb::FileTarget, Error> {
    let Place { repository, mut path } = args.place;
    if path.ends_with('/') {
        let name = args.file.file_name().filter(|name| *name != "-").and_then(|name| name.to_str());
        path.push_str(name.ok_or_else(|| Error::Local(format!("say what the file is called in {repository}{path}")))?);
    }
    Ok(pb::FileTarget {
        project: repository.project,
        repository: repository.name,
        path,
        overwrite: args.overwrite,
        metadata: change::to_map(args.metadata),
        ttl: args.expires.map(duration::to_proto),
        ..pb::FileTarget::default()
    })
}

/// A file that was stored, if the server says the same of its bytes as we do.
fn checked(file: pb::File, sha256: &str) -> Result<pb::File, Error> {
    if file.sha256 == sha256 {
        return Ok(file);
    }
    Err(Error::Local(format!(
        "the server has other bytes than were sent: their SHA-256 is {}, that of what was sent {sha256}",
        printable(&file.sha256)
    )))
}

impl Source {
    /// What is to be sent, and what to call it.
    async fn open(args: &PutArgs) -> Result<(Self, String), Error> {
        if args.file.as_os_str() == "-" {
            let shown = args.place.last_part().to_owned();
            let stdin = io::stdin().as_fd().try_clone_to_owned();
            let stdin = stdin.map_err(|error| Error::Local(format!("cannot read standard input: {error}")))?;
            return Ok((Source::Pipe(File::from_std(stdin.into())), shown));
        }
        let shown = args.file.display().to_string();
        let cannot_read = |error| Error::Local(format!("cannot read {shown}: {error}"));
        let file = File::open(&args.file).await.map_err(cannot_read)?;
        let metadata = file.metadata().await.map_err(cannot_read)?;
        if metadata.is_dir() {
            return Err(Error::Local(format!("{shown} is a directory: put its files one by one")));
        }
        // A pipe or device does not say how much comes.
        let source = if metadata.is_file() { Source::File { file, size: metadata.len() } } else { Source::Pipe(file) };
        Ok((source, shown))
    }
}

//! `steward artifact put`: stores a file.

mod upload;

use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use steward_proto::artifact::v1 as pb;
use tokio::fs::File;
use tokio::io::AsyncRead;

use self::upload::upload;
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

/// A file to be sent.
struct Source {
    bytes: Box<dyn AsyncRead + Send + Unpin>,
    /// 0: not known.
    size: u64,
    shown: String,
}

pub(super) async fn run(args: PutArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let source = Source::open(&args).await?;
    let target = target(args)?;
    let answer = upload(source, target, session).await?;
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

impl Source {
    async fn open(args: &PutArgs) -> Result<Self, Error> {
        if args.file.as_os_str() == "-" {
            let shown = args.place.last_part().to_owned();
            let stdin = io::stdin().as_fd().try_clone_to_owned();
            let stdin = stdin.map_err(|error| Error::Local(format!("cannot read standard input: {error}")))?;
            return Ok(Source { bytes: Box::new(File::from_std(stdin.into())), size: 0, shown });
        }
        let shown = args.file.display().to_string();
        let cannot_read = |error| Error::Local(format!("cannot read {shown}: {error}"));
        let file = File::open(&args.file).await.map_err(cannot_read)?;
        let metadata = file.metadata().await.map_err(cannot_read)?;
        if metadata.is_dir() {
            return Err(Error::Local(format!("{shown} is a directory: put its files one by one")));
        }
        // A pipe or device does not say how much comes.
        let size = if metadata.is_file() { metadata.len() } else { 0 };
        Ok(Source { bytes: Box::new(file), size, shown })
    }
}

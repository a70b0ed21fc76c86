//! `steward volume export`: a raw image of a volume or snapshot.

use std::io;
use std::path::PathBuf;

use clap::Args;
use steward_proto::volume::v1 as pb;
use steward_proto::volume::v1::read_volume_response::Part as Message;
use tokio::sync::mpsc;
use tonic::Streaming;

use super::image::{Part, Target, Written};
use super::name::Place;
use super::session::Session;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::size;

/// How many parts may wait to be written: no more memory is needed than these take.
const WAITING_PARTS: usize = 8;

/// Writes a volume or snapshot into a raw image. Of a volume in use it reads a snapshot that is made for it.
#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    /// Which one.
    #[arg(value_name = "PATH[@SNAP]")]
    place: Place,

    /// Where to: a file, which has holes where the volume has zeros, or `-` for standard output.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
}

/// What was written, for programs.
#[derive(serde::Serialize)]
struct Exported {
    size_bytes: u64,
    data_bytes: u64,
}

pub(super) async fn run(args: ExportArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let target = Target::create(&args.file, args.force).map_err(|source| cannot_write(&args, &source))?;
    let request = pb::ReadVolumeRequest {
        user: session.user(),
        volume: Some(args.place.volume.to_proto()),
        snapshot: args.place.snapshot.clone().unwrap_or_default(),
        offset: 0,
        length: 0,
    };
    let mut stream = session.take(session.volumes().read_volume(request).await)?;
    let size_bytes = start(&mut stream, session).await?;
    let progress = Progress::stderr();
    progress.begin(&args.place.to_string(), size_bytes);
    let (sender, mut parts) = mpsc::channel(WAITING_PARTS);
    let writer =
        tokio::task::spawn_blocking(move || target.write(size_bytes, std::iter::from_fn(|| parts.blocking_recv())));
    let read = receive(&mut stream, &sender, &progress, session).await;
    drop(sender);
    // A file that is not complete is gone when this returns.
    let written = writer.await.map_err(io::Error::from).flatten();
    read?;
    progress.clear();
    show(&args, written.map_err(|source| cannot_write(&args, &source))?, console)?;
    Ok(Exit::DONE)
}

/// The size, which comes first.
async fn start(stream: &mut Streaming<pb::ReadVolumeResponse>, session: &Session<'_>) -> Result<u64, Error> {
    let first = stream.message().await.map_err(|status| session.failure(status))?;
    match first.and_then(|first| first.part) {
        Some(Message::Start(start)) => Ok(start.size_bytes),
        _ => Err(Error::Nonsense("it does not say how long the volume is")),
    }
}

/// Hands on what comes, to the end or until the writer has failed.
async fn receive(
    stream: &mut Streaming<pb::ReadVolumeResponse>,
    parts: &mpsc::Sender<Part>,
    progress: &Progress,
    session: &Session<'_>,
) -> Result<(), Error> {
    while let Some(message) = stream.message().await.map_err(|status| session.failure(status))? {
        let (part, length) = match message.part {
            Some(Message::Data(pb::VolumeData { offset, data })) => {
                let length = data.len() as u64;
                (Part::Data { offset, bytes: data }, length)
            }
            Some(Message::Zeros(pb::Extent { offset, length, .. })) => (Part::Zeros { offset, length }, length),
            Some(Message::Start(_)) | None => continue,
        };
        if parts.send(part).await.is_err() {
            return Ok(());
        }
        progress.advance(length);
    }
    // The writer tells what is wrong if it is gone.
    let _ = parts.send(Part::End).await;
    Ok(())
}

fn show(args: &ExportArgs, written: Written, console: &mut Console) -> Result<(), Error> {
    if args.file.as_path() == "-" {
        return Ok(());
    }
    let Written { size, data } = written;
    match console.format() {
        Format::Json => console.object(&Exported { size_bytes: size, data_bytes: data }),
        Format::Text => {
            let (size, data) = (size::text(size), size::text(data));
            console.line(format_args!("{} is in {}: {size}, {data} of it data", args.place, args.file.display()))
        }
    }
}

fn cannot_write(args: &ExportArgs, source: &io::Error) -> Error {
    if args.file.as_path() == "-" {
        return Error::Output(io::Error::new(source.kind(), source.to_string()));
    }
    Error::Local(format!("cannot write {}: {source}", args.file.display()))
}

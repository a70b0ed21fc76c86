//! `steward volume import`: a raw image into a volume.

mod upload;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use steward_proto::volume::v1 as pb;

use self::upload::upload;
use super::create::VolumeOptions;
use super::image::{BLOCK, Source};
use super::name::VolumePath;
use super::session::{NO_VOLUME, Session, is_refused_for};
use super::size;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::size::text as size_text;

/// What servers make no smaller volume than, unless they are set so.
const USUAL_MINIMUM: u64 = 1 << 30;

/// Writes a raw image into a volume that nobody has open. Zeros and holes are not sent as data.
#[derive(Args, Debug)]
#[command(
    after_help = "A volume that is not there is created, as long as the image or as the server makes them at least. \
                        What a longer volume holds behind the end of the image stays as it is."
)]
pub(super) struct ImportArgs {
    /// The image: a file, a device, or `-` for standard input.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// The volume.
    #[arg(value_name = "PATH")]
    path: VolumePath,

    /// If it is created: how long it is to be.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    size: Option<u64>,

    #[command(flatten)]
    options: VolumeOptions,
}

/// What was sent, for programs.
#[derive(Serialize)]
struct Imported {
    path: String,
    size_bytes: u64,
    data_bytes: u64,
}

pub(super) async fn run(args: ImportArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let shown = args.file.display().to_string();
    let source = Source::open(&args.file).map_err(|error| Error::Local(format!("cannot read {shown}: {error}")))?;
    let volume = volume(&args, source.size(), session).await?;
    if let Some(size) = source.size().filter(|size| *size > volume.size_bytes) {
        let (size, has) = (size_text(size), size_text(volume.size_bytes));
        return Err(Error::Local(format!("{shown} has {size}, more than the {has} of {}", args.path)));
    }
    let data_bytes = upload(source, &args.path, session).await?;
    match console.format() {
        Format::Json => {
            console.object(&Imported { path: args.path.0, size_bytes: volume.size_bytes, data_bytes })?;
        }
        Format::Text => {
            let (size, data) = (size_text(volume.size_bytes), size_text(data_bytes));
            console.line(format_args!("{shown} is in {}: {size}, {data} of data", args.path))?;
        }
    }
    Ok(Exit::DONE)
}

/// The volume, as it is or new.
async fn volume(args: &ImportArgs, image: Option<u64>, session: &Session<'_>) -> Result<pb::Volume, Error> {
    match session.volume(args.path.to_proto()).await {
        Ok(volume) => Ok(volume),
        Err(error) if is_refused_for(&error, "NOT_FOUND") => {
            let size = args.size.or(image).ok_or_else(|| {
                Error::Local(format!("{} is not there: say with --size how long it is to be", args.path))
            })?;
            let size = size.checked_next_multiple_of(BLOCK).unwrap_or(size);
            create(args, size, session).await
        }
        Err(error) => Err(error),
    }
}

/// A volume of `size`, or as short as the server makes them if that is too short.
async fn create(args: &ImportArgs, size: u64, session: &Session<'_>) -> Result<pb::Volume, Error> {
    let request = args.options.clone().request(&args.path, size, session);
    let mut created = session.take(session.volumes().create_volume(request.clone()).await);
    let is_too_short = |error: &Error| is_refused_for(error, "SIZE_OUT_OF_RANGE") && size < USUAL_MINIMUM;
    if args.size.is_none() && created.as_ref().is_err_and(is_too_short) {
        let request = pb::CreateVolumeRequest { size_bytes: USUAL_MINIMUM, ..request };
        created = session.take(session.volumes().create_volume(request).await);
    }
    created?.volume.ok_or(NO_VOLUME)
}

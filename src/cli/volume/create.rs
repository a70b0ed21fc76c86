//! `steward volume create`: a new volume.

use clap::Args;
use steward_proto::volume::v1 as pb;

use super::name::VolumePath;
use super::session::{NO_VOLUME, Session};
use super::{labels, size, text};
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::size::text as size_text;

/// Creates a volume that reads as zeros. One that is there already with the same owner and size stays as it is.
#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// Its path.
    #[arg(value_name = "PATH")]
    path: VolumePath,

    /// How long it is, such as 10G: a multiple of 4096 bytes.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    size: u64,

    /// How wide a stripe is, for clients that ask for it.
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "0", hide_default_value = true)]
    stripe_unit: u64,

    /// Over how many a stripe goes.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    stripe_count: u64,

    #[command(flatten)]
    options: VolumeOptions,
}

/// What a new volume is like.
#[derive(Args, Clone, Debug)]
pub(super) struct VolumeOptions {
    /// Keep checksums of its blocks, and verify them when they are read.
    #[arg(long)]
    pub(super) checksums: bool,

    /// The pool of its bytes. Default: the first one.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(super) pool: String,

    /// A label of it; as often as needed.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = labels::parse)]
    pub(super) labels: Vec<(String, String)>,
}

impl VolumeOptions {
    /// The request for a volume like this.
    pub(super) fn request(self, path: &VolumePath, size_bytes: u64, session: &Session<'_>) -> pb::CreateVolumeRequest {
        pb::CreateVolumeRequest {
            user: session.user(),
            path: path.0.clone(),
            size_bytes,
            pool: self.pool,
            labels: self.labels.into_iter().collect(),
            checksums: self.checksums,
            ..pb::CreateVolumeRequest::default()
        }
    }
}

pub(super) async fn run(args: CreateArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let request = args.options.request(&args.path, args.size, session);
    let (stripe_unit, stripe_count) = (args.stripe_unit, args.stripe_count);
    let request = pb::CreateVolumeRequest { stripe_unit, stripe_count, ..request };
    let answer = session.take(session.volumes().create_volume(request).await)?;
    let volume = answer.volume.ok_or(NO_VOLUME)?;
    let size = size_text(volume.size_bytes);
    let line = |path: &str| {
        if answer.created { format!("created {path}, {size}") } else { format!("{path} is there already, {size}") }
    };
    text::say_volume(volume, line, console)?;
    Ok(Exit::DONE)
}

//! `steward volume label`: labels of a volume.

use clap::Args;
use steward_proto::volume::v1 as pb;

use super::labels::{self, Change};
use super::name::VolumePath;
use super::session::Session;
use super::text;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Sets and removes labels.
#[derive(Args, Debug)]
pub(super) struct LabelArgs {
    /// Of which volume or directory.
    #[arg(value_name = "PATH")]
    path: VolumePath,

    /// `env=prod` sets a label, `env-` removes it.
    #[arg(value_name = "KEY=VALUE|KEY-", required = true, value_parser = labels::parse_change)]
    changes: Vec<Change>,
}

pub(super) async fn run(args: LabelArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let change = |volume: &pb::Volume| {
        let mut labels = volume.labels.clone();
        labels::apply(&mut labels, &args.changes);
        pb::UpdateVolumeRequest { labels, ..pb::UpdateVolumeRequest::default() }
    };
    let volume = session.change_volume(&args.path, "labels", change).await?;
    let labels = text::label_line(&volume.labels);
    let line = |path: &str| match labels.as_str() {
        "" => format!("{path} has no labels"),
        labels => format!("{path}: {labels}"),
    };
    text::say_volume(volume, line, console)?;
    Ok(Exit::DONE)
}

//! `steward volume delete`: into the trash.

use clap::Args;
use steward_proto::volume::v1 as pb;

use super::name::VolumePath;
use super::session::Session;
use super::{json, text};
use crate::cli::console::{Console, Format};
use crate::cli::error::{self, Error};
use crate::cli::exit::Exit;
use crate::cli::time;

/// Moves volumes into the trash, and removes empty directories.
#[derive(Args, Debug)]
pub(super) struct DeleteArgs {
    /// Which ones, in this order. One that cannot be deleted does not keep the others.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<VolumePath>,
}

pub(super) async fn run(args: DeleteArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let mut exit = Exit::DONE;
    for path in args.paths {
        let request = pb::DeleteVolumeRequest { user: session.user(), volume: Some(path.to_proto()) };
        match session.take(session.volumes().delete_volume(request).await) {
            Ok(answer) => show(&path, answer.volume, console)?,
            Err(Error::Refused(status)) => {
                eprintln!("error: {path}: {}", error::describe(&status));
                exit = Exit::ERROR;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(exit)
}

fn show(path: &VolumePath, volume: Option<pb::Volume>, console: &mut Console) -> Result<(), Error> {
    if console.format() == Format::Json {
        let volume = volume.unwrap_or_else(|| pb::Volume { path: path.0.clone(), ..directory() });
        return console.object(&json::Volume::from(volume));
    }
    let Some(volume) = volume else { return console.line(format_args!("removed {path}")) };
    let id = volume.id;
    match text::when(volume.purge_time, time::now()).as_str() {
        "" => console.line(format_args!("{path} is in the trash (volume {id})")),
        when => console.line(format_args!("{path} is in the trash (volume {id}); it is purged {when}")),
    }
}

fn directory() -> pb::Volume {
    pb::Volume { kind: pb::VolumeKind::Directory.into(), ..pb::Volume::default() }
}

//! `steward artifact rm`: deletes files, folders, tags and manifests.

use clap::Args;
use steward_proto::artifact::v1 as pb;

use super::image::holds_images;
use super::name::{ImageReference, Place};
use super::session::Session;
use super::text;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Deletes a file, a folder, a tag of an image (IMAGE:TAG), or a manifest with all its tags (IMAGE@DIGEST).
#[derive(Args, Debug)]
pub(super) struct RemoveArgs {
    /// Which one.
    #[arg(value_name = "PROJECT/REPO/PATH")]
    place: Place,

    /// It is a folder, and goes with all that is in it.
    #[arg(long)]
    folder: bool,
}

pub(super) async fn run(args: RemoveArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let repository = session.repository(&args.place.repository).await?;
    if holds_images(&repository) {
        let image = args.place.to_image().map_err(Error::Local)?;
        manifest(&image, session, console).await?;
    } else {
        file(args, session, console).await?;
    }
    Ok(Exit::DONE)
}

async fn file(args: RemoveArgs, session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    let shown = args.place.to_string();
    let request = pb::DeleteFileRequest {
        project: args.place.repository.project,
        repository: args.place.repository.name,
        path: args.place.path,
        folder: args.folder,
        only_if_sha256: String::new(),
    };
    let answer = session.take(session.artifacts().delete_file(request).await)?;
    text::deleted(&shown, answer.deleted, console)
}

async fn manifest(image: &ImageReference, session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    // What is meant by no tag at all is too much to guess when it is deleted.
    if image.version.is_none() {
        return Err(Error::Local(format!("say which tag: {image}:TAG, or {image}@DIGEST for a manifest and its tags")));
    }
    let request = pb::DeleteManifestRequest {
        name: Some(image.to_proto()),
        reference: image.reference().to_owned(),
        only_if_digest: String::new(),
    };
    session.take(session.artifacts().delete_manifest(request).await)?;
    text::deleted(&image.to_string(), 1, console)
}

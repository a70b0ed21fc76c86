//! `steward artifact meta`: what is written on a file or a tag.

use clap::Args;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use steward_proto::artifact::v1 as pb;

use super::change;
use super::image::holds_images;
use super::name::{ImageReference, Place, Version};
use super::session::{NO_FILE, Session};
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

const NO_VERSION: Error = Error::Nonsense("it has no version");

/// Shows what is written on a file or a tag, after the changes that are asked for.
#[derive(Args, Debug)]
pub(super) struct MetaArgs {
    /// A file, or an image with its tag.
    #[arg(value_name = "PROJECT/REPO/PATH")]
    place: Place,

    /// What to write.
    #[arg(value_name = "KEY=VALUE", value_parser = change::parse)]
    metadata: Vec<(String, String)>,

    /// What to take away, as often as needed.
    #[arg(long = "delete", value_name = "KEY")]
    delete_keys: Vec<String>,
}

/// What is written, for programs.
#[derive(Serialize)]
struct Written {
    name: String,
    metadata: BTreeMap<String, String>,
}

pub(super) async fn run(args: MetaArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let repository = session.repository(&args.place.repository).await?;
    let (name, metadata) = if holds_images(&repository) {
        let image = args.place.to_image().map_err(Error::Local)?;
        (image.to_string(), of_version(&image, repository.r#type(), &args, session).await?)
    } else {
        (args.place.to_string(), of_file(&args, session).await?)
    };
    let metadata: BTreeMap<_, _> = metadata.into_iter().collect();
    match console.format() {
        Format::Json => console.object(&Written { name, metadata })?,
        Format::Text => {
            for (key, value) in metadata {
                console.line(format_args!("{}={}", printable(&key), printable(&value)))?;
            }
        }
    }
    Ok(Exit::DONE)
}

impl MetaArgs {
    fn changes_nothing(&self) -> bool {
        self.metadata.is_empty() && self.delete_keys.is_empty()
    }
}

async fn of_file(args: &MetaArgs, session: &Session<'_>) -> Result<HashMap<String, String>, Error> {
    if args.changes_nothing() {
        return Ok(session.file(&args.place).await?.metadata);
    }
    let request = pb::UpdateFileMetadataRequest {
        project: args.place.repository.project.clone(),
        repository: args.place.repository.name.clone(),
        path: args.place.path.clone(),
        metadata: change::to_map(args.metadata.clone()),
        delete_keys: args.delete_keys.clone(),
    };
    let answer = session.take(session.artifacts().update_file_metadata(request).await)?;
    Ok(answer.file.ok_or(NO_FILE)?.metadata)
}

async fn of_version(
    image: &ImageReference,
    held: pb::RepositoryType,
    args: &MetaArgs,
    session: &Session<'_>,
) -> Result<HashMap<String, String>, Error> {
    if matches!(image.version, Some(Version::Digest(_))) {
        return Err(Error::Local(format!("{image}: metadata is written on tags")));
    }
    let (project, repository) = (image.repository.project.clone(), image.repository.name.clone());
    let (key, version) = (image.package_key(held), image.reference().to_owned());
    if args.changes_nothing() {
        let request = pb::GetVersionRequest { project, repository, key, version };
        let answer = session.take(session.artifacts().get_version(request).await)?;
        return Ok(answer.version.ok_or(NO_VERSION)?.metadata);
    }
    let request = pb::UpdateVersionMetadataRequest {
        project,
        repository,
        key,
        version,
        metadata: change::to_map(args.metadata.clone()),
        delete_keys: args.delete_keys.clone(),
    };
    let answer = session.take(session.artifacts().update_version_metadata(request).await)?;
    Ok(answer.version.ok_or(NO_VERSION)?.metadata)
}

//! `steward artifact tags`: the tags of an image.

use clap::Args;
use steward_proto::artifact::v1 as pb;

use super::json;
use super::name::ImageReference;
use super::session::Session;
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

const PAGE_SIZE: i32 = 1000;

/// Lists the tags of an image, one a line.
#[derive(Args, Debug)]
pub(super) struct TagsArgs {
    /// Which image.
    #[arg(value_name = "PROJECT/REPO/IMAGE")]
    image: ImageReference,
}

pub(super) async fn run(args: TagsArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let mut request =
        pb::ListTagsRequest { name: Some(args.image.to_proto()), page_size: PAGE_SIZE, after: String::new() };
    loop {
        let page = session.take(session.artifacts().list_tags(request.clone()).await)?;
        let last = page.tags.last().cloned();
        for name in page.tags {
            match console.format() {
                Format::Json => console.object(&json::Tag { name })?,
                Format::Text => console.line(printable(&name))?,
            }
        }
        console.flush()?;
        match last.filter(|_| page.has_more) {
            Some(last) => request.after = last,
            None => return Ok(Exit::DONE),
        }
    }
}

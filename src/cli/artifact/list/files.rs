//! Files and folders.

use jiff::Timestamp;
use steward_proto::artifact::v1 as pb;

use super::PAGE_SIZE;
use super::listing::{Form, Listing};
use crate::cli::artifact::name::Place;
use crate::cli::artifact::session::Session;
use crate::cli::artifact::{json, text};
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::table::or_dash;
use crate::cli::{size, time};

const HEADINGS: [&str; 6] = ["SIZE", "CHANGED", "BY", "EXPIRES", "SHA-256", "PATH"];

/// What is in a folder, or a file alone.
pub(super) async fn files(
    place: &Place,
    deep: bool,
    form: Form,
    session: &Session<'_>,
    console: &mut Console,
) -> Result<(), Error> {
    let mut listing = Listing::new(form, HEADINGS);
    if place.path != "/" && !place.is_folder() {
        let file = session.file(place).await?;
        if !file.folder {
            return show(&mut listing, vec![file], "", console);
        }
    }
    let mut request = pb::ListFilesRequest {
        project: place.repository.project.clone(),
        repository: place.repository.name.clone(),
        folder: place.path.clone(),
        deep,
        include_folders: !deep,
        include_metadata: true,
        page_size: PAGE_SIZE,
        ..pb::ListFilesRequest::default()
    };
    loop {
        let page = session.take(session.artifacts().list_files(request.clone()).await)?;
        show(&mut listing, page.files, &place.path, console)?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

fn show(listing: &mut Listing<6>, files: Vec<pb::File>, folder: &str, console: &mut Console) -> Result<(), Error> {
    let now = time::now();
    let name = |file: &pb::File| name(file, folder);
    listing.show::<_, json::File>(files, name, |file| row(file, folder, now), console)
}

/// The path below the folder that is listed. A folder has a slash at its end.
fn name(file: &pb::File, folder: &str) -> String {
    let below = file.path.strip_prefix(folder.trim_end_matches('/')).unwrap_or(&file.path);
    let slash = if file.folder { "/" } else { "" };
    format!("{}{slash}", below.trim_start_matches('/'))
}

fn row(file: &pb::File, folder: &str, now: Timestamp) -> [String; 6] {
    let path = printable(&name(file, folder)).into_owned();
    if file.folder {
        let dash = || "-".to_owned();
        return [dash(), dash(), dash(), dash(), dash(), path];
    }
    [
        size::of_proto(file.size),
        text::when(file.modify_time, now),
        or_dash(printable(&file.modified_by).into_owned()),
        text::when(file.expire_time, now),
        text::short(&file.sha256),
        path,
    ]
}

//! Images and their tags.

use steward_proto::artifact::v1 as pb;

use super::PAGE_SIZE;
use super::listing::{Form, Listing};
use crate::cli::artifact::name::{ImageReference, Place};
use crate::cli::artifact::session::Session;
use crate::cli::artifact::{json, text};
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::table::or_dash;
use crate::cli::{size, time};

/// The images of a repository.
pub(super) async fn packages(
    place: &Place,
    form: Form,
    session: &Session<'_>,
    console: &mut Console,
) -> Result<(), Error> {
    let mut request = pb::ListPackagesRequest {
        project: place.repository.project.clone(),
        repository: place.repository.name.clone(),
        page_size: PAGE_SIZE,
        ..pb::ListPackagesRequest::default()
    };
    let mut listing = Listing::new(form, ["IMAGE", "TAGS", "LATEST", "CHANGED"]);
    loop {
        let page = session.take(session.artifacts().list_packages(request.clone()).await)?;
        let now = time::now();
        let row = |package: &pb::Package| {
            [
                printable(&package.name).into_owned(),
                package.version_count.to_string(),
                or_dash(printable(&package.latest).into_owned()),
                text::when(package.modify_time, now),
            ]
        };
        listing.show::<_, json::Package>(page.packages, |package| package.name.clone(), row, console)?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

/// The tags of an image, with what they name.
pub(super) async fn versions(
    image: &ImageReference,
    held: pb::RepositoryType,
    form: Form,
    session: &Session<'_>,
    console: &mut Console,
) -> Result<(), Error> {
    let mut request = pb::ListVersionsRequest {
        project: image.repository.project.clone(),
        repository: image.repository.name.clone(),
        key: image.package_key(held),
        page_size: PAGE_SIZE,
        ..pb::ListVersionsRequest::default()
    };
    let mut listing = Listing::new(form, ["TAG", "DIGEST", "SIZE", "PUSHED", "BY"]);
    loop {
        let page = session.take(session.artifacts().list_versions(request.clone()).await)?;
        let now = time::now();
        let row = |version: &pb::PackageVersion| {
            let manifest = version.manifest.as_ref();
            [
                printable(&version.name).into_owned(),
                manifest.map_or_else(|| "-".to_owned(), |manifest| text::short(&manifest.digest)),
                manifest.map_or_else(|| "-".to_owned(), |manifest| size::of_proto(manifest.content_size)),
                text::when(version.modify_time, now),
                or_dash(printable(&version.modified_by).into_owned()),
            ]
        };
        listing.show::<_, json::Version>(page.versions, |version| version.name.clone(), row, console)?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

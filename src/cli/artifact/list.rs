//! `steward artifact ls`: projects, repositories, files, images and tags.

mod files;
mod images;
mod listing;

use clap::Args;
use steward_proto::artifact::v1 as pb;

pub(super) use self::listing::Form;
use self::listing::Listing;
use super::image::holds_images;
use super::name::{Listed, Place};
use super::session::Session;
use super::{json, text};
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::table::or_dash;
use crate::cli::time;

/// How many items the server is asked for at a time.
const PAGE_SIZE: i32 = 500;

/// Lists what there is: without a place the projects, in a project the repositories, in a repository the files of a
/// folder or the images, in an image the tags.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Where.
    #[arg(value_name = "PROJECT[/REPO[/PATH]]")]
    place: Option<Listed>,

    /// Files in folders too, however deep.
    #[arg(long)]
    deep: bool,

    /// A table instead of names alone.
    #[arg(long, short)]
    long: bool,
}

pub(super) async fn run(args: ListArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let form = if args.long { Form::Long } else { Form::Names };
    match args.place {
        None => projects(form, session, console).await?,
        Some(Listed::Project(project)) => repositories(&project, form, session, console).await?,
        Some(Listed::Place(place)) => contents(&place, args.deep, form, session, console).await?,
    }
    Ok(Exit::DONE)
}

async fn contents(
    place: &Place,
    deep: bool,
    form: Form,
    session: &Session<'_>,
    console: &mut Console,
) -> Result<(), Error> {
    let repository = session.repository(&place.repository).await?;
    match (holds_images(&repository), place.path.as_str()) {
        (true, "/") => images::packages(place, form, session, console).await,
        (true, _) => {
            let image = place.to_image().map_err(Error::Local)?;
            images::versions(&image, repository.r#type(), form, session, console).await
        }
        (false, _) => files::files(place, deep, form, session, console).await,
    }
}

/// All projects.
pub(super) async fn projects(form: Form, session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    let mut request = pb::ListProjectsRequest { page_size: PAGE_SIZE, page_token: String::new() };
    let mut listing = Listing::new(form, ["PROJECT", "NAME FOR PEOPLE", "CREATED", "DESCRIPTION"]);
    loop {
        let page = session.take(session.artifacts().list_projects(request.clone()).await)?;
        let now = time::now();
        let row = |project: &pb::Project| {
            [
                printable(&project.name).into_owned(),
                or_dash(printable(&project.display_name).into_owned()),
                text::when(project.create_time, now),
                or_dash(printable(&project.description).into_owned()),
            ]
        };
        listing.show::<_, json::Project>(page.projects, |project| project.name.clone(), row, console)?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

/// The repositories of a project.
pub(super) async fn repositories(
    project: &str,
    form: Form,
    session: &Session<'_>,
    console: &mut Console,
) -> Result<(), Error> {
    let mut request = pb::ListRepositoriesRequest {
        project: project.to_owned(),
        page_size: PAGE_SIZE,
        ..pb::ListRepositoriesRequest::default()
    };
    let mut listing = Listing::new(form, ["REPOSITORY", "TYPE", "READERS", "CREATED", "DESCRIPTION"]);
    loop {
        let page = session.take(session.artifacts().list_repositories(request.clone()).await)?;
        let now = time::now();
        let row = |repository: &pb::Repository| {
            [
                printable(&repository.name).into_owned(),
                text::held(repository.r#type()),
                if repository.public { "anybody" } else { "users" }.to_owned(),
                text::when(repository.create_time, now),
                or_dash(printable(&repository.description).into_owned()),
            ]
        };
        let name = |repository: &pb::Repository| repository.name.clone();
        listing.show::<_, json::Repository>(page.repositories, name, row, console)?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

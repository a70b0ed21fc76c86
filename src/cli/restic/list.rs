//! `steward restic list`: all repositories, page by page.

use crate::cli::connect::Channel;
use clap::Args;
use jiff::Timestamp;
use steward_proto::restic::v1 as pb;
use steward_proto::restic::v1::object_service_client::ObjectServiceClient;
use tonic::Status;

use super::repository::shown;
use super::{json, text};
use crate::cli::connect::Server;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::table::Table;
use crate::cli::{size, time};

const PAGE_SIZE: i32 = 500;
const HEADINGS: [&str; 6] = ["REPOSITORY", "OBJECTS", "SIZE", "DELETED", "QUOTA", "LAST SNAPSHOT"];

/// Lists the repositories that you may read, in the order of their paths.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only repositories whose path starts so.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
}

pub(super) async fn run(args: ListArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut pages = Pages::new(server.connect_objects().await?, args.prefix.unwrap_or_default());
    let mut table = Table::new(HEADINGS);
    while let Some(repositories) = pages.next().await.map_err(server.failure())? {
        let now = time::now();
        table.show::<_, json::Repository>(repositories, |repository| row(repository, now), console)?;
    }
    Ok(Exit::DONE)
}

/// The repositories that the caller may read.
#[derive(Debug)]
pub(super) struct Pages {
    objects: ObjectServiceClient<Channel>,
    /// Of the next page, if there is one.
    request: Option<pb::ListRepositoriesRequest>,
}

impl Pages {
    pub(super) fn new(objects: ObjectServiceClient<Channel>, path_prefix: String) -> Self {
        let request = pb::ListRepositoriesRequest { page_size: PAGE_SIZE, page_token: String::new(), path_prefix };
        Pages { objects, request: Some(request) }
    }

    /// The next page; nothing after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<pb::Repository>>, Status> {
        let Some(mut request) = self.request.take() else { return Ok(None) };
        let page = self.objects.list_repositories(request.clone()).await?.into_inner();
        if !page.next_page_token.is_empty() {
            request.page_token = page.next_page_token;
            self.request = Some(request);
        }
        Ok(Some(page.repositories))
    }
}

fn row(repository: &pb::Repository, now: Timestamp) -> [String; 6] {
    [
        shown(&repository.path),
        repository.object_count.to_string(),
        size::of_proto(repository.object_bytes),
        size::of_proto(repository.deleted_bytes),
        text::quota(repository),
        text::last_snapshot(repository, now),
    ]
}

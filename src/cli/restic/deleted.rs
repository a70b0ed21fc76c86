//! `steward restic deleted`: what was deleted and can still be restored.

use clap::Args;
use jiff::Timestamp;
use steward_proto::restic::v1 as pb;

use super::repository::Repository;
use super::{json, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::table::{Table, or_dash};
use crate::cli::{size, time};

const PAGE_SIZE: i32 = 1000;
const HEADINGS: [&str; 5] = ["OBJECT", "SIZE", "DELETED", "SWEPT", "BY"];

/// Lists the objects that were deleted and can still be restored, in the order of their types and names.
#[derive(Args, Debug)]
pub(super) struct DeletedArgs {
    /// Of which repository.
    #[arg(value_name = "REPO")]
    repository: Repository,
}

pub(super) async fn run(args: DeletedArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut objects = server.connect_objects().await?;
    let mut request = pb::ListDeletedObjectsRequest {
        repository: args.repository.0,
        page_size: PAGE_SIZE,
        ..pb::ListDeletedObjectsRequest::default()
    };
    let mut table = Table::new(HEADINGS);
    loop {
        let page = objects.list_deleted_objects(request.clone()).await.map_err(server.failure())?.into_inner();
        let now = time::now();
        table.show::<_, json::Deleted>(page.objects, |object| row(object, now), console)?;
        if page.next_page_token.is_empty() {
            return Ok(Exit::DONE);
        }
        request.page_token = page.next_page_token;
    }
}

fn row(deleted: &pb::DeletedObject, now: Timestamp) -> [String; 5] {
    let object = deleted.object.as_ref();
    let key = object.and_then(|object| object.key.as_ref());
    let when = |time| time::from_proto(time).map_or_else(|| "-".to_owned(), |time| time::relative(time, now));
    [
        key.map_or_else(|| "?".to_owned(), text::object),
        size::of_proto(object.map_or(0, |object| object.size)),
        when(deleted.delete_time),
        when(deleted.sweep_time),
        or_dash(printable(&deleted.user).into_owned()),
    ]
}

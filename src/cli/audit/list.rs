//! `steward audit list`: entries page by page.

use clap::Args;
use steward_proto::audit::v1 as pb;
use steward_proto::audit::v1::audit_service_client::AuditServiceClient;

use super::filter::FilterArgs;
use super::{json, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// The most that the server sends at a time.
const LARGEST_PAGE: u32 = 1000;

/// Lists entries, the newest first.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,

    /// The oldest first.
    #[arg(long)]
    asc: bool,

    /// At most so many; 0: all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
}

pub(super) async fn run(args: ListArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut audit = AuditServiceClient::new(server.connect().await?);
    let order = if args.asc { pb::EntryOrder::OldestFirst } else { pb::EntryOrder::NewestFirst };
    let mut left = if args.limit == 0 { u32::MAX } else { args.limit };
    let mut page_token = String::new();
    loop {
        let request = pb::ListEntriesRequest {
            page_size: i32::try_from(left.min(LARGEST_PAGE)).unwrap_or(i32::MAX),
            page_token,
            filter: Some(args.filter.to_proto()),
            order: order.into(),
        };
        let mut answer = audit.list_entries(request).await.map_err(server.failure())?.into_inner();
        answer.entries.truncate(left as usize);
        left -= u32::try_from(answer.entries.len()).unwrap_or(left);
        for entry in answer.entries {
            show(entry, console)?;
        }
        console.flush()?;
        if answer.next_page_token.is_empty() {
            return Ok(Exit::DONE);
        }
        if left == 0 {
            if console.format() == Format::Text {
                eprintln!("steward: there may be more entries; --limit 0 shows all");
            }
            return Ok(Exit::DONE);
        }
        page_token = answer.next_page_token;
    }
}

/// Shows an entry.
pub(super) fn show(entry: pb::AuditEntry, console: &mut Console) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&json::Entry::from(entry)),
        Format::Text => console.line(text::line(&entry, console)),
    }
}

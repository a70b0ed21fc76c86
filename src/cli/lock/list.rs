//! `steward lock list`: all locks, page by page.

use clap::Args;
use jiff::Timestamp;
use steward_proto::lock::v1 as pb;

use super::{json, key, text};
use crate::cli::connect::Server;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::table::{Table, or_dash};
use crate::cli::time;

const PAGE_SIZE: u32 = 500;
const HEADINGS: [&str; 6] = ["KEY", "STATE", "OWNER", "TOKEN", "EXPIRES", "WAITERS"];

/// Lists the locks that are held, awaited or completed, in the order of their keys.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only locks of this type.
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,

    /// Only locks whose resource starts so.
    #[arg(long, value_name = "PREFIX", requires = "type")]
    prefix: Option<String>,

    /// Only locks that this owner holds.
    // Not from STEWARD_OWNER: a list that is shorter than it looks misleads.
    #[arg(long)]
    owner: Option<String>,

    /// Only locks that are held.
    #[arg(long)]
    held: bool,

    /// At most so many. Default: all.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

pub(super) async fn run(args: ListArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut locks = server.connect_locks().await?;
    let mut left = args.limit.unwrap_or(u32::MAX);
    let mut request = args.into_request();
    let mut table = Table::new(HEADINGS);
    while left > 0 {
        request.page_size = i32::try_from(left.min(PAGE_SIZE)).unwrap_or_default();
        let mut page = locks.list(request.clone()).await.map_err(server.failure())?.into_inner();
        page.locks.truncate(left as usize);
        left = left.saturating_sub(u32::try_from(page.locks.len()).unwrap_or(u32::MAX));
        let now = time::now();
        table.show::<_, json::Lock>(page.locks, |lock| row(lock, now), console)?;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(Exit::DONE)
}

impl ListArgs {
    fn into_request(self) -> pb::ListRequest {
        pb::ListRequest {
            r#type: self.r#type.unwrap_or_default(),
            resource_id_prefix: self.prefix.unwrap_or_default(),
            owner: self.owner.unwrap_or_default(),
            held_only: self.held,
            ..pb::ListRequest::default()
        }
    }
}

fn row(lock: &pb::Lock, now: Timestamp) -> [String; 6] {
    let first = lock.holders.first();
    let expires = first.and_then(|grant| time::from_proto(grant.expire_time));
    [
        key::text_or_unknown(lock.key.as_ref()),
        text::state(lock),
        or_dash(text::owners(lock)),
        first.map_or_else(|| "-".to_owned(), |grant| grant.fencing_token.to_string()),
        expires.map_or_else(|| "-".to_owned(), |time| time::relative(time, now)),
        lock.waiter_count.to_string(),
    ]
}

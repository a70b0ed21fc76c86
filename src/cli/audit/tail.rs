//! `steward audit tail`: the newest entries, and those that follow, across restarts of the server.

use clap::Args;
use steward_proto::audit::v1 as pb;
use steward_proto::audit::v1::audit_service_client::AuditServiceClient;
use tonic::{Status, Streaming};

use super::filter::FilterArgs;
use super::list;
use crate::cli::connect::{Channel, Server};
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::follow::{self, Watch};

/// The most that the server begins with.
const LARGEST_BACKLOG: i32 = 1000;
/// What is begun with unless something else is said.
const BACKLOG: i32 = 20;

/// Shows the newest entries, the newest last.
#[derive(Args, Debug)]
#[command(
    after_help = "With -f: when the connection is lost, the command goes on where it was as soon as the server is \
                        back, and misses nothing. If the entries there are gone by then, it goes on with the last \
                        1000 that it has not shown yet, and says so on standard error."
)]
pub(super) struct TailArgs {
    /// Goes on with every new entry.
    #[arg(short, long)]
    follow: bool,

    /// How many entries to begin with. [default: 20; with --since 1000]
    #[arg(
        short = 'n', long, value_name = "N",
        value_parser = clap::value_parser!(i32).range(0..=i64::from(LARGEST_BACKLOG))
    )]
    lines: Option<i32>,

    #[command(flatten)]
    filter: FilterArgs,
}

pub(super) async fn run(args: TailArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut audit = AuditServiceClient::new(server.connect().await?);
    let lines = args.lines.unwrap_or(if args.filter.has_beginning() { LARGEST_BACKLOG } else { BACKLOG });
    let filter = args.filter.to_proto();
    if args.follow {
        let request = pb::WatchEntriesRequest { filter: Some(filter), from_number: 0, backlog: lines };
        return follow::follow(AuditWatch { audit, request, last: 0 }, 0, server, console).await;
    }
    let (mut newest, mut page_token) = (Vec::new(), String::new());
    let mut left = lines;
    while left > 0 {
        let (filter, order) = (Some(filter.clone()), pb::EntryOrder::NewestFirst.into());
        let request = pb::ListEntriesRequest { page_size: left, page_token, filter, order };
        let answer = audit.list_entries(request).await.map_err(server.failure())?.into_inner();
        left -= i32::try_from(answer.entries.len()).unwrap_or(left);
        newest.extend(answer.entries);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    for entry in newest.into_iter().rev() {
        list::show(entry, console)?;
    }
    Ok(Exit::DONE)
}

struct AuditWatch {
    audit: AuditServiceClient<Channel>,
    request: pb::WatchEntriesRequest,
    /// Of the last entry that was shown; 0: none was.
    last: i64,
}

impl Watch for AuditWatch {
    type Message = pb::WatchEntriesResponse;
    const SUBJECT: &'static str = "the audit";
    const AFRESH: &'static str = "going on with the last 1000 entries";

    fn reconnect(&mut self, server: &Server) {
        self.audit = AuditServiceClient::new(server.connect_lazy());
    }

    async fn open(&mut self, from_number: i64) -> Result<Streaming<pb::WatchEntriesResponse>, Status> {
        if self.last != 0 {
            // What was shown already is left out; what came in the meantime may be more than the first backlog.
            self.request.backlog = LARGEST_BACKLOG;
        }
        let backlog = if from_number == 0 { self.request.backlog } else { 0 };
        let request = pb::WatchEntriesRequest { from_number, backlog, ..self.request.clone() };
        Ok(self.audit.watch_entries(request).await?.into_inner())
    }

    fn show(&mut self, step: pb::WatchEntriesResponse, console: &mut Console) -> Result<Option<i64>, Error> {
        if let Some(entry) = step.entry.filter(|entry| entry.number > self.last) {
            self.last = entry.number;
            list::show(entry, console)?;
            console.flush()?;
        }
        Ok(Some(step.next_number))
    }
}

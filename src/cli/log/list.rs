//! `steward log list`: entries page by page.

use clap::Args;
use jiff::Timestamp;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::log_service_client::LogServiceClient;

use super::{json, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::farm::order::Order;
use crate::cli::farm::pages::{Page, Paging, Part};
use crate::cli::farm::{which, words};
use crate::cli::time;

/// Lists entries, the newest first.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only these: debug, info, warning, error; several with commas between.
    #[arg(long, value_name = "LEVEL", value_delimiter = ',', value_parser = words::parse_level)]
    level: Vec<pb::LogLevel>,

    /// Only about this task.
    #[arg(long, value_name = "TASK")]
    task: Option<String>,

    /// Not before: 2h for two hours ago, or 2026-03-01T12:00:00Z.
    #[arg(long, value_name = "DURATION|TIME", value_parser = time::parse_past)]
    since: Option<Timestamp>,

    /// Not after.
    #[arg(long, value_name = "DURATION|TIME", value_parser = time::parse_past)]
    until: Option<Timestamp>,

    /// In which order.
    #[arg(long, value_name = "FIELD", default_value = "log_time", value_parser = ["log_time", "id", "log_level"])]
    sort: String,

    #[command(flatten)]
    order: Order,

    #[command(flatten)]
    paging: Paging,
}

pub(super) async fn run(args: ListArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let channel = server.connect().await?;
    let task_id = match &args.task {
        Some(prefix) => which::task(&channel, prefix, server).await?,
        None => String::new(),
    };
    let mut logs = LogServiceClient::new(channel);
    let request = pb::ListLogsRequest {
        levels: words::numbers(&args.level),
        start_time: args.since.map(time::to_proto),
        end_time: args.until.map(time::to_proto),
        sort_by: args.sort,
        order: args.order.to_proto(),
        task_id,
        ..pb::ListLogsRequest::default()
    };
    let ask = async |Page { size: page_size, number: page, token: page_token }| {
        let request = pb::ListLogsRequest { page_size, page, page_token, ..request.clone() };
        let answer = logs.list_logs(request).await.map_err(server.failure())?.into_inner();
        Ok(Part { items: answer.logs, next_token: answer.next_page_token, total: answer.total_size })
    };
    args.paging.show("entries", console, ask, show).await?;
    Ok(Exit::DONE)
}

/// Shows entries in the order in which they come.
pub(super) fn show(entries: Vec<pb::LogEntry>, console: &mut Console) -> Result<(), Error> {
    for entry in entries {
        match console.format() {
            Format::Json => console.object(&json::LogEntry::from(entry))?,
            Format::Text => console.line(text::line(&entry, console))?,
        }
    }
    console.flush()
}

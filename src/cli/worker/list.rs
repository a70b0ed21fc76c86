//! `steward worker list`: all workers, page by page.

use clap::Args;
use jiff::Timestamp;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::worker_service_client::WorkerServiceClient;

use super::{json, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::farm::which;
use crate::cli::table::{Table, or_dash};
use crate::cli::time;

const PAGE_SIZE: i32 = 500;
const HEADINGS: [&str; 7] = ["ID", "NAME", "STATE", "TYPE", "HEARTBEAT", "TASKS", "LABELS"];

/// Lists the workers and what they are doing, in the order of their ids.
#[derive(Args, Debug)]
pub struct ListArgs {}

pub(super) async fn run(ListArgs {}: ListArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let mut workers = WorkerServiceClient::new(server.connect().await?);
    let mut request = pb::ListWorkersRequest { page_size: PAGE_SIZE, ..pb::ListWorkersRequest::default() };
    let mut table = Table::new(HEADINGS);
    loop {
        let page = workers.list_workers(request.clone()).await.map_err(server.failure())?.into_inner();
        let now = time::now();
        table.show::<_, json::Worker>(page.workers, |worker| row(worker, now), console)?;
        if page.next_page_token.is_empty() {
            return Ok(Exit::DONE);
        }
        request.page_token = page.next_page_token;
    }
}

fn row(worker: &pb::Worker, now: Timestamp) -> [String; 7] {
    let heartbeat = time::from_proto(worker.last_heartbeat_time);
    let tasks: Vec<_> = worker.task_ids.iter().map(|id| which::short(id)).collect();
    [
        worker.worker_id.to_string(),
        printable(&worker.worker_name).into_owned(),
        text::state(worker),
        text::kind(worker),
        heartbeat.map_or_else(|| "never".to_owned(), |time| time::relative(time, now)),
        or_dash(tasks.join(" ")),
        or_dash(text::labels(&worker.labels)),
    ]
}

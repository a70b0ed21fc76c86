//! `steward replication history`: the runs of a task.

use clap::Args;
use jiff::Timestamp;
use steward_proto::replication::v1 as pb;

use super::name::TaskName;
use super::session::Session;
use super::{json, text};
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::table::{Table, or_dash};
use crate::cli::time;

const PAGE_SIZE: i32 = 200;
const HEADINGS: [&str; 8] = ["RUN", "STATUS", "QUEUED", "TOOK", "BY", "THERE", "NOT", "BYTES"];

/// Lists the runs of a task, the newest first.
#[derive(Args, Debug)]
pub(super) struct HistoryArgs {
    /// Which task.
    #[arg(value_name = "TASK")]
    task: TaskName,

    /// At most so many. Default: all that are kept.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

pub(super) async fn run(args: HistoryArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let mut left = args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let TaskName { project, repository, name } = args.task.clone();
    // Of a task that is not there, no runs are no answer.
    session.task(args.task).await?;
    let mut request = pb::ListExecutionsRequest {
        project,
        repository,
        name,
        page_size: PAGE_SIZE,
        ..pb::ListExecutionsRequest::default()
    };
    let mut table = Table::new(HEADINGS);
    loop {
        let mut page = session.take(session.tasks().list_executions(request.clone()).await)?;
        page.executions.truncate(left);
        left -= page.executions.len();
        let now = time::now();
        table.show::<_, json::Execution>(page.executions, |execution| row(execution, now), console)?;
        if page.next_page_token.is_empty() || left == 0 {
            return Ok(Exit::DONE);
        }
        request.page_token = page.next_page_token;
    }
}

fn row(execution: &pb::Execution, now: Timestamp) -> [String; 8] {
    let overview = execution.overview.unwrap_or_default();
    [
        printable(&execution.id).into_owned(),
        text::status(execution.status()),
        text::when(execution.start_time, now),
        or_dash(text::took(execution).unwrap_or_default()),
        or_dash(printable(&execution.trigger).into_owned()),
        (overview.success + overview.file_success).to_string(),
        (overview.failed + overview.file_failed).to_string(),
        text::bytes(execution),
    ]
}

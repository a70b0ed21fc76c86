//! `steward task list`: tasks page by page, or as they change.

use clap::Args;
use jiff::Timestamp;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::task_service_client::TaskServiceClient;

use super::{json, text, watch};
use crate::cli::connect::{Channel, Server};
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::farm::order::Order;
use crate::cli::farm::pages::{Page, Paging, Part};
use crate::cli::farm::{which, words};
use crate::cli::follow;
use crate::cli::table::{Table, or_dash};
use crate::cli::time;

const HEADINGS: [&str; 8] = ["TASK", "STATUS", "DONE", "WORKER", "STARTED", "TOOK", "LEFT", "VIDEO"];

/// Lists tasks, the newest first. With --watch: those at work with their progress, and every change.
#[derive(Args, Debug)]
#[command(after_help = follow::HELP)]
pub(super) struct ListArgs {
    /// Only these: created, running, completed, failed, cancelled; several with commas between.
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = words::parse_task_status)]
    status: Vec<pb::TaskStatus>,

    /// Only tasks of this worker.
    #[arg(long, value_name = "ID|NAME")]
    worker: Option<String>,

    /// Only tasks of the video with this number.
    #[arg(long, value_name = "ID", conflicts_with = "watch")]
    video: Option<i32>,

    /// In which order.
    #[arg(
        long,
        value_name = "FIELD",
        default_value = "start_time",
        value_parser = ["start_time", "progress", "status", "worker_name", "elapsed_time", "video_path"]
    )]
    sort: String,

    #[command(flatten)]
    order: Order,

    #[command(flatten)]
    paging: Paging,

    /// Goes on: on a terminal as a table that is redrawn, else with a line for each change.
    #[arg(long, conflicts_with_all = ["sort", "asc", "desc", "limit", "page"])]
    watch: bool,
}

pub(super) async fn run(args: ListArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let channel = server.connect().await?;
    let worker_id = match &args.worker {
        Some(who) => which::worker(&channel, who, server).await?.worker_id,
        None => 0,
    };
    if args.watch {
        return watch::run(channel, &args.status, worker_id, server, console).await;
    }
    list(args, worker_id, channel, server, console).await?;
    Ok(Exit::DONE)
}

async fn list(
    args: ListArgs,
    worker_id: i32,
    channel: Channel,
    server: &Server,
    console: &mut Console,
) -> Result<(), Error> {
    let mut tasks = TaskServiceClient::new(channel);
    let mut table = Table::new(HEADINGS);
    let request = pb::ListTasksRequest {
        statuses: words::numbers(&args.status),
        sort_by: args.sort,
        order: args.order.to_proto(),
        worker_id,
        video_id: args.video.unwrap_or_default(),
        ..pb::ListTasksRequest::default()
    };
    let ask = async |Page { size: page_size, number: page, token: page_token }| {
        let request = pb::ListTasksRequest { page_size, page, page_token, ..request.clone() };
        let answer = tasks.list_tasks(request).await.map_err(server.failure())?.into_inner();
        Ok(Part { items: answer.tasks, next_token: answer.next_page_token, total: answer.total_size })
    };
    let show = |tasks, console: &mut Console| {
        let now = time::now();
        table.show::<_, json::Task>(tasks, |task| row(task, now), console)
    };
    args.paging.show("tasks", console, ask, show).await
}

fn row(task: &pb::Task, now: Timestamp) -> [String; 8] {
    let started = time::from_proto(task.start_time);
    let left = if task.end_time.is_none() { text::left(task) } else { "-".to_owned() };
    [
        which::short(&task.task_id),
        words::task_status(task.status()),
        text::percent(task),
        or_dash(printable(&task.worker_name).into_owned()),
        started.map_or_else(|| "-".to_owned(), |time| time::relative(time, now)),
        text::seconds(task.elapsed_time),
        left,
        printable(&task.video_path).into_owned(),
    ]
}

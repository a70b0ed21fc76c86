//! `steward log tail`: the newest entries, and those that follow, across restarts of the server.

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::log_service_client::LogServiceClient;
use tonic::{Status, Streaming};

use super::{json, list, text};
use crate::cli::connect::{Channel, Server};
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::farm::{which, words};
use crate::cli::follow::{self, Watch};

/// The most that the server begins with.
const LARGEST_BACKLOG: i32 = 1000;

/// Shows the newest entries, the newest last.
#[derive(Args, Debug)]
#[command(
    after_help = "With -f: when the connection is lost, the command goes on where it was as soon as the server is \
                        back, and misses nothing. If the server has forgotten that point, it goes on with the last \
                        1000 entries that it has not shown yet, and says so on standard error."
)]
pub(super) struct TailArgs {
    /// Goes on with every new entry.
    #[arg(short, long)]
    follow: bool,

    /// How many entries to begin with.
    #[arg(
        short = 'n', long, value_name = "N", default_value_t = 20,
        value_parser = clap::value_parser!(i32).range(0..=i64::from(LARGEST_BACKLOG))
    )]
    lines: i32,

    /// Only these: debug, info, warning, error; several with commas between.
    #[arg(long, value_name = "LEVEL", value_delimiter = ',', value_parser = words::parse_level)]
    level: Vec<pb::LogLevel>,

    /// Only about this task.
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
}

pub(super) async fn run(args: TailArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let channel = server.connect().await?;
    let task_id = match &args.task {
        Some(prefix) => which::task(&channel, prefix, server).await?,
        None => String::new(),
    };
    let logs = LogServiceClient::new(channel);
    let levels = words::numbers(&args.level);
    if args.follow {
        let request = pb::WatchLogsRequest { levels, task_id, backlog: args.lines, from_revision: 0 };
        return follow::follow(LogWatch { logs, request, last_id: 0 }, 0, server, console).await;
    }
    if args.lines > 0 {
        let request = pb::ListLogsRequest { page_size: args.lines, levels, task_id, ..pb::ListLogsRequest::default() };
        show_last(logs, request, server, console).await?;
    }
    Ok(Exit::DONE)
}

async fn show_last(
    mut logs: LogServiceClient<Channel>,
    request: pb::ListLogsRequest,
    server: &Server,
    console: &mut Console,
) -> Result<(), Error> {
    let mut newest = logs.list_logs(request).await.map_err(server.failure())?.into_inner().logs;
    newest.reverse();
    list::show(newest, console)
}

struct LogWatch {
    logs: LogServiceClient<Channel>,
    request: pb::WatchLogsRequest,
    /// Of the last entry that was shown; 0: none was.
    last_id: i32,
}

impl Watch for LogWatch {
    type Message = pb::WatchLogsResponse;
    const SUBJECT: &'static str = "the log";
    const AFRESH: &'static str = "going on with the last 1000 entries";

    fn reconnect(&mut self, server: &Server) {
        self.logs = LogServiceClient::new(server.connect_lazy());
    }

    async fn open(&mut self, from_revision: i64) -> Result<Streaming<pb::WatchLogsResponse>, Status> {
        if self.last_id != 0 {
            // What was shown already is left out; what came in the meantime may be more than the first backlog.
            self.request.backlog = LARGEST_BACKLOG;
        }
        let backlog = if from_revision == 0 { self.request.backlog } else { 0 };
        let request = pb::WatchLogsRequest { from_revision, backlog, ..self.request.clone() };
        Ok(self.logs.watch_logs(request).await?.into_inner())
    }

    fn show(&mut self, step: pb::WatchLogsResponse, console: &mut Console) -> Result<Option<i64>, Error> {
        let revision = step.revision;
        if let Some(log) = step.log.filter(|log| log.id > self.last_id) {
            self.last_id = log.id;
            match console.format() {
                Format::Json => console.object(&json::Watched { revision, log: log.into() })?,
                Format::Text => console.line(text::line(&log, console))?,
            }
            console.flush()?;
        }
        Ok((revision != 0).then_some(revision))
    }
}

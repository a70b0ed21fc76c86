//! `steward worker watch`: the workers as they are, then every change, across restarts of the server.

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::watch_workers_response::Update;
use steward_proto::transcode::v1::worker_service_client::WorkerServiceClient;
use tonic::{Status, Streaming};

use super::{Workers, json, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, Tone, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::farm::{which, words};
use crate::cli::follow::{self, Watch};
use crate::cli::time;

/// Shows the workers as they are, then every change, until it is interrupted.
#[derive(Args, Debug)]
#[command(after_help = follow::HELP)]
pub struct WatchArgs {
    /// Only the changes after this revision, as `--json` told it.
    #[arg(long, value_name = "REV", default_value_t = 0, hide_default_value = true)]
    from: i64,
}

pub(super) async fn run(args: WatchArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    // An absent server is an error at the start, and something to wait for later.
    let workers = WorkerServiceClient::new(server.connect().await?);
    follow::follow(WorkerWatch { workers }, args.from, server, console).await
}

struct WorkerWatch {
    workers: Workers,
}

impl Watch for WorkerWatch {
    type Message = pb::WatchWorkersResponse;
    const SUBJECT: &'static str = "workers";

    fn reconnect(&mut self, server: &Server) {
        self.workers = WorkerServiceClient::new(server.connect_lazy());
    }

    async fn open(&mut self, from_revision: i64) -> Result<Streaming<pb::WatchWorkersResponse>, Status> {
        Ok(self.workers.watch_workers(pb::WatchWorkersRequest { from_revision }).await?.into_inner())
    }

    fn show(&mut self, step: pb::WatchWorkersResponse, console: &mut Console) -> Result<Option<i64>, Error> {
        let Some(update) = step.update else { return Ok(None) };
        // In the middle of a snapshot there is no point to resume from: it has to be sent again.
        let point = (step.revision != 0).then_some(step.revision);
        match console.format() {
            Format::Json => console.object(&json::Watched::new(step.revision, update))?,
            Format::Text => {
                if let Some(line) = line(&update, console) {
                    console.line(line)?;
                }
            }
        }
        console.flush()?;
        Ok(point)
    }
}

/// `2026-11-21T03:13:00Z  busy     nodea (1)  a1b2c3d4`; nothing for a mere mark.
fn line(update: &Update, console: &Console) -> Option<String> {
    let now = time::text(time::now());
    match update {
        Update::Worker(worker) => {
            let state = console.paint(words::worker_tone(worker.state()), format!("{:<8}", text::state(worker)));
            let tasks: Vec<_> = worker.task_ids.iter().map(|id| which::short(id)).collect();
            let line = format!("{now}  {state}  {} ({})", printable(&worker.worker_name), worker.worker_id);
            Some(if tasks.is_empty() { line } else { format!("{line}  {}", tasks.join(" ")) })
        }
        Update::DeletedWorkerId(id) => Some(format!("{now}  {}   ({id})", console.paint(Tone::Bad, "deleted"))),
        Update::SnapshotEnd(_) => None,
    }
}

//! `steward task list --watch`: the tasks as they change, across restarts of the server.

use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::task_service_client::TaskServiceClient;
use steward_proto::transcode::v1::watch_tasks_response::Update;
use tonic::{Status, Streaming};

use super::live::Live;
use super::{json, text};
use crate::cli::connect::{Channel, Server};
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::farm::words;
use crate::cli::follow::{self, Watch};
use crate::cli::time;

pub(super) async fn run(
    channel: Channel,
    statuses: &[pb::TaskStatus],
    worker_id: i32,
    server: &Server,
    console: &mut Console,
) -> Result<Exit, Error> {
    let request = pb::WatchTasksRequest {
        statuses: words::numbers(statuses),
        // The whole history is worth showing only to those who ask for it.
        only_in_progress: statuses.is_empty(),
        ..pb::WatchTasksRequest::default()
    };
    let live = console.window().is_some().then(Live::default);
    let watch = TaskWatch { tasks: TaskServiceClient::new(channel), request, worker_id, live };
    follow::follow(watch, 0, server, console).await
}

struct TaskWatch {
    tasks: TaskServiceClient<Channel>,
    request: pb::WatchTasksRequest,
    /// 0: all workers.
    worker_id: i32,
    /// The table on a terminal.
    live: Option<Live>,
}

impl Watch for TaskWatch {
    type Message = pb::WatchTasksResponse;
    const SUBJECT: &'static str = "tasks";

    fn reconnect(&mut self, server: &Server) {
        self.tasks = TaskServiceClient::new(server.connect_lazy());
    }

    async fn open(&mut self, from_revision: i64) -> Result<Streaming<pb::WatchTasksResponse>, Status> {
        if let Some(live) = self.live.as_mut().filter(|_| from_revision == 0) {
            live.forget();
        }
        self.request.from_revision = from_revision;
        Ok(self.tasks.watch_tasks(self.request.clone()).await?.into_inner())
    }

    fn show(&mut self, step: pb::WatchTasksResponse, console: &mut Console) -> Result<Option<i64>, Error> {
        let Some(update) = step.update else { return Ok(None) };
        // In the middle of a snapshot there is no point to resume from: it has to be sent again.
        let point = (step.revision != 0).then_some(step.revision);
        let is_of_another = |task: &pb::Task| self.worker_id != 0 && task.worker_id != self.worker_id;
        if matches!(&update, Update::Task(task) if is_of_another(task)) {
            return Ok(point);
        }
        match (&mut self.live, update) {
            (_, update) if console.format() == Format::Json => {
                console.object(&json::Watched::new(step.revision, update))?;
            }
            (Some(live), update) => {
                live.take(update);
                return Ok(point);
            }
            (None, Update::Task(task)) => {
                let line = text::change(&task, console, time::now());
                console.line(line)?;
            }
            (None, Update::DeletedId(_) | Update::SnapshotEnd(_)) => return Ok(point),
        }
        console.flush()?;
        Ok(point)
    }

    fn tick(&mut self, console: &mut Console) -> Result<(), Error> {
        match &mut self.live {
            Some(live) => live.draw(console, time::now()),
            None => Ok(()),
        }
    }
}

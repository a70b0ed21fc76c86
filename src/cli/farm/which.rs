//! Which worker or task a person means.

use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::task_service_client::TaskServiceClient;
use steward_proto::transcode::v1::worker_service_client::WorkerServiceClient;
use uuid::Uuid;

use crate::cli::connect::{Channel, Server};
use crate::cli::console::printable;
use crate::cli::error::Error;

const PAGE_SIZE: i32 = 1000;
// Of a longer history only the newest are looked through: by then the whole id is quicker.
const MOST_PAGES: usize = 50;
const SHORTEST_PREFIX: usize = 4;

/// The worker of this id or name. An id wins over a name that looks like one.
pub(crate) async fn worker(channel: &Channel, who: &str, server: &Server) -> Result<pb::Worker, Error> {
    let mut workers = WorkerServiceClient::new(channel.clone());
    let mut request = pb::ListWorkersRequest { page_size: PAGE_SIZE, ..pb::ListWorkersRequest::default() };
    let id = who.parse().ok();
    let mut named = None;
    loop {
        let page = workers.list_workers(request.clone()).await.map_err(server.failure())?.into_inner();
        for worker in page.workers {
            if Some(worker.worker_id) == id {
                return Ok(worker);
            }
            if worker.worker_name == who {
                named = Some(worker);
            }
        }
        if page.next_page_token.is_empty() {
            let unknown = || Error::Local(format!("there is no worker {:?}", printable(who)));
            return named.ok_or_else(unknown);
        }
        request.page_token = page.next_page_token;
    }
}

/// The id of the task that begins so. A whole id is not looked for.
pub(crate) async fn task(channel: &Channel, prefix: &str, server: &Server) -> Result<String, Error> {
    if let Ok(id) = Uuid::try_parse(prefix) {
        return Ok(id.to_string());
    }
    let prefix = prefix.to_ascii_lowercase();
    let is_part_of_one = prefix.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if prefix.len() < SHORTEST_PREFIX || !is_part_of_one {
        let problem = format!("is no task: give its id, or at least the first {SHORTEST_PREFIX} characters of it");
        return Err(Error::Local(format!("{:?} {problem}", printable(&prefix))));
    }
    match &candidates(channel, &prefix, server).await?[..] {
        [] => Err(Error::Local(format!("there is no task {prefix}…"))),
        [id] => Ok(id.clone()),
        [first, second, ..] => {
            Err(Error::Local(format!("{prefix} may be {} or {}: give more of it", printable(first), printable(second))))
        }
    }
}

/// At most two tasks that begin so.
async fn candidates(channel: &Channel, prefix: &str, server: &Server) -> Result<Vec<String>, Error> {
    let mut tasks = TaskServiceClient::new(channel.clone());
    let mut request = pb::ListTasksRequest { page_size: PAGE_SIZE, ..pb::ListTasksRequest::default() };
    let mut found = Vec::new();
    for _ in 0..MOST_PAGES {
        let page = tasks.list_tasks(request.clone()).await.map_err(server.failure())?.into_inner();
        for task in page.tasks {
            // A task may have moved to this page since the one before was read.
            if task.task_id.starts_with(prefix) && !found.contains(&task.task_id) {
                found.push(task.task_id);
            }
        }
        if found.len() > 1 || page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Ok(found)
}

/// As much of a task's id as people need, and as [`task`] takes.
pub(crate) fn short(task_id: &str) -> String {
    printable(task_id).chars().take(8).collect()
}

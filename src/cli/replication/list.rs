//! `steward replication list`: the tasks.

use clap::Args;
use jiff::Timestamp;
use steward_proto::replication::v1 as pb;

use super::name::Scope;
use super::session::Session;
use super::{json, text};
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::table::Table;
use crate::cli::time;

/// A page of tasks with all their constraints fits into a message.
const PAGE_SIZE: i32 = 100;
const HEADINGS: [&str; 6] = ["TASK", "TARGET", "TYPE", "STATUS", "LAST SUCCESS", "NEXT"];

/// Lists the tasks, in the order of their projects, repositories and names.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only those of a project, or of a repository.
    #[arg(value_name = "PROJECT[/REPO]")]
    scope: Option<Scope>,
}

/// A task and what its target is called.
struct Listed {
    task: pb::Task,
    target: String,
}

impl From<Listed> for json::Task {
    fn from(listed: Listed) -> Self {
        json::Task::from(listed.task)
    }
}

pub(super) async fn run(args: ListArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let scope = args.scope.unwrap_or(Scope { project: String::new(), repository: String::new() });
    let mut request = pb::ListConfigsRequest {
        project: scope.project,
        repository: scope.repository,
        page_size: PAGE_SIZE,
        page_token: String::new(),
    };
    let mut table = Table::new(HEADINGS);
    loop {
        let page = session.take(session.tasks().list_configs(request.clone()).await)?;
        let mut listed = Vec::with_capacity(page.tasks.len());
        for task in page.tasks {
            let config = task.config.as_ref().filter(|_| console.format() == Format::Text);
            let target = match config {
                Some(config) => text::target(config, session).await,
                None => String::new(),
            };
            listed.push(Listed { task, target });
        }
        let now = time::now();
        table.show::<_, json::Task>(listed, |listed| row(listed, now), console)?;
        if page.next_page_token.is_empty() {
            return Ok(Exit::DONE);
        }
        request.page_token = page.next_page_token;
    }
}

fn row(Listed { task, target }: &Listed, now: Timestamp) -> [String; 6] {
    let config = task.config.clone().unwrap_or_default();
    let status = text::status(task.last_status());
    [
        text::task_name(&config),
        target.clone(),
        text::replica_type(&config).to_owned(),
        if config.enabled == Some(false) { format!("disabled, {status}") } else { status },
        text::when(task.last_success_time, now),
        text::when(task.next_time, now),
    ]
}

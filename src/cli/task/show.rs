//! `steward task show`: one task as it stands.

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::task_service_client::TaskServiceClient;

use super::{json, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::farm::which;
use crate::cli::time;

/// Shows one task.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// Which one.
    #[arg(value_name = "TASK")]
    task: String,
}

pub(super) async fn run(args: ShowArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let channel = server.connect().await?;
    let task_id = which::task(&channel, &args.task, server).await?;
    let mut tasks = TaskServiceClient::new(channel);
    let answer = tasks.get_task(pb::GetTaskRequest { task_id }).await.map_err(server.failure())?.into_inner();
    let task = answer.task.ok_or(Error::Nonsense("it has no task"))?;
    match console.format() {
        Format::Json => console.object(&json::Task::from(task))?,
        Format::Text => console.line(text::task(&task, console, time::now()))?,
    }
    Ok(Exit::DONE)
}

//! `steward task retry`: lets the videos of ended tasks wait again.

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::task_service_client::TaskServiceClient;

use super::json;
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::{self, Error};
use crate::cli::exit::Exit;
use crate::cli::farm::which;

/// Lets the videos of ended tasks wait again, with all their attempts.
#[derive(Args, Debug)]
pub(super) struct RetryArgs {
    /// Which ones.
    #[arg(value_name = "TASK", required = true)]
    tasks: Vec<String>,

    /// Another priority for their videos, -1000 to 1000.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
}

pub(super) async fn run(args: RetryArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let channel = server.connect().await?;
    let mut tasks = TaskServiceClient::new(channel.clone());
    let mut exit = Exit::DONE;
    for text in &args.tasks {
        let task_id = which::task(&channel, text, server).await?;
        let request = pb::RetryTaskRequest { task_id: task_id.clone(), priority: args.priority };
        match tasks.retry_task(request).await.map_err(server.failure()) {
            Ok(answer) => show(task_id, answer.into_inner().video_id, console)?,
            // The others may have ended.
            Err(Error::Refused(status)) => {
                eprintln!("error: {}: {}", printable(text), error::describe(&status));
                exit = Exit::ERROR;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(exit)
}

fn show(task_id: String, video_id: i32, console: &mut Console) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&json::Retried::new(task_id, video_id)),
        Format::Text => console.line(format_args!("{}: video {video_id} waits again", which::short(&task_id))),
    }
}

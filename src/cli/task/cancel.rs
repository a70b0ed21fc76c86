//! `steward task cancel`: ends tasks that are in progress.

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::task_service_client::TaskServiceClient;

use super::json;
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, Tone, printable};
use crate::cli::error::{self, Error};
use crate::cli::exit::Exit;
use crate::cli::farm::which;

/// Ends tasks that are in progress. Their videos are held until somebody requeues them.
#[derive(Args, Debug)]
pub(super) struct CancelArgs {
    /// Which ones.
    #[arg(value_name = "TASK", required = true)]
    tasks: Vec<String>,

    /// Why, for people to read.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,

    /// Their videos wait again at once.
    #[arg(long)]
    requeue: bool,
}

pub(super) async fn run(args: CancelArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let channel = server.connect().await?;
    let mut tasks = TaskServiceClient::new(channel.clone());
    let mut exit = Exit::DONE;
    for text in &args.tasks {
        let task_id = which::task(&channel, text, server).await?;
        let request = pb::CancelTaskRequest { task_id, reason: args.reason.clone(), requeue: args.requeue };
        match tasks.cancel_task(request).await.map_err(server.failure()) {
            Ok(answer) => {
                let task = answer.into_inner().task.ok_or(Error::Nonsense("it has no task"))?;
                show(task, args.requeue, console)?;
            }
            // The others may still be at work.
            Err(Error::Refused(status)) => {
                eprintln!("error: {}: {}", printable(text), error::describe(&status));
                exit = Exit::ERROR;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(exit)
}

fn show(task: pb::Task, is_requeued: bool, console: &mut Console) -> Result<(), Error> {
    if console.format() == Format::Json {
        return console.object(&json::Task::from(task));
    }
    let then = if is_requeued { "waits again" } else { "is held" };
    let done = console.paint(Tone::Good, "cancelled");
    console.line(format_args!("{done} {}; {} {then}", which::short(&task.task_id), printable(&task.video_path)))
}

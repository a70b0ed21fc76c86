//! `steward replication run`: a run now.

use clap::Args;
use steward_proto::replication::v1 as pb;

use super::json;
use super::name::TaskName;
use super::session::{NO_EXECUTION, Session};
use super::watch;
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Queues a run of a task.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 it is queued, 1 error, 2 wrong usage. With --wait: 0 all artifacts are at the target, 1 some \
                        are not, 3 somebody stopped it."
)]
pub(super) struct RunArgs {
    /// Which one.
    #[arg(value_name = "TASK")]
    task: TaskName,

    /// Look on until it has ended. Ctrl-C leaves it running.
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(args: RunArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let TaskName { project, repository, name } = args.task;
    let request = pb::RunTaskRequest { project, repository, name };
    let execution = session.take(session.tasks().run_task(request).await)?.execution.ok_or(NO_EXECUTION)?;
    if args.wait {
        return watch::watch(&execution.id, session, console).await;
    }
    queued(execution, console)?;
    Ok(Exit::DONE)
}

/// Says that a run is queued.
pub(super) fn queued(execution: pb::Execution, console: &mut Console) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&json::Execution::from(execution)),
        Format::Text => {
            let (name, id) = (printable(&execution.task_name), printable(&execution.id));
            console.line(format_args!("{name}: queued as {id}"))
        }
    }
}

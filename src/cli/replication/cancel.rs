//! `steward replication cancel` and `resume`.

use clap::Args;
use steward_proto::replication::v1 as pb;

use super::name::Which;
use super::session::{NO_EXECUTION, Session};
use super::{json, run, watch};
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Stops a run. What it has copied stays at the target.
#[derive(Args, Debug)]
pub(super) struct CancelArgs {
    /// Which run; of a task: the latest one.
    #[arg(value_name = "TASK|EXECUTION")]
    which: Which,
}

/// Queues a run that does what another one has left, which failed or was stopped.
#[derive(Args, Debug)]
pub(super) struct ResumeArgs {
    /// Which run; of a task: the latest one.
    #[arg(value_name = "EXECUTION|TASK")]
    which: Which,

    /// Look on until it has ended; exit codes as those of `status`.
    #[arg(long)]
    wait: bool,
}

pub(super) async fn cancel(args: CancelArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::CancelExecutionRequest { execution_id: session.execution_id(&args.which).await? };
    let answer = session.take(session.tasks().cancel_execution(request).await)?;
    let execution = answer.execution.ok_or(NO_EXECUTION)?;
    match console.format() {
        Format::Json => console.object(&json::Execution::from(execution))?,
        Format::Text => {
            let (name, id) = (printable(&execution.task_name), printable(&execution.id));
            console.line(format_args!("{name}: {id} is stopped"))?;
        }
    }
    Ok(Exit::DONE)
}

pub(super) async fn resume(args: ResumeArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let request = pb::ResumeExecutionRequest { execution_id: session.execution_id(&args.which).await? };
    let answer = session.take(session.tasks().resume_execution(request).await)?;
    let execution = answer.execution.ok_or(NO_EXECUTION)?;
    if args.wait {
        return watch::watch(&execution.id, session, console).await;
    }
    run::queued(execution, console)?;
    Ok(Exit::DONE)
}

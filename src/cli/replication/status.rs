//! `steward replication status`: how a run stands.

use clap::Args;
use steward_proto::replication::v1 as pb;

use super::name::Which;
use super::session::Session;
use super::{json, text, watch};
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::time;

/// Shows how a run stands, or looks on until it has ended.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 all artifacts are at the target, 1 some are not (or an error), 2 wrong usage, 3 somebody \
                        stopped it, 4 it has not ended, or there is none yet."
)]
pub(super) struct StatusArgs {
    /// Which run; of a task: the latest one.
    #[arg(value_name = "TASK|EXECUTION")]
    which: Which,

    /// Look on until it has ended, across restarts of the server. Ctrl-C leaves it running.
    #[arg(long, short)]
    watch: bool,
}

pub(super) async fn run(args: StatusArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let Some(id) = session.latest_execution(&args.which).await? else {
        match console.format() {
            Format::Json => console.object(&None::<json::Execution>)?,
            Format::Text => console.line(format_args!("{} has never run", args.which))?,
        }
        return Ok(Exit::UNFINISHED);
    };
    if args.watch {
        return watch::watch(&id, session, console).await;
    }
    let execution = session.execution(&id).await?;
    let exit = exit(execution.status());
    match console.format() {
        Format::Json => console.object(&json::Execution::from(execution))?,
        Format::Text => {
            let lines = text::execution(&execution, console, time::now());
            console.line(lines)?;
        }
    }
    Ok(exit)
}

/// What a run that stands so tells the shell.
pub(super) fn exit(status: pb::ExecutionStatus) -> Exit {
    match status {
        pb::ExecutionStatus::Success => Exit::DONE,
        pb::ExecutionStatus::Failed => Exit::FAILED,
        pb::ExecutionStatus::Cancelled => Exit::CANCELLED,
        pb::ExecutionStatus::Unspecified | pb::ExecutionStatus::Queued | pb::ExecutionStatus::Running => {
            Exit::UNFINISHED
        }
    }
}

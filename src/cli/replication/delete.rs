//! `steward replication delete`: a task and its runs.

use clap::Args;
use serde::Serialize;
use steward_proto::replication::v1 as pb;

use super::name::TaskName;
use super::session::Session;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Deletes a task, its runs and their results. A run under way is stopped first. What was copied stays at the target.
#[derive(Args, Debug)]
pub(super) struct DeleteArgs {
    /// Which one.
    #[arg(value_name = "TASK")]
    task: TaskName,
}

#[derive(Serialize)]
struct Deleted {
    task: String,
}

pub(super) async fn run(args: DeleteArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let task = args.task.to_string();
    let TaskName { project, repository, name } = args.task;
    let request = pb::DeleteConfigRequest { project, repository, name };
    session.take(session.tasks().delete_config(request).await)?;
    match console.format() {
        Format::Json => console.object(&Deleted { task })?,
        Format::Text => console.line(format_args!("{task}: deleted"))?,
    }
    Ok(Exit::DONE)
}

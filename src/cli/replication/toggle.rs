//! `steward replication enable` and `disable`.

use clap::Args;
use steward_proto::replication::v1 as pb;

use super::json;
use super::name::TaskName;
use super::session::{NO_TASK, Session};
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Lets a task run, or not. A run under way goes on.
#[derive(Args, Debug)]
pub(super) struct ToggleArgs {
    /// Which one.
    #[arg(value_name = "TASK")]
    task: TaskName,
}

pub(super) async fn run(
    args: ToggleArgs,
    enabled: bool,
    session: &Session<'_>,
    console: &mut Console,
) -> Result<Exit, Error> {
    let shown = args.task.to_string();
    let TaskName { project, repository, name } = args.task;
    let request = pb::ToggleConfigRequest { project, repository, name, enabled: Some(enabled) };
    let task = session.take(session.tasks().toggle_config(request).await)?.task.ok_or(NO_TASK)?;
    match console.format() {
        Format::Json => console.object(&json::Task::from(task))?,
        Format::Text => console.line(format_args!("{shown}: {}", if enabled { "enabled" } else { "disabled" }))?,
    }
    Ok(Exit::DONE)
}

//! `steward replication plan`: what a run would do.

use std::mem;

use clap::Args;
use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::plan_execution_response::Part;

use super::name::TaskName;
use super::session::Session;
use super::{json, text};
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::size;
use crate::cli::table::{Table, or_dash};

/// How many rows are shown together: a table is as wide as what it has shown.
const ROWS_AT_ONCE: usize = 100;
const HEADINGS: [&str; 5] = ["WOULD BE", "ARTIFACT", "SIZE", "MISSING", "WHY"];

/// Tells what a run would copy, skip, refuse and delete, and how many bytes, without doing it.
#[derive(Args, Debug)]
#[command(after_help = "Exit codes: 0 nothing would be refused, 1 something would be (or an error), 2 wrong usage.")]
pub(super) struct PlanArgs {
    /// Which one.
    #[arg(value_name = "TASK")]
    task: TaskName,
}

pub(super) async fn run(args: PlanArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let TaskName { project, repository, name } = args.task;
    let request = pb::PlanExecutionRequest { project, repository, name };
    let mut parts = session.take(session.tasks().plan_execution(request).await)?;
    let mut table = Table::new(HEADINGS);
    let mut rows = Vec::new();
    let mut summary = None;
    while let Some(message) = parts.message().await.map_err(|status| session.failure(status))? {
        match message.part {
            Some(Part::Artifact(artifact)) => rows.push(artifact),
            Some(Part::Summary(end)) => summary = Some(end),
            None => {}
        }
        if rows.len() == ROWS_AT_ONCE {
            table.show::<_, json::Planned>(mem::take(&mut rows), row, console)?;
        }
    }
    if !rows.is_empty() {
        table.show::<_, json::Planned>(rows, row, console)?;
    }
    let summary = summary.ok_or(Error::Nonsense("the plan ends before its end"))?;
    let exit = if summary.refused > 0 { Exit::FAILED } else { Exit::DONE };
    match console.format() {
        Format::Json => console.object(&json::Planned::from(summary))?,
        Format::Text => console.line(line(&summary))?,
    }
    Ok(exit)
}

fn row(planned: &pb::PlannedArtifact) -> [String; 5] {
    let outcome = match planned.outcome() {
        pb::ArtifactOutcome::Failed => "refused",
        outcome => text::outcome(outcome),
    };
    [
        outcome.to_owned(),
        text::artifact(&planned.artifact, &planned.version, &planned.target_versions),
        size::of_proto(planned.size),
        size::of_proto(planned.missing_bytes),
        or_dash(printable(&planned.reason).into_owned()),
    ]
}

/// `3 copied, 1 unchanged, 0 skipped, 0 refused, 0 deleted; 1.2 MiB of 5.0 MiB to send`.
fn line(summary: &pb::PlanSummary) -> String {
    let pb::PlanSummary { copied, unchanged, skipped, refused, deleted, total_bytes, missing_bytes } = *summary;
    let bytes = format!("{} of {} to send", size::of_proto(missing_bytes), size::of_proto(total_bytes));
    format!("{copied} copied, {unchanged} unchanged, {skipped} skipped, {refused} refused, {deleted} deleted; {bytes}")
}

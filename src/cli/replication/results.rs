//! `steward replication results`: what the artifacts of a run came to.

use clap::Args;
use steward_proto::replication::v1 as pb;

use super::name::Which;
use super::session::Session;
use super::{json, text};
use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::size;
use crate::cli::table::{Table, or_dash};

const PAGE_SIZE: i32 = 500;
const HEADINGS: [&str; 5] = ["OUTCOME", "ARTIFACT", "SIZE", "SENT", "ERROR"];

/// Lists what the artifacts of a run came to, in the order in which they came to it.
#[derive(Args, Debug)]
pub(super) struct ResultsArgs {
    /// Which run; of a task: the latest one.
    #[arg(value_name = "EXECUTION|TASK")]
    which: Which,

    /// Only those that are not at the target.
    #[arg(long)]
    failed: bool,
}

pub(super) async fn run(args: ResultsArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let outcomes = if args.failed { vec![pb::ArtifactOutcome::Failed.into()] } else { Vec::new() };
    let mut request = pb::ListArtifactResultsRequest {
        execution_id: session.execution_id(&args.which).await?,
        outcomes,
        page_size: PAGE_SIZE,
        page_token: String::new(),
    };
    let mut table = Table::new(HEADINGS);
    loop {
        let page = session.take(session.tasks().list_artifact_results(request.clone()).await)?;
        table.show::<_, json::Finished>(page.results, row, console)?;
        if page.next_page_token.is_empty() {
            return Ok(Exit::DONE);
        }
        request.page_token = page.next_page_token;
    }
}

fn row(result: &pb::ArtifactResult) -> [String; 5] {
    [
        text::outcome(result.outcome()).to_owned(),
        text::artifact(&result.artifact, &result.version, &result.target_versions),
        size::of_proto(result.size),
        size::of_proto(result.sent),
        or_dash(printable(&result.error).into_owned()),
    ]
}

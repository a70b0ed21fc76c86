//! `steward volume operation list`.

use clap::Args;
use jiff::Timestamp;
use steward_proto::volume::v1 as pb;

use crate::cli::console::{Console, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::table::{Table, or_dash};
use crate::cli::time;
use crate::cli::volume::name::VolumePath;
use crate::cli::volume::session::Session;
use crate::cli::volume::{json, text};

const HEADINGS: [&str; 6] = ["UUID", "DOES", "TARGET", "OWNER", "BEGAN", "STATE"];
const PAGE_SIZE: u32 = 1000;
/// Those that have not ended.
const LIVE: [pb::OperationState; 6] = [
    pb::OperationState::Queued,
    pb::OperationState::Running,
    pb::OperationState::MetaInstalled,
    pb::OperationState::Paused,
    pb::OperationState::Canceling,
    pb::OperationState::Retrying,
];

/// Lists operations, the oldest first. Those that have ended are kept for a while.
#[derive(Args, Debug)]
pub(in crate::cli::volume) struct ListArgs {
    /// Only those that work on this volume, as it was called when they began.
    #[arg(value_name = "PATH")]
    target: Option<VolumePath>,

    /// Only those that have not ended.
    #[arg(long)]
    live: bool,

    /// Only those of this owner.
    #[arg(long, value_name = "USER", default_value = "", hide_default_value = true)]
    owner: String,
}

pub(super) async fn run(args: ListArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    let mut request = pb::ListOperationsRequest {
        user: session.user(),
        states: if args.live { LIVE.map(i32::from).into() } else { Vec::new() },
        target: args.target.map(|target| target.0).unwrap_or_default(),
        owner: args.owner,
        page_size: PAGE_SIZE,
        ..pb::ListOperationsRequest::default()
    };
    let mut table = Table::new(HEADINGS);
    loop {
        let page = session.take(session.operations().list_operations(request.clone()).await)?;
        let now = time::now();
        table.show::<_, json::Operation>(page.operations, |operation| row(operation, now), console)?;
        if page.next_page_token.is_empty() {
            return Ok(Exit::DONE);
        }
        request.page_token = page.next_page_token;
    }
}

fn row(operation: &pb::Operation, now: Timestamp) -> [String; 6] {
    [
        printable(&operation.uuid).into_owned(),
        text::operation_type(operation).to_owned(),
        or_dash(printable(&operation.target).into_owned()),
        or_dash(printable(&operation.owner).into_owned()),
        or_dash(text::when(operation.create_time, now)),
        text::operation_state(operation).text,
    ]
}

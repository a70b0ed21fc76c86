//! `steward lock watch`: the locks as they are, then every change, across restarts of the server.

mod line;

use std::time::Duration;

use clap::Args;
use steward_proto::lock::v1::{self as pb, watch_response::Update};
use tonic::{Code, Status, Streaming};

use super::{json, key};
use crate::cli::backoff::Backoff;
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::{self, Error};
use crate::cli::exit::Exit;
use crate::cli::{duration, time};

// Keeps the resume point young, so that a reconnect after a quiet day finds it not yet compacted.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(30);

/// Shows the locks as they are, then every change, until it is interrupted.
#[derive(Args, Debug)]
#[command(
    after_help = "When the connection is lost, the watch goes on where it was as soon as the server is back. If \
                        the server has forgotten that point, it starts again with the locks as they are, and says so \
                        on standard error."
)]
pub(super) struct WatchArgs {
    /// One lock: TYPE/RESOURCE. Default: all.
    #[arg(value_name = "KEY", value_parser = key::parse, conflicts_with_all = ["type", "prefix"])]
    key: Option<pb::LockKey>,

    /// Only locks of this type.
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,

    /// Only locks whose resource starts so.
    #[arg(long, value_name = "PREFIX", requires = "type")]
    prefix: Option<String>,
}

pub(super) async fn run(args: WatchArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    // An absent server is an error at the start, and something to wait for later.
    let mut locks = server.connect_locks().await?;
    let mut request = args.into_request();
    let mut backoff = Backoff::new();
    loop {
        let interruption = match locks.watch(request.clone()).await {
            Ok(stream) => follow(stream.into_inner(), &mut request, &mut backoff, console).await?,
            Err(status) => Some(status),
        };
        match interruption {
            Some(status) if is_compacted(&status) && request.from_revision != 0 => {
                eprintln!("steward: the server has forgotten where this watch was; showing all locks again");
                request.from_revision = 0;
            }
            Some(status) if !error::is_transient(&status) => return Err(server.failure()(status)),
            Some(_) | None => {
                if backoff.is_fresh() {
                    eprintln!("steward: the connection is lost; reconnecting");
                }
                backoff.pause().await;
                locks = server.locks();
            }
        }
    }
}

impl WatchArgs {
    fn into_request(self) -> pb::WatchRequest {
        pb::WatchRequest {
            key: self.key,
            r#type: self.r#type.unwrap_or_default(),
            resource_id_prefix: self.prefix.unwrap_or_default(),
            from_revision: 0,
            progress_interval: Some(duration::to_proto(PROGRESS_INTERVAL)),
        }
    }
}

/// Shows what comes and moves the resume point of `request`, until the stream is interrupted.
async fn follow(
    mut stream: Streaming<pb::WatchResponse>,
    request: &mut pb::WatchRequest,
    backoff: &mut Backoff,
    console: &mut Console,
) -> Result<Option<Status>, Error> {
    loop {
        let step = match stream.message().await {
            Ok(Some(step)) => step,
            Ok(None) => return Ok(None),
            Err(status) => return Ok(Some(status)),
        };
        *backoff = Backoff::new();
        let Some(update) = step.update else { continue };
        // In the middle of a snapshot there is no point to resume from: it has to be sent again.
        if !matches!(update, Update::Snapshot(_)) {
            request.from_revision = step.revision;
        }
        show(step.revision, update, console)?;
    }
}

fn show(revision: i64, update: Update, console: &mut Console) -> Result<(), Error> {
    if matches!(update, Update::Progress(_)) {
        return Ok(());
    }
    match console.format() {
        Format::Json => console.object(&json::Watched::new(revision, update))?,
        Format::Text => match update {
            Update::Snapshot(lock) => console.line(line::of_lock(&lock, console, time::now()))?,
            Update::Event(event) => console.line(line::of_event(&event, console))?,
            Update::SnapshotEnd(_) | Update::Progress(_) => {}
        },
    }
    console.flush()
}

fn is_compacted(status: &Status) -> bool {
    status.code() == Code::OutOfRange && error::reason(status).as_deref() == Some("REVISION_COMPACTED")
}

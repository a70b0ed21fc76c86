//! `steward lock watch`: the locks as they are, then every change, across restarts of the server.

mod line;

use std::time::Duration;

use crate::cli::connect::Channel;
use clap::Args;
use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use steward_proto::lock::v1::{self as pb, watch_response::Update};
use tonic::{Status, Streaming};

use super::{json, key};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::follow::{self, Watch};
use crate::cli::{duration, time};

// Keeps the resume point young, so that a reconnect after a quiet day finds it not yet compacted.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(30);

/// Shows the locks as they are, then every change, until it is interrupted.
#[derive(Args, Debug)]
#[command(after_help = follow::HELP)]
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
    let locks = server.connect_locks().await?;
    follow::follow(LockWatch { locks, request: args.into_request() }, 0, server, console).await
}

struct LockWatch {
    locks: LockServiceClient<Channel>,
    request: pb::WatchRequest,
}

impl Watch for LockWatch {
    type Message = pb::WatchResponse;
    const SUBJECT: &'static str = "locks";

    fn reconnect(&mut self, server: &Server) {
        self.locks = server.locks();
    }

    async fn open(&mut self, from_revision: i64) -> Result<Streaming<pb::WatchResponse>, Status> {
        self.request.from_revision = from_revision;
        Ok(self.locks.watch(self.request.clone()).await?.into_inner())
    }

    fn show(&mut self, step: pb::WatchResponse, console: &mut Console) -> Result<Option<i64>, Error> {
        let Some(update) = step.update else { return Ok(None) };
        // In the middle of a snapshot there is no point to resume from: it has to be sent again.
        let point = (!matches!(update, Update::Snapshot(_))).then_some(step.revision);
        show(step.revision, update, console)?;
        Ok(point)
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

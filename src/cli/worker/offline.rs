//! `steward worker offline`: tells workers to end.

use std::time::Duration;

use clap::Args;
use steward_proto::transcode::v1 as pb;

use super::text;
use super::who::SeveralArgs;
use crate::cli::connect::Server;
use crate::cli::console::Console;
use crate::cli::duration;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

/// Tells workers to end once they have finished what they have.
#[derive(Args, Debug)]
pub struct OfflineArgs {
    #[command(flatten)]
    workers: SeveralArgs,

    /// They shut their machines down, too.
    #[arg(long)]
    shutdown: bool,

    /// How long their tasks may take, such as 10m; then they are given to others. Default: as long as they need.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    deadline: Option<Duration>,
}

pub(super) async fn run(args: OfflineArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let (action, told) = if args.shutdown {
        (pb::OfflineAction::Shutdown, "told to end and to shut its machine down")
    } else {
        (pb::OfflineAction::Offline, "told to end")
    };
    let deadline = args.deadline.map(duration::to_proto);
    let act = async |workers: &mut super::Workers, worker: pb::Worker| {
        let request = pb::SetWorkerOfflineRequest { worker_id: worker.worker_id, action: action.into(), deadline };
        workers.set_worker_offline(request).await.map_err(server.failure())?;
        text::done(worker, told, console)
    };
    args.workers.each(server, act).await
}

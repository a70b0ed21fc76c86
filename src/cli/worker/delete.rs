//! `steward worker delete`: forgets workers.

use steward_proto::transcode::v1 as pb;

use super::text;
use super::who::SeveralArgs;
use crate::cli::connect::Server;
use crate::cli::console::Console;
use crate::cli::error::Error;
use crate::cli::exit::Exit;

pub(super) async fn run(args: SeveralArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    args.each(server, async |workers, worker| {
        let request = pb::DeleteWorkerRequest { worker_id: worker.worker_id };
        workers.delete_worker(request).await.map_err(server.failure())?;
        text::done(worker, "deleted", console)
    })
    .await
}

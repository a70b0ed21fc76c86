//! `steward worker pause` and `resume`.

use steward_proto::transcode::v1 as pb;

use super::text;
use super::who::SeveralArgs;
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;

pub(super) async fn run(
    args: SeveralArgs,
    paused: bool,
    server: &Server,
    console: &mut Console,
) -> Result<Exit, Error> {
    args.each(server, async |workers, worker| {
        let request = pb::UpdateWorkerRequest {
            worker_id: worker.worker_id,
            paused: Some(paused),
            ..pb::UpdateWorkerRequest::default()
        };
        let answer = workers.update_worker(request).await.map_err(server.failure())?.into_inner();
        let worker = answer.worker.ok_or(Error::Nonsense("it has no worker"))?;
        match console.format() {
            Format::Json => text::show(worker, console),
            Format::Text => text::done(worker, if paused { "paused" } else { "gets tasks again" }, console),
        }
    })
    .await
}

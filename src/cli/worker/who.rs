//! Workers on the command line.

use clap::Args;
use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::worker_service_client::WorkerServiceClient;

use super::Workers;
use crate::cli::connect::Server;
use crate::cli::console::printable;
use crate::cli::error::{self, Error};
use crate::cli::exit::Exit;
use crate::cli::farm::which;

/// One worker.
#[derive(Args, Debug)]
pub struct WhoArgs {
    /// Its id or its name.
    #[arg(value_name = "WHO")]
    pub(super) who: String,
}

/// Some workers.
#[derive(Args, Debug)]
pub struct SeveralArgs {
    /// Their ids or names.
    #[arg(value_name = "WHO", required = true)]
    pub(super) who: Vec<String>,
}

impl SeveralArgs {
    /// Does `act` with each of them, also when the server refuses it for another.
    pub(super) async fn each(
        &self,
        server: &Server,
        mut act: impl AsyncFnMut(&mut Workers, pb::Worker) -> Result<(), Error>,
    ) -> Result<Exit, Error> {
        let channel = server.connect().await?;
        let mut workers = WorkerServiceClient::new(channel.clone());
        let mut exit = Exit::DONE;
        for who in &self.who {
            let worker = which::worker(&channel, who, server).await?;
            match act(&mut workers, worker).await {
                Ok(()) => {}
                Err(Error::Refused(status)) => {
                    eprintln!("error: {}: {}", printable(who), error::describe(&status));
                    exit = Exit::ERROR;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(exit)
    }
}

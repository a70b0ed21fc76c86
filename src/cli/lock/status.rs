//! `steward lock status`: one lock as it stands.

use clap::Args;
use steward_proto::lock::v1 as pb;

use super::{json, key, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::time;

/// Shows who holds a lock, who waits for it, and whether the work is done.
#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    /// Which lock: TYPE/RESOURCE.
    #[arg(value_name = "KEY", value_parser = key::parse)]
    key: pb::LockKey,
}

pub(super) async fn run(args: StatusArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    // Nothing is claimed: looking must not change what is seen.
    let request = pb::GetRequest { key: Some(args.key), claim_as: String::new() };
    let mut locks = server.connect_locks().await?;
    let answer = locks.get(request).await.map_err(server.failure())?.into_inner();
    let lock = answer.lock.ok_or(Error::Nonsense("it has no lock"))?;
    match console.format() {
        Format::Json => console.object(&json::Lock::from(lock))?,
        Format::Text => console.line(text::lock(&lock, console, time::now()))?,
    }
    Ok(Exit::DONE)
}

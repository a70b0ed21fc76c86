//! `steward lock force-release`: an operator takes a lock away.

use clap::Args;
use steward_proto::lock::v1 as pb;

use super::{json, key};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::identity;

/// For operators: takes a lock from its holders. Kept in the audit log.
#[derive(Args, Debug)]
pub(super) struct ForceReleaseArgs {
    /// Which lock: TYPE/RESOURCE.
    #[arg(value_name = "KEY", value_parser = key::parse)]
    key: pb::LockKey,

    /// Why. Kept in the audit log and shown to watchers.
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Only this holder. Default: all holders.
    // Not from STEWARD_OWNER: that is who the caller is, not whom to take the lock from.
    #[arg(long)]
    owner: Option<String>,

    /// Who steps in, for the audit log. Default: this user and host.
    #[arg(long)]
    actor: Option<String>,
}

pub(super) async fn run(args: ForceReleaseArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let key = key::text(&args.key);
    let request = pb::ForceReleaseRequest {
        key: Some(args.key),
        owner: args.owner.unwrap_or_default(),
        reason: args.reason,
        actor: args.actor.unwrap_or_else(identity::actor),
    };
    let mut locks = server.connect_locks().await?;
    let answer = locks.force_release(request).await.map_err(server.failure())?.into_inner();
    match console.format() {
        Format::Json => console.object(&json::ForceReleased::from(answer))?,
        Format::Text => console.line(describe(&key, &answer))?,
    }
    Ok(Exit::DONE)
}

fn describe(key: &str, answer: &pb::ForceReleaseResponse) -> String {
    let holders =
        if answer.released_count == 1 { "1 holder".to_owned() } else { format!("{} holders", answer.released_count) };
    match answer.next_owner.as_str() {
        "" => format!("took {key} from {holders}"),
        next => format!("took {key} from {holders}; handed to {}", printable(next)),
    }
}

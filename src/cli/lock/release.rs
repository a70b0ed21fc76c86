//! `steward lock release`: gives a lock back.

use clap::{Args, ValueEnum};
use steward_proto::lock::v1::{self as pb, release_request::Holder};

use super::{json, key};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::time;

/// Gives a lock back and says how the work ended.
#[derive(Args, Debug)]
pub(super) struct ReleaseArgs {
    /// What to give back: TYPE/RESOURCE.
    #[arg(value_name = "KEY", value_parser = key::parse)]
    key: pb::LockKey,

    /// Which grant, as `acquire` printed it. The safe form; it wins over --owner.
    #[arg(long, value_name = "ID")]
    grant_id: Option<String>,

    /// Whose grant.
    #[arg(long, env = "STEWARD_OWNER", required_unless_present = "grant_id")]
    owner: Option<String>,

    /// How the work ended. After `succeeded` others skip it.
    #[arg(long, value_enum, default_value_t = Outcome::Released)]
    outcome: Outcome,

    /// Why it failed, for people to read.
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,

    /// Makes a retry safe: the same id gets the same answer.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Outcome {
    /// The work is done.
    Succeeded,
    /// The work failed: the next in the queue takes over.
    Failed,
    /// No statement about the work: the next in the queue takes over.
    Released,
}

impl Outcome {
    fn to_proto(self) -> pb::Outcome {
        match self {
            Outcome::Succeeded => pb::Outcome::Succeeded,
            Outcome::Failed => pb::Outcome::Failed,
            Outcome::Released => pb::Outcome::Released,
        }
    }
}

pub(super) async fn run(args: ReleaseArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let key = key::text(&args.key);
    let request = args.into_request();
    let mut locks = server.connect_locks().await?;
    let answer = locks.release(request).await.map_err(server.failure())?.into_inner();
    match console.format() {
        Format::Json => console.object(&json::Released::from(answer))?,
        Format::Text => console.line(describe(&key, &answer))?,
    }
    Ok(Exit::DONE)
}

impl ReleaseArgs {
    fn into_request(self) -> pb::ReleaseRequest {
        let by_grant = self.grant_id.map(Holder::GrantId);
        pb::ReleaseRequest {
            key: Some(self.key),
            holder: by_grant.or_else(|| self.owner.map(Holder::Owner)),
            outcome: self.outcome.to_proto().into(),
            error: self.error.unwrap_or_default(),
            request_id: self.request_id.unwrap_or_default(),
        }
    }
}

fn describe(key: &str, answer: &pb::ReleaseResponse) -> String {
    let mut line = format!("released {key}");
    if let Some(until) = answer.completion.as_ref().and_then(|completion| time::from_proto(completion.expire_time)) {
        line = format!("{line} as done; others skip it until {}", time::text(until));
    }
    if !answer.next_owner.is_empty() {
        line = format!("{line}; handed to {}", printable(&answer.next_owner));
    }
    line
}

//! `steward lock acquire`: one request for a lock.

use std::time::Duration;

use clap::Args;
use steward_proto::lock::v1 as pb;

use super::mode::ModeArgs;
use super::{json, key, text};
use crate::cli::connect::Server;
use crate::cli::console::{Console, Format, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::{duration, identity, time};

/// Takes a lock, waits for it, or learns that the work is done.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 granted, 1 error, 2 wrong usage, 3 held by somebody else (or the wait timed out), \
                        4 skipped because the work is completed, 5 queued.\n\n\
                        A grant with a TTL has to be renewed; `steward lock run` does that for a command."
)]
pub(super) struct AcquireArgs {
    /// What to lock: TYPE/RESOURCE.
    #[arg(value_name = "KEY", value_parser = key::parse)]
    key: pb::LockKey,

    /// Who asks. Default: this host and process.
    #[arg(long, env = "STEWARD_OWNER")]
    owner: Option<String>,

    #[command(flatten)]
    mode: ModeArgs,

    /// Wait until the lock is granted, at the most so long if a duration is given (--wait=5m).
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = FOR_EVER,
        value_parser = parse_wait,
        conflicts_with = "enqueue"
    )]
    wait: Option<Wait>,

    /// Join the queue and do not wait; ask again to claim the lock.
    #[arg(long)]
    enqueue: bool,

    /// How long the grant lives without renewal. Default: the server's.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    ttl: Option<Duration>,

    /// How long the grant lives at the most, renewals included.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    max_lifetime: Option<Duration>,

    /// Tie the grant to this lease.
    #[arg(long, value_name = "LEASE_ID", conflicts_with = "ttl")]
    lease: Option<String>,

    /// Makes a retry safe: the same id gets the same grant.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,

    /// Do not take the lock when somebody has completed the work.
    #[arg(long)]
    skip_completed: bool,
}

const FOR_EVER: &str = "for-ever";

/// How long to wait for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    ForEver,
    AtMost(Duration),
}

/// How completed work is to be treated.
pub(super) fn completion_policy(skips_completed: bool) -> pb::CompletionPolicy {
    if skips_completed { pb::CompletionPolicy::Skip } else { pb::CompletionPolicy::Ignore }
}

pub(super) async fn run(args: AcquireArgs, server: &Server, console: &mut Console) -> Result<Exit, Error> {
    let request = args.into_request();
    let asked_for = request.clone();
    let mut locks = server.connect_locks().await?;
    let answer = locks.acquire(request).await.map_err(server.failure())?.into_inner();
    let exit = exit(answer.status())?;
    match console.format() {
        Format::Json => console.object(&json::Acquired::from(answer))?,
        Format::Text => console.line(describe(&asked_for, &answer, console))?,
    }
    Ok(exit)
}

impl AcquireArgs {
    fn into_request(self) -> pb::AcquireRequest {
        let (policy, wait_timeout) = match self.wait {
            Some(Wait::ForEver) => (pb::WaitPolicy::Block, None),
            Some(Wait::AtMost(limit)) => (pb::WaitPolicy::Block, Some(limit)),
            None if self.enqueue => (pb::WaitPolicy::Enqueue, None),
            None => (pb::WaitPolicy::Try, None),
        };
        self.mode.apply(pb::AcquireRequest {
            key: Some(self.key),
            owner: self.owner.unwrap_or_else(identity::owner),
            policy: policy.into(),
            wait_timeout: wait_timeout.map(duration::to_proto),
            ttl: self.ttl.map(duration::to_proto),
            max_lifetime: self.max_lifetime.map(duration::to_proto),
            lease_id: self.lease.unwrap_or_default(),
            request_id: self.request_id.unwrap_or_default(),
            completion_policy: completion_policy(self.skip_completed).into(),
            ..pb::AcquireRequest::default()
        })
    }
}

fn parse_wait(text: &str) -> Result<Wait, String> {
    if text == FOR_EVER { Ok(Wait::ForEver) } else { duration::parse(text).map(Wait::AtMost) }
}

fn exit(status: pb::AcquireStatus) -> Result<Exit, Error> {
    match status {
        pb::AcquireStatus::Granted => Ok(Exit::DONE),
        pb::AcquireStatus::Contended | pb::AcquireStatus::TimedOut => Ok(Exit::CONTENDED),
        pb::AcquireStatus::Skipped => Ok(Exit::SKIPPED),
        pb::AcquireStatus::Queued => Ok(Exit::QUEUED),
        pb::AcquireStatus::Unspecified => Err(Error::Nonsense("it has no status")),
    }
}

fn describe(request: &pb::AcquireRequest, answer: &pb::AcquireResponse, console: &Console) -> String {
    let key = key::text_or_unknown(request.key.as_ref());
    let now = time::now();
    match answer.status() {
        pb::AcquireStatus::Granted => text::granted(answer.grant.as_ref(), console, now),
        pb::AcquireStatus::Queued => {
            format!("{key} is held; {} is number {} in the queue", printable(&request.owner), answer.queue_position)
        }
        pb::AcquireStatus::Contended => format!("{key} is held by somebody else"),
        pb::AcquireStatus::TimedOut => format!("{key} was not free in time"),
        pb::AcquireStatus::Skipped => format!("{key} was {}", text::completion(answer.completion.as_ref(), now)),
        pb::AcquireStatus::Unspecified => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decision_has_its_code() {
        assert_eq!(exit(pb::AcquireStatus::Granted).unwrap(), Exit::DONE);
        assert_eq!(exit(pb::AcquireStatus::Contended).unwrap(), Exit::CONTENDED);
        assert_eq!(exit(pb::AcquireStatus::TimedOut).unwrap(), Exit::CONTENDED);
        assert_eq!(exit(pb::AcquireStatus::Skipped).unwrap(), Exit::SKIPPED);
        assert_eq!(exit(pb::AcquireStatus::Queued).unwrap(), Exit::QUEUED);
        assert!(exit(pb::AcquireStatus::Unspecified).is_err());
    }

    #[test]
    fn a_wait_may_have_a_limit() {
        assert_eq!(parse_wait(FOR_EVER), Ok(Wait::ForEver));
        assert_eq!(parse_wait("5m"), Ok(Wait::AtMost(Duration::from_mins(5))));
        assert!(parse_wait("-5m").is_err());
    }
}

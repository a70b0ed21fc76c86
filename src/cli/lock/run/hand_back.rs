//! Gives the lock back and says how the work ended.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use steward_proto::lock::v1::{self as pb, release_request::Holder};
use tokio::time::timeout;
use uuid::Uuid;

use crate::cli::backoff::Backoff;
use crate::cli::connect::Server;
use crate::cli::error;
use crate::cli::lock::mode::Mode;
use crate::cli::signals::Signals;

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// How the work ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Succeeded,
    Failed(String),
}

impl Verdict {
    pub(super) fn of(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;

        match (status.code(), status.signal()) {
            (Some(0), _) => Verdict::Succeeded,
            (Some(code), _) => Verdict::Failed(format!("exit status {code}")),
            (None, Some(signal)) => Verdict::Failed(format!("killed by signal {signal}")),
            (None, None) => Verdict::Failed("ended in an unknown way".to_owned()),
        }
    }

    fn outcome(&self, mode: Mode) -> pb::Outcome {
        match (self, mode) {
            // The success of one holder says nothing about the others, and the server refuses it.
            (Verdict::Succeeded, Mode::Shared | Mode::Semaphore) => pb::Outcome::Released,
            (Verdict::Succeeded, Mode::Exclusive) => pb::Outcome::Succeeded,
            (Verdict::Failed(_), _) => pb::Outcome::Failed,
        }
    }
}

/// Releases `grant`. Tries again while the server is away, for as long as the grant can live (`ttl`) and until a signal
/// comes.
pub(super) async fn hand_back(
    grant: &pb::Grant,
    verdict: &Verdict,
    mode: Mode,
    ttl: Duration,
    server: &Server,
    signals: &mut Signals,
) -> Result<(), String> {
    let error = match verdict {
        Verdict::Succeeded => String::new(),
        Verdict::Failed(error) => error.clone(),
    };
    let request = pb::ReleaseRequest {
        key: grant.key.clone(),
        holder: Some(Holder::GrantId(grant.grant_id.clone())),
        outcome: verdict.outcome(mode).into(),
        error,
        // A repeated release finds the answer to the first one, rather than no holder.
        request_id: Uuid::new_v4().to_string(),
    };
    release(request, Instant::now() + ttl, server, signals).await
}

async fn release(
    request: pb::ReleaseRequest,
    until: Instant,
    server: &Server,
    signals: &mut Signals,
) -> Result<(), String> {
    let mut backoff = Backoff::new();
    loop {
        // A connection for each attempt: the old one may hang without failing.
        let mut locks = server.locks();
        let failure = match timeout(ATTEMPT_TIMEOUT, locks.release(request.clone())).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(status)) if !error::is_transient(&status) => return Err(error::describe(&status)),
            Ok(Err(status)) => error::root_cause(&status),
            Err(_) => "the server does not answer".to_owned(),
        };
        if Instant::now() >= until {
            return Err(failure);
        }
        tokio::select! {
            () = backoff.pause() => {}
            _ = signals.next() => return Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_verdict_says_how_the_command_ended() {
        assert_eq!(Verdict::of(ExitStatus::from_raw(0)), Verdict::Succeeded);
        assert_eq!(Verdict::of(ExitStatus::from_raw(3 << 8)), Verdict::Failed("exit status 3".to_owned()));
        assert_eq!(Verdict::of(ExitStatus::from_raw(15)), Verdict::Failed("killed by signal 15".to_owned()));
    }

    #[test]
    fn only_an_exclusive_success_is_recorded() {
        assert_eq!(Verdict::Succeeded.outcome(Mode::Exclusive), pb::Outcome::Succeeded);
        assert_eq!(Verdict::Succeeded.outcome(Mode::Shared), pb::Outcome::Released);
        assert_eq!(Verdict::Failed(String::new()).outcome(Mode::Semaphore), pb::Outcome::Failed);
    }
}

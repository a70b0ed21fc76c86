//! A grant in our hands, and how it is renewed.

use std::time::{Duration, Instant};

use steward_proto::lock::v1 as pb;
use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use tokio::time::{sleep_until, timeout};
use tonic::Status;

use super::schedule::Schedule;
use crate::cli::connect::Channel;
use crate::cli::{duration, error};

/// A grant and what is known of its deadlines.
#[derive(Debug)]
pub(super) struct Held {
    grant: pb::Grant,
    ttl: Duration,
    schedule: Schedule,
}

/// An answer to a renewal, or its absence.
#[derive(Debug)]
pub(super) struct Renewal {
    sent_at: Instant,
    result: Result<pb::Grant, RenewError>,
}

/// Why a renewal failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RenewError {
    /// Somebody else may hold the lock by now.
    NotHolder(String),
    /// Nothing is known; it may be tried again.
    Failed(String),
}

impl Held {
    /// A grant that nobody can have got before `asked_at`. `ttl` is what to ask for with each renewal.
    pub(super) fn new(grant: pb::Grant, asked_at: Instant, ttl: Duration, grace: Duration) -> Self {
        let schedule = Schedule::new(asked_at, granted_ttl(&grant, ttl), grace);
        Held { grant, ttl, schedule }
    }

    pub(super) fn grant(&self) -> &pb::Grant {
        &self.grant
    }

    pub(super) fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Sends a renewal at `at` and waits for its answer, for a while.
    pub(super) fn renewal(
        &self,
        mut locks: LockServiceClient<Channel>,
        at: Instant,
    ) -> impl Future<Output = Renewal> + Send + use<> {
        let request = pb::RenewRequest {
            key: self.grant.key.clone(),
            grant_id: self.grant.grant_id.clone(),
            ttl: Some(duration::to_proto(self.ttl)),
        };
        let limit = self.schedule.attempt_timeout();
        async move {
            sleep_until(at.into()).await;
            let sent_at = Instant::now();
            let result = match timeout(limit, locks.renew(request)).await {
                Ok(Ok(answer)) => Ok(answer.into_inner().grant.unwrap_or_default()),
                Ok(Err(status)) => Err(RenewError::from(status)),
                Err(_) => Err(RenewError::Failed("the server does not answer".to_owned())),
            };
            Renewal { sent_at, result }
        }
    }

    /// Moves the deadlines as the renewal allows.
    pub(super) fn note(&mut self, renewal: Renewal) -> Result<(), RenewError> {
        match renewal.result {
            Ok(grant) => {
                self.schedule.renewed(renewal.sent_at, granted_ttl(&grant, self.ttl));
                Ok(())
            }
            Err(error) => {
                self.schedule.failed(Instant::now());
                Err(error)
            }
        }
    }
}

impl From<Status> for RenewError {
    fn from(status: Status) -> Self {
        match error::reason(&status).as_deref() {
            Some("NOT_HOLDER") => RenewError::NotHolder(error::describe(&status)),
            _ if error::is_transient(&status) => RenewError::Failed(error::root_cause(&status)),
            _ => RenewError::Failed(error::describe(&status)),
        }
    }
}

/// The server may have granted less than `asked`; to count on more would be of no use.
fn granted_ttl(grant: &pb::Grant, asked: Duration) -> Duration {
    grant.ttl.and_then(duration::from_proto).map_or(asked, |granted| granted.min(asked))
}

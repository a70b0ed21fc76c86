//! Gets the lock, however long it takes and however often the server restarts meanwhile.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use steward_proto::lock::v1::lock_service_client::LockServiceClient;
use steward_proto::lock::v1::{self as pb, release_request::Holder};
use tokio::time::{sleep_until, timeout};
use tonic::Status;
use uuid::Uuid;

use super::held::{Held, RenewError};
use super::notices::Notices;
use crate::cli::backoff::Backoff;
use crate::cli::connect::{Channel, Server};
use crate::cli::error::{self, Error};
use crate::cli::lock::{key, text};
use crate::cli::signals::Signals;
use crate::cli::{duration, identity};

/// The server's limit for one wait.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// The server ends a wait in time; this is for a server that does not.
const OVERDUE: Duration = Duration::from_secs(2);
/// For what is good to do but not worth waiting for.
const COURTESY: Duration = Duration::from_secs(2);

/// How the asking ended.
#[derive(Debug)]
pub(super) enum Obtained {
    /// With the lock, which has most of its ttl ahead.
    Held(Box<Held>),
    /// Somebody has completed the work.
    Skipped(Option<pb::Completion>),
    /// Without the lock.
    TimedOut,
    /// By a signal, without the lock.
    Interrupted(Signal),
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long the grant lives without renewal.
    pub(super) ttl: Duration,
    /// How long the command gets to end when the lock is lost.
    pub(super) grace: Duration,
    /// When to stop asking; never without it.
    pub(super) until: Option<Instant>,
}

/// Somebody who wants the lock.
#[derive(Debug)]
pub(super) struct Applicant<'a> {
    server: &'a Server,
    notices: &'a Notices,
    locks: LockServiceClient<Channel>,
    /// What is asked for; each time with the policy that fits.
    request: pb::AcquireRequest,
    limits: Limits,
    /// When the request id was first sent since it was known to have no grant: a grant can be as old as that.
    asked_at: Option<Instant>,
    /// A grant whose deadline is not known well enough to work under it.
    unconfirmed: Option<pb::Grant>,
    has_waited: bool,
    backoff: Backoff,
}

impl<'a> Applicant<'a> {
    /// Wants what `request` says, but for the policy, the ttl and the request id.
    pub(super) fn new(
        request: pb::AcquireRequest,
        limits: Limits,
        server: &'a Server,
        locks: LockServiceClient<Channel>,
        notices: &'a Notices,
    ) -> Self {
        let ttl = Some(duration::to_proto(limits.ttl));
        Applicant {
            server,
            notices,
            locks,
            request: pb::AcquireRequest { ttl, request_id: new_id(), ..request },
            limits,
            asked_at: None,
            unconfirmed: None,
            has_waited: false,
            backoff: Backoff::new(),
        }
    }

    /// Asks until there is a decision, a signal, or no time left. Without the lock it leaves the queue.
    pub(super) async fn obtain(mut self, signals: &mut Signals) -> Result<Obtained, Error> {
        let overdue = self.limits.until.and_then(|until| until.checked_add(OVERDUE));
        // A grant that is there comes first: dropped, it would hold up others until its ttl ends.
        let obtained = tokio::select! {
            biased;
            obtained = self.ask_until_decided() => obtained,
            () = sleep_until_some(overdue) => Ok(Obtained::TimedOut),
            signal = signals.next() => Ok(Obtained::Interrupted(signal)),
        };
        if !matches!(obtained, Ok(Obtained::Held(_) | Obtained::Skipped(_))) {
            // If this fails, the grant that might still come ends with its ttl.
            let _ = timeout(COURTESY, self.withdraw()).await;
        }
        obtained
    }

    async fn ask_until_decided(&mut self) -> Result<Obtained, Error> {
        loop {
            let decision = match self.ask().await {
                Ok(answer) => self.consider(answer.into_inner()).await?,
                Err(status) => {
                    self.recover(status).await?;
                    None
                }
            };
            if let Some(obtained) = decision {
                return Ok(obtained);
            }
            if self.is_time_up() {
                return Ok(Obtained::TimedOut);
            }
        }
    }

    /// The first time without waiting, so that a wait can be announced.
    async fn ask(&mut self) -> Result<tonic::Response<pb::AcquireResponse>, Status> {
        let mut request = self.request.clone();
        if self.has_waited {
            let left = self.limits.until.map(|until| until.saturating_duration_since(Instant::now()).min(LONGEST_WAIT));
            request.set_policy(pb::WaitPolicy::Block);
            request.wait_timeout = left.map(duration::to_proto);
        } else {
            request.set_policy(pb::WaitPolicy::Try);
        }
        self.asked_at.get_or_insert_with(Instant::now);
        self.locks.acquire(request).await
    }

    async fn consider(&mut self, answer: pb::AcquireResponse) -> Result<Option<Obtained>, Error> {
        match answer.status() {
            pb::AcquireStatus::Granted => {
                self.backoff = Backoff::new();
                let grant = answer.grant.ok_or(Error::Nonsense("it has no grant"))?;
                Ok(self.confirm(grant).await.map(|held| Obtained::Held(Box::new(held))))
            }
            pb::AcquireStatus::Skipped => Ok(Some(Obtained::Skipped(answer.completion))),
            pb::AcquireStatus::Contended | pb::AcquireStatus::TimedOut => {
                self.backoff = Backoff::new();
                self.asked_at = None;
                if !self.has_waited && !self.is_time_up() {
                    self.announce().await;
                }
                self.has_waited = true;
                Ok(None)
            }
            pb::AcquireStatus::Queued | pb::AcquireStatus::Unspecified => {
                Err(Error::Nonsense("a wait ended without a decision"))
            }
        }
    }

    /// Makes sure that the grant has most of its ttl ahead: it may be as old as the first request for it.
    async fn confirm(&mut self, grant: pb::Grant) -> Option<Held> {
        let now = Instant::now();
        let asked_at = self.asked_at.unwrap_or(now);
        let mut held = Held::new(grant.clone(), asked_at, self.limits.ttl, self.limits.grace);
        if !held.schedule().is_stale(now) {
            return Some(held);
        }
        self.unconfirmed = Some(grant);
        let renewal = held.renewal(self.locks.clone(), now).await;
        match held.note(renewal) {
            Ok(()) => return Some(held),
            Err(RenewError::NotHolder(_)) => self.start_over(),
            Err(RenewError::Failed(cause)) => self.reconnect(&cause).await,
        }
        None
    }

    async fn recover(&mut self, status: Status) -> Result<(), Error> {
        // The grant came while we were cut off, and ended before we heard of it.
        if error::reason(&status).as_deref() == Some("REQUEST_ENDED") {
            self.start_over();
            return Ok(());
        }
        if !error::is_transient(&status) {
            return Err(self.server.failure()(status));
        }
        self.reconnect(&error::root_cause(&status)).await;
        Ok(())
    }

    /// Asks for a new grant; the place in the queue belongs to the owner and stays.
    fn start_over(&mut self) {
        self.request.request_id = new_id();
        self.asked_at = None;
        self.unconfirmed = None;
    }

    async fn reconnect(&mut self, cause: &str) {
        if self.backoff.is_fresh() {
            self.notices.say(format!("the server cannot be reached ({cause}); trying on"));
        }
        let delay = self.backoff.next_delay();
        let left = self.limits.until.map_or(delay, |until| until.saturating_duration_since(Instant::now()));
        tokio::time::sleep(delay.min(left)).await;
        self.locks = self.server.locks();
    }

    async fn announce(&mut self) {
        let request = pb::GetRequest { key: self.request.key.clone(), claim_as: String::new() };
        let answer = timeout(COURTESY, self.locks.get(request)).await;
        let lock = answer.ok().and_then(Result::ok).and_then(|answer| answer.into_inner().lock).unwrap_or_default();
        let mut line = format!("waiting for {}", key::text_or_unknown(self.request.key.as_ref()));
        if lock.holder_count > 0 {
            line = format!("{line}, held by {}", text::owners(&lock));
        }
        if lock.waiter_count > 0 {
            line = format!("{line}, behind {} in the queue", lock.waiter_count);
        }
        self.notices.say(line);
    }

    /// Makes sure that we do not become the holder after we have left.
    async fn withdraw(&mut self) -> Result<(), Status> {
        let mut locks = self.server.locks();
        let key = self.request.key.clone();
        let owner = self.request.owner.clone();
        let holder = if let Some(grant) = self.unconfirmed.take() {
            Holder::GrantId(grant.grant_id)
        } else {
            let request = pb::CancelWaitRequest { key: key.clone(), owner: owner.clone() };
            let is_holder = locks.cancel_wait(request).await?.into_inner().is_holder;
            // Under a name that others may use, who never waited may hold the lock since before us.
            let is_ours = self.has_waited || owner == identity::owner();
            if !is_holder || !is_ours {
                return Ok(());
            }
            Holder::Owner(owner)
        };
        let request = pb::ReleaseRequest {
            key,
            holder: Some(holder),
            outcome: pb::Outcome::Released.into(),
            ..pb::ReleaseRequest::default()
        };
        locks.release(request).await.map(drop)
    }

    fn is_time_up(&self) -> bool {
        self.limits.until.is_some_and(|until| Instant::now() >= until)
    }
}

async fn sleep_until_some(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

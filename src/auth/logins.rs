//! Logins by name and password.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::Error;
use super::attempts::{Attempt, Attempts, TooMany};
use super::credentials::Credentials;
use super::fresh_file::FreshFile;
use super::htpasswd::Users;
use super::refusal::{too_many, unauthenticated};
use super::verify::{Overloaded, Verifier};
use crate::error::{Category, Failure};

/// How many failed logins may wait for their answer at a time.
const MAX_WAITING: usize = 128;
/// How much of a name is logged: it may be anything.
const LOGGED_CHARS: usize = 64;

/// The users, who was right, and who was wrong.
pub(super) struct Logins {
    file: Arc<FreshFile<Users>>,
    verifier: Verifier,
    attempts: Mutex<Attempts>,
    waiting: Semaphore,
}

impl Logins {
    /// Of the users in this file.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Ok(Logins {
            file: Arc::new(FreshFile::open(path, Instant::now())?),
            verifier: Verifier::new()?,
            attempts: Mutex::default(),
            waiting: Semaphore::new(MAX_WAITING),
        })
    }

    /// Reads the file again. Blocks.
    pub(super) fn reload(&self) {
        self.file.reload();
    }

    /// Whether there is such a user.
    pub(super) async fn know(&self, user: &str) -> bool {
        self.file.content(Instant::now()).await.find(user).is_some()
    }

    /// Whether these credentials were found right a short while ago, as far as that is known without waiting.
    pub(super) fn recall(&self, credentials: &Credentials) -> bool {
        let now = Instant::now();
        self.file.content_at_once(now).is_some_and(|users| self.verifier.recall(&users, credentials, now))
    }

    /// Returns the user whose credentials they are. Who was wrong too often waits for the answer.
    pub(super) async fn check(
        self: &Arc<Self>,
        credentials: Credentials,
        address: Option<IpAddr>,
    ) -> Result<String, Failure> {
        let now = Instant::now();
        let users = self.file.content(now).await;
        if self.verifier.recall(&users, &credentials, now) {
            return Ok(credentials.into_user());
        }
        let booked = self.attempts.lock().admit(address, &credentials, now).map_err(|TooMany| too_many())?;
        let user = credentials.user().to_owned();
        // A task of its own: a caller who gives up early is counted all the same, and finds the password known when
        // it comes back.
        let attempt = tokio::spawn(Arc::clone(self).attempt(booked, users, credentials, address));
        let outcome = attempt.await.map_err(|error| Failure::new(Category::Internal, "INTERNAL", error.to_string()))?;
        match outcome.map_err(|Overloaded| too_many())? {
            Outcome::Right => return Ok(user),
            Outcome::Wrong { delay } if delay.is_zero() => {}
            Outcome::Wrong { delay } => {
                let _place = self.waiting.try_acquire().map_err(|_| too_many())?;
                tokio::time::sleep(delay).await;
            }
        }
        Err(unauthenticated("the user name or the password is wrong"))
    }

    async fn attempt(
        self: Arc<Self>,
        booked: Attempt,
        users: Arc<Users>,
        credentials: Credentials,
        address: Option<IpAddr>,
    ) -> Result<Outcome, Overloaded> {
        let credentials = Arc::new(credentials);
        let is_known = self.attempts.lock().is_known(&booked, Instant::now());
        let verified = self.verifier.verify(&users, &credentials, is_known).await;
        let (mut attempts, now) = (self.attempts.lock(), Instant::now());
        let is_right = verified.inspect_err(|Overloaded| attempts.abandon(booked))?;
        if is_right {
            attempts.succeed(booked, now);
            return Ok(Outcome::Right);
        }
        count_failure();
        report(address, credentials.user(), None);
        Ok(Outcome::Wrong { delay: attempts.fail(booked, now) })
    }
}

/// How an attempt ended.
enum Outcome {
    Right,
    Wrong { delay: Duration },
}

impl fmt::Debug for Logins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Logins").finish_non_exhaustive()
    }
}

/// Counts a failure.
pub(super) fn count_failure() {
    metrics::counter!("steward_auth_failures_total").increment(1);
}

/// Says who failed, for those who watch the log. The address comes first, because the user may be called `client=…`.
pub(super) fn report(address: Option<IpAddr>, user: &str, problem: Option<&str>) {
    let user: String = user.chars().take(LOGGED_CHARS).collect();
    let client = address.map_or_else(|| "-".to_owned(), |address| address.to_string());
    tracing::warn!(%client, ?user, problem, "login failed");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_gives_up_is_counted_and_a_right_password_is_remembered() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "alice:$2y$04$CCCCCCCCCCCCCCCCCCCCC.4K7lyz.nKATbsiu/RcZjqWyDNnj87qG").unwrap();
        let logins = Arc::new(Logins::open(file.path()).unwrap());
        let users = logins.file.content(Instant::now()).await;
        let (right, wrong) = (Credentials::new("alice", "secret"), Credentials::new("bob", "wrong"));
        for credentials in [&right, &wrong, &wrong, &wrong, &wrong, &wrong] {
            let mut given_up = Box::pin(logins.check(credentials.clone(), None));
            assert!(futures::poll!(&mut given_up).is_pending());
        }
        while !logins.verifier.recall(&users, &right, Instant::now()) || logins.attempts.lock().count(None) < 5 {
            tokio::task::yield_now().await;
        }
    }
}

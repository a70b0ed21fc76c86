//! Where the keys of an issuer come from, and how they stay fresh: off the way of requests, which use what is there.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::keys::Keys;
use super::{fetch, no_keys};
use crate::auth::changes;
use crate::clock::{Clock, Timestamp};
use crate::config;
use crate::error::Failure;
use crate::followed::Stamp;

/// How often a file is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How long to wait after a failure, and between two refreshes that tokens ask for.
const PAUSE: Duration = Duration::from_secs(30);
/// Keys that could not be fetched again for so long are not believed any more: some of them may have been withdrawn.
const MAX_AGE: Duration = Duration::from_hours(24);
/// How many tokens may wait for a refresh.
const MAX_WAITING: usize = 64;
/// How long a file of keys may be.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("configuration: {setting}: {problem}")]
pub struct Error {
    setting: &'static str,
    problem: String,
}

impl Error {
    pub(super) fn random(error: getrandom::Error) -> Self {
        Error { setting: "auth.oidc", problem: format!("cannot get random bytes: {error}") }
    }
}

/// The keys as they were last read.
#[derive(Debug)]
pub(super) struct Source {
    place: Place,
    interval: Duration,
    state: Mutex<State>,
    /// A token needs a key that is not there.
    wanted: Notify,
    /// How many refreshes have ended.
    ended: watch::Sender<u64>,
    waiting: Semaphore,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Issuer { url: String, ca: Option<PathBuf> },
}

#[derive(Debug)]
struct State {
    keys: Arc<Keys>,
    /// Of the file.
    stamp: Option<Stamp>,
    /// When they were last read or fetched.
    time: Timestamp,
    /// When that was last tried.
    tried: Option<Instant>,
    is_at_work: bool,
    is_broken: bool,
}

impl Source {
    pub(super) fn open(config: &config::Oidc) -> Result<Self, Error> {
        let (place, keys, stamp) = if let Some(path) = &config.keys {
            let problem = |problem| Error { setting: "auth.oidc.keys", problem };
            let (keys, stamp) = read(path).map_err(problem)?;
            (Place::File(path.clone()), keys, Some(stamp))
        } else {
            let ca = config.ca.as_deref().map(fetch::read_roots).transpose();
            ca.map_err(|problem| Error { setting: "auth.oidc.ca", problem })?;
            let place = Place::Issuer { url: config.issuer.clone(), ca: config.ca.clone() };
            (place, Keys::default(), None)
        };
        let state = State {
            keys: Arc::new(keys),
            stamp,
            time: Timestamp::from_nanos(0),
            tried: None,
            is_at_work: false,
            is_broken: false,
        };
        Ok(Source {
            place,
            interval: config.refresh_interval,
            state: Mutex::new(state),
            wanted: Notify::new(),
            ended: watch::Sender::new(0),
            waiting: Semaphore::new(MAX_WAITING),
        })
    }

    /// Keeps them fresh until shutdown.
    pub(super) fn start(
        self: Arc<Self>,
        clock: Arc<dyn Clock>,
        shutdown: &CancellationToken,
        tasks: &TaskTracker,
    ) -> std::io::Result<()> {
        let hangup = signal(SignalKind::hangup())?;
        let shutdown = shutdown.clone();
        tasks.spawn(async move { shutdown.run_until_cancelled(self.follow(clock, hangup)).await });
        Ok(())
    }

    /// The keys, unless there are none that can be believed.
    pub(super) fn keys(&self, now: Timestamp) -> Result<Arc<Keys>, Failure> {
        let state = self.state.lock();
        let is_stale = matches!(self.place, Place::Issuer { .. }) && now.since(state.time) > MAX_AGE;
        if state.keys.len() == 0 || is_stale { Err(no_keys()) } else { Ok(Arc::clone(&state.keys)) }
    }

    /// The keys after those that `known` are, if there are any soon.
    pub(super) async fn refreshed(&self, known: &Keys, patience: Duration) -> Option<Arc<Keys>> {
        let mut ended = self.ended.subscribe();
        ended.mark_unchanged();
        {
            let state = self.state.lock();
            if state.keys.version() != known.version() {
                return Some(Arc::clone(&state.keys));
            }
            // A file is looked at all the time.
            let is_due = matches!(self.place, Place::Issuer { .. }) && may_try(state.tried);
            if !state.is_at_work && !is_due {
                return None;
            }
        }
        let _place = self.waiting.try_acquire().ok()?;
        self.wanted.notify_one();
        // Too late is as good as not at all; the keys say which.
        let _ = timeout(patience, ended.changed()).await;
        let keys = Arc::clone(&self.state.lock().keys);
        (keys.version() != known.version()).then_some(keys)
    }

    async fn follow(&self, clock: Arc<dyn Clock>, mut hangup: Signal) {
        let mut next = Instant::now();
        loop {
            let is_forced = tokio::select! {
                () = sleep_until(next) => false,
                Some(()) = hangup.recv() => true,
                () = self.wanted.notified() => {
                    if !may_try(self.state.lock().tried) {
                        continue;
                    }
                    false
                }
            };
            let is_good = self.refresh(is_forced, &*clock).await;
            let rest = match self.place {
                Place::File(_) => LOOK_INTERVAL,
                Place::Issuer { .. } if is_good => self.interval,
                Place::Issuer { .. } => PAUSE,
            };
            next = Instant::now() + rest;
        }
    }

    /// Reads or fetches the keys; whether that went well.
    async fn refresh(&self, is_forced: bool, clock: &dyn Clock) -> bool {
        let before = {
            let mut state = self.state.lock();
            (state.is_at_work, state.tried) = (true, Some(Instant::now()));
            (Arc::clone(&state.keys), state.stamp)
        };
        let found = match &self.place {
            Place::Issuer { url, ca } => fetch::keys(url, ca.as_deref()).await.map(|keys| Some((keys, None))),
            Place::File(path) => {
                let (path, seen) = (path.clone(), before.1.filter(|_| !is_forced));
                let reading = tokio::task::spawn_blocking(move || read_if_changed(&path, seen));
                reading.await.unwrap_or_else(|error| Err(error.to_string()))
            }
        };
        let is_good = found.is_ok();
        self.take(found, &before.0, clock.now());
        self.ended.send_modify(|ended| *ended += 1);
        is_good
    }

    fn take(&self, found: Result<Option<(Keys, Option<Stamp>)>, String>, before: &Keys, now: Timestamp) {
        let mut state = self.state.lock();
        state.is_at_work = false;
        match found {
            Ok(found) => {
                if let Some((keys, stamp)) = found {
                    tracing::info!(keys = keys.len(), "the keys of the issuer of tokens were read");
                    metrics::gauge!("steward_oidc_keys").set(f64::from(u32::try_from(keys.len()).unwrap_or(u32::MAX)));
                    (state.keys, state.stamp) = (Arc::new(keys.after(before)), stamp);
                    changes::note();
                }
                (state.time, state.is_broken) = (now, false);
            }
            Err(problem) => {
                metrics::counter!("steward_oidc_refresh_failures_total").increment(1);
                if !std::mem::replace(&mut state.is_broken, true) {
                    tracing::error!(problem, "the keys of the issuer of tokens cannot be had; the former ones stay");
                }
            }
        }
    }
}

fn may_try(tried: Option<Instant>) -> bool {
    tried.is_none_or(|tried| tried.elapsed() >= PAUSE)
}

fn read_if_changed(path: &Path, seen: Option<Stamp>) -> Result<Option<(Keys, Option<Stamp>)>, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let now = Stamp::of(&std::fs::metadata(path).map_err(failed)?);
    if Some(now) == seen {
        return Ok(None);
    }
    read(path).map(|(keys, stamp)| Some((keys, Some(stamp))))
}

fn read(path: &Path) -> Result<(Keys, Stamp), String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("{} is longer than 1 MiB", path.display()));
    }
    let keys = Keys::parse(&content).map_err(|problem| format!("{}: {problem}", path.display()))?;
    Ok((keys, Stamp::of(&metadata)))
}

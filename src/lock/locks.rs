//! The commands on locks: load, decide, commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::acquire::{self, Acquire, Acquired, Known};
use super::calls::Calls;
use super::error::Error;
use super::event::Kind;
use super::keys::{self, RequestKind};
use super::load::{Loaded, Loader, Who};
use super::model::{Grant, LeaseId, LockKey, Outcome};
use super::release::{self, Cancelled, HolderRef, Release, Released};
use super::renew::{self, Renew};
use super::state::{Change, Context, LockState, Population, Rules};
use crate::clock::Clock;
use crate::store::{Revision, Step, Store, Txn, update};

/// The settings of locking.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a success is remembered; zero: not at all.
    pub completed_retention: Duration,
    /// How long an owner that was handed a lock has to claim it.
    pub claim_timeout: Duration,
    /// The ttl of a grant whose request names none; `None`: it does not expire.
    pub default_ttl: Option<Duration>,
    /// How many owners may wait for one lock.
    pub max_waiters: u32,
    /// How many watches may be open.
    pub max_watchers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            completed_retention: Duration::from_mins(5),
            claim_timeout: Duration::from_secs(30),
            default_ttl: None,
            max_waiters: 10_000,
            max_watchers: 1_000,
        }
    }
}

/// The types of operation on one layer that make each other's success untrue.
const PULL: &str = "pull";
const CHANGES_OF_A_LAYER: [&str; 2] = ["update", "delete"];

/// The commands on locks. Each returns once what it changed, and what it read, survives a power loss.
#[derive(Clone)]
pub struct Locks {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
    rules: Rules,
    gauges: Arc<Gauges>,
    pub(super) calls: Arc<Calls>,
}

/// How many locks are held and how many owners wait.
#[derive(Debug, Default)]
struct Gauges {
    held: AtomicI64,
    waiting: AtomicI64,
}

/// What a commit does to the numbers that are measured.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Effect {
    held: i64,
    waiting: i64,
    expired: u64,
}

impl Locks {
    /// The commands on the locks in `store`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        let rules = Rules {
            completed_retention: settings.completed_retention,
            claim_timeout: settings.claim_timeout,
            max_waiters: settings.max_waiters,
        };
        Locks { store, clock, settings, rules, gauges: Arc::default(), calls: Arc::default() }
    }

    /// Takes a lock, joins its queue, or learns that the work is done.
    pub(crate) async fn acquire(&self, command: &Acquire) -> Result<(Acquired, Revision), Error> {
        let (mut acquired, revision) = self.run(&command.key, || self.try_acquire(command)).await?;
        if let Acquired::Granted { grant, .. } = &mut acquired {
            grant.resolve_token(revision);
        }
        Ok((acquired, revision))
    }

    async fn try_acquire(&self, command: &Acquire) -> Result<Step<(Acquired, Effect)>, Error> {
        let mut loaded = self.load_settled(&command.key, Who::Owner(&command.owner)).await?;
        let known = self.known(command, &mut loaded).await?;
        self.decide(loaded, |state, cx| acquire::acquire(state, command, known, cx))
    }

    /// Reads the leases and the remembered request that the decision depends on.
    async fn known(&self, command: &Acquire, loaded: &mut Loaded) -> Result<Known, Error> {
        let loader = Loader { store: &*self.store, now: loaded.now };
        let mut known = Known::default();
        if let Some(id) = command.lifetime.lease {
            let lease = loader.lease(id).await?.filter(|(lease, _)| lease.is_alive(loader.now));
            let (lease, revision) = lease.ok_or_else(|| lease_expired(id))?;
            loaded.expect(keys::lease(id), Some(revision));
            known.lease_expires = Some(lease.expires);
        }
        if let Some(id) = loaded.state.grant_of(&command.owner).and_then(|grant| grant.lifetime.lease) {
            let lease = loader.lease(id).await?;
            loaded.expect(keys::lease(id), lease.as_ref().map(|(_, revision)| *revision));
            known.own_lease_expires = lease.map(|(lease, _)| lease.expires);
        }
        let remembered = loader.remembered(loaded, RequestKind::Acquire, &command.request_id).await?;
        known.remembered = remembered.map(|(grant, _)| grant);
        Ok(known)
    }

    /// Gives a lock back.
    pub(crate) async fn release(&self, command: &Release) -> Result<(Released, Revision), Error> {
        self.run(&command.key, || self.try_release(command)).await
    }

    async fn try_release(&self, command: &Release) -> Result<Step<(Released, Effect)>, Error> {
        let who = match &command.holder {
            HolderRef::Grant(id) => Who::Grant(*id),
            HolderRef::Owner(owner) => Who::Owner(owner),
        };
        let mut loaded = self.load_settled(&command.key, who).await?;
        let grant = loaded.state.find(&command.holder).cloned();
        let loader = Loader { store: &*self.store, now: loaded.now };
        let remembered = loader.remembered(&mut loaded, RequestKind::Release, &command.request_id).await?;
        let outcome = remembered.and_then(|(_, outcome)| outcome);
        let siblings = match command.outcome {
            Outcome::Succeeded => self.completed_siblings(&command.key).await?,
            Outcome::Failed | Outcome::Released => Vec::new(),
        };
        self.decide_with(loaded, siblings, |state, siblings, cx| {
            let released = release::release(state, command, grant, outcome, cx)?;
            // A success that was reported before drops nothing again.
            if !state.changes.is_empty() {
                for sibling in siblings {
                    sibling.state.drop_completion(cx.now);
                }
            }
            Ok(released)
        })
    }

    /// The locks whose completion becomes untrue when this one completes: a layer that was updated or deleted has to be
    /// pulled again, and the reverse.
    async fn completed_siblings(&self, key: &LockKey) -> Result<Vec<Loaded>, Error> {
        let types: &[&str] = match key.lock_type.as_str() {
            PULL => &CHANGES_OF_A_LAYER,
            lock_type if CHANGES_OF_A_LAYER.contains(&lock_type) => &[PULL],
            _ => &[],
        };
        let mut siblings = Vec::new();
        for lock_type in types {
            let sibling = LockKey { lock_type: (*lock_type).to_owned(), resource_id: key.resource_id.clone() };
            siblings.push(self.load(&sibling, Who::Nobody).await?);
        }
        Ok(siblings)
    }

    /// Extends a grant.
    pub(crate) async fn renew(&self, command: &Renew) -> Result<(Grant, Revision), Error> {
        self.run(&command.key, || self.try_renew(command)).await
    }

    async fn try_renew(&self, command: &Renew) -> Result<Step<(Grant, Effect)>, Error> {
        let loaded = self.load_settled(&command.key, Who::Grant(command.grant)).await?;
        let grant = loaded.state.find(&HolderRef::Grant(command.grant)).cloned();
        self.decide(loaded, |state, cx| renew::renew(state, command, grant, cx))
    }

    /// Leaves the queue. After it the owner surely does not become a holder by that wait.
    pub(crate) async fn cancel_wait(&self, key: &LockKey, owner: &str) -> Result<(Cancelled, Revision), Error> {
        self.run(key, || self.try_cancel(key, owner)).await
    }

    async fn try_cancel(&self, key: &LockKey, owner: &str) -> Result<Step<(Cancelled, Effect)>, Error> {
        let loaded = self.load_settled(key, Who::Owner(owner)).await?;
        self.decide(loaded, |state, cx| Ok(release::cancel_wait(state, owner, cx)))
    }

    /// Ends what is over in a lock and serves its queue, as far as one commit can. Says whether it changed anything.
    pub(crate) async fn settle(&self, key: &LockKey) -> Result<bool, Error> {
        let (is_changed, _) = self.run(key, || self.try_settle(key)).await?;
        Ok(is_changed)
    }

    async fn try_settle(&self, key: &LockKey) -> Result<Step<(bool, Effect)>, Error> {
        let loaded = self.load(key, Who::Nobody).await?;
        let step = self.decide(loaded, |state, cx| {
            state.settle(cx);
            Ok(())
        })?;
        Ok(match step {
            Step::Commit(txn, ((), effect)) => Step::Commit(txn, (true, effect)),
            Step::Answer(((), effect)) => Step::Answer((false, effect)),
        })
    }

    /// Runs an attempt until it is committed, and counts what it did.
    pub(super) async fn run<T, F, A>(&self, key: &LockKey, attempt: F) -> Result<(T, Revision), Error>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<Step<(T, Effect)>, Error>>,
    {
        let ((answer, effect), revision) = update(&*self.store, key, attempt).await?;
        self.gauges.count(effect);
        Ok((answer, revision))
    }

    /// Decides on one lock.
    pub(super) fn decide<T>(
        &self,
        loaded: Loaded,
        decision: impl FnOnce(&mut LockState, &mut Context<'_>) -> Result<T, Error>,
    ) -> Result<Step<(T, Effect)>, Error> {
        self.decide_with(loaded, Vec::new(), |state, _, cx| decision(state, cx))
    }

    /// Decides on a lock, and on others that its decision touches, in one transaction.
    fn decide_with<T>(
        &self,
        mut loaded: Loaded,
        mut others: Vec<Loaded>,
        decision: impl FnOnce(&mut LockState, &mut [Loaded], &mut Context<'_>) -> Result<T, Error>,
    ) -> Result<Step<(T, Effect)>, Error> {
        let mut random = random;
        let mut cx = Context { now: loaded.now, rules: &self.rules, random: &mut random };
        let answer = decision(&mut loaded.state, &mut others, &mut cx)?;
        let (mut txn, mut effect) = (Txn::default(), Effect::default());
        let (changed, unchanged): (Vec<Loaded>, Vec<Loaded>) =
            std::iter::once(loaded).chain(others).partition(Loaded::is_changed);
        for part in changed {
            let before = part.population();
            effect.expired += part.state.changes.iter().filter(|change| is_expiry(change)).count() as u64;
            effect.add(before, part.write(&mut txn));
        }
        if !txn.ops.is_empty() {
            // The decision depends on these as well: a completion that appears in one of them would be missed.
            for part in unchanged {
                part.guard(&mut txn);
            }
        }
        let answer = (answer, effect);
        Ok(if txn.ops.is_empty() { Step::Answer(answer) } else { Step::Commit(txn, answer) })
    }

    pub(super) fn loader(&self) -> Loader<'_> {
        Loader { store: &*self.store, now: self.clock.now() }
    }

    pub(super) async fn load(&self, key: &LockKey, who: Who<'_>) -> Result<Loaded, Error> {
        Ok(self.loader().load(key, who).await?)
    }

    /// Loads a lock in which nothing is overdue, settling it before where it has to be.
    pub(super) async fn load_settled(&self, key: &LockKey, who: Who<'_>) -> Result<Loaded, Error> {
        loop {
            let loaded = self.load(key, who).await?;
            if !loaded.state.is_unsettled(loaded.now) {
                return Ok(loaded);
            }
            // Boxed, as settling runs the same machinery.
            Box::pin(self.settle(key)).await?;
        }
    }

    /// Starts the gauges from what the store holds. Called once, before anything else changes it.
    pub(super) fn set_gauges(&self, held: u64, waiting: u64) {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.gauges.count(Effect { held: signed(held), waiting: signed(waiting), expired: 0 });
    }
}

/// 16 random bytes from the operating system, in the form of a UUID v4.
pub(super) fn random() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}

pub(in crate::lock) fn lease_expired(id: LeaseId) -> Error {
    Error::LeaseExpired { lease_id: uuid::Uuid::from_bytes(id.0).to_string() }
}

fn is_expiry(change: &Change) -> bool {
    matches!(change, Change::Emit(event) if matches!(event.kind, Kind::Expired | Kind::LeaseLost))
}

impl Effect {
    fn add(&mut self, before: Population, after: Population) {
        self.held += i64::from(after.held) - i64::from(before.held);
        self.waiting += i64::from(after.waiting) - i64::from(before.waiting);
    }
}

impl Gauges {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact up to 2^53 locks")]
    fn count(&self, effect: Effect) {
        let held = self.held.fetch_add(effect.held, Ordering::Relaxed) + effect.held;
        let waiting = self.waiting.fetch_add(effect.waiting, Ordering::Relaxed) + effect.waiting;
        metrics::gauge!("steward_lock_held").set(held as f64);
        metrics::gauge!("steward_lock_waiting").set(waiting as f64);
        metrics::counter!("steward_lock_expired_total").increment(effect.expired);
    }
}

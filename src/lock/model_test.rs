//! Random commands, crashes and clock jumps, against a model that fits on a page.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::acquire::{Acquire, Acquired, OnCompleted, Policy};
use super::engine::{ExpiryEngine, PurgeEngine};
use super::error::Error;
use super::keys;
use super::locks::{Locks, Settings};
use super::model::{Grant, GrantId, Lifetime, LockKey, Mode, Outcome, Token};
use super::release::{Cancelled, HolderRef, Release};
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::engine::Engine as _;
use crate::store::suite::{self, Harness as _};
use crate::store::{Key, KeyRange, Table};

const CAPACITY: u32 = 3;
const CLAIM_TIMEOUT: Duration = Duration::from_secs(30);
const RETENTION: Duration = Duration::from_mins(5);

#[derive(Clone, Debug)]
enum Command {
    Acquire { key: usize, owner: usize, mode: Mode, policy: Policy, ttl: Option<u64>, on_completed: OnCompleted },
    Release { key: usize, owner: usize, outcome: Outcome },
    Cancel { key: usize, owner: usize },
    Advance { millis: u64, with_engine: bool },
    Purge,
    Crash,
}

fn command() -> impl Strategy<Value = Command> {
    let mode = prop_oneof![
        6 => Just(Mode::Exclusive),
        2 => Just(Mode::Shared),
        2 => (1..=CAPACITY).prop_map(|permits| Mode::Semaphore { permits }),
    ];
    let policy = prop_oneof![1 => Just(Policy::Try), 4 => Just(Policy::Enqueue)];
    let on_completed = prop_oneof![4 => Just(OnCompleted::Skip), 1 => Just(OnCompleted::Ignore)];
    let ttl = prop_oneof![Just(None), (1..60_u64).prop_map(Some)];
    let outcome = prop_oneof![Just(Outcome::Succeeded), Just(Outcome::Failed), Just(Outcome::Released)];
    let (key, owner) = (0..3_usize, 0..5_usize);
    prop_oneof![
        8 => (key.clone(), owner.clone(), mode, policy, ttl, on_completed).prop_map(
            |(key, owner, mode, policy, ttl, on_completed)| Command::Acquire { key, owner, mode, policy, ttl, on_completed }
        ),
        6 => (key.clone(), owner.clone(), outcome).prop_map(|(key, owner, outcome)| Command::Release { key, owner, outcome }),
        1 => (key, owner).prop_map(|(key, owner)| Command::Cancel { key, owner }),
        3 => (prop_oneof![1..40_000_u64, 1..400_000_u64], any::<bool>())
            .prop_map(|(millis, with_engine)| Command::Advance { millis, with_engine }),
        1 => Just(Command::Purge),
        1 => Just(Command::Crash),
    ]
}

/// What a lock is said to be.
#[derive(Clone, Debug, Default)]
struct Model {
    holders: Vec<Holder>,
    queue: Vec<(String, Mode, Option<Duration>)>,
    completion: Option<(String, Timestamp)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    owner: String,
    mode: Mode,
    ttl: Option<Duration>,
    expires: Option<Timestamp>,
    is_unclaimed: bool,
}

impl From<Grant> for Holder {
    fn from(grant: Grant) -> Self {
        Holder {
            owner: grant.owner,
            mode: grant.mode,
            ttl: grant.lifetime.ttl,
            expires: grant.expires,
            is_unclaimed: grant.is_unclaimed,
        }
    }
}

/// What an answer is compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Granted,
    Queued(u32),
    Contended,
    Skipped,
    Done,
    Nothing,
    Refused(&'static str),
}

impl Model {
    fn settle(&mut self, now: Timestamp) {
        self.holders.retain(|holder| holder.expires.is_none_or(|expires| expires > now));
        self.completion = self.completion.take().filter(|(_, expires)| *expires > now);
        while let Some((owner, mode, ttl)) = self.queue.first().filter(|(_, mode, _)| self.is_free_for(*mode)).cloned()
        {
            self.queue.remove(0);
            let expires = Some(now.plus(CLAIM_TIMEOUT));
            self.holders.push(Holder { owner, mode, ttl, expires, is_unclaimed: true });
        }
    }

    fn is_free_for(&self, mode: Mode) -> bool {
        match mode {
            Mode::Exclusive => self.holders.is_empty(),
            Mode::Shared => self.holders.iter().all(|holder| holder.mode != Mode::Exclusive),
            Mode::Semaphore { permits } => {
                let used: u32 = self.holders.iter().map(|holder| holder.mode.permits()).sum();
                used + permits <= CAPACITY
            }
        }
    }

    fn is_semaphore(mode: Mode) -> bool {
        matches!(mode, Mode::Semaphore { .. })
    }

    fn acquire(&mut self, command: &Acquire, now: Timestamp) -> Verdict {
        self.settle(now);
        let ttl = command.lifetime.ttl;
        if let Some(holder) = self.holders.iter_mut().find(|holder| holder.owner == command.owner) {
            if holder.mode != command.mode {
                return Verdict::Refused("MODE_MISMATCH");
            }
            holder.ttl = ttl.or(holder.ttl);
            holder.is_unclaimed = false;
            holder.expires = holder.ttl.map(|ttl| now.plus(ttl));
            return Verdict::Granted;
        }
        if self.completion.is_some() && command.on_completed == OnCompleted::Skip {
            return Verdict::Skipped;
        }
        let in_use = self.holders.iter().map(|holder| holder.mode).chain(self.queue.iter().map(|waiter| waiter.1));
        if in_use.clone().any(|mode| Model::is_semaphore(mode) != Model::is_semaphore(command.mode)) {
            return Verdict::Refused("CAPACITY_MISMATCH");
        }
        if let Some(at) = self.queue.iter().position(|waiter| waiter.0 == command.owner) {
            if self.queue[at].1 != command.mode {
                return Verdict::Refused("MODE_MISMATCH");
            }
            return match command.policy {
                Policy::Try => Verdict::Contended,
                Policy::Enqueue => Verdict::Queued(u32::try_from(at + 1).expect("a short queue")),
            };
        }
        if self.queue.is_empty() && self.is_free_for(command.mode) {
            self.completion = None;
            let expires = ttl.map(|ttl| now.plus(ttl));
            let owner = command.owner.clone();
            self.holders.push(Holder { owner, mode: command.mode, ttl, expires, is_unclaimed: false });
            return Verdict::Granted;
        }
        if command.policy == Policy::Try {
            return Verdict::Contended;
        }
        self.queue.push((command.owner.clone(), command.mode, ttl));
        Verdict::Queued(u32::try_from(self.queue.len()).expect("a short queue"))
    }

    fn release(&mut self, owner: &str, outcome: Outcome, now: Timestamp) -> Verdict {
        self.settle(now);
        let Some(at) = self.holders.iter().position(|holder| holder.owner == owner) else {
            let is_doer = self.completion.as_ref().is_some_and(|(doer, _)| doer == owner);
            return if is_doer && outcome == Outcome::Succeeded {
                Verdict::Done
            } else {
                Verdict::Refused("NOT_HOLDER")
            };
        };
        if outcome == Outcome::Succeeded && self.holders[at].mode != Mode::Exclusive {
            return Verdict::Refused("OUTCOME_NEEDS_EXCLUSIVE");
        }
        self.holders.remove(at);
        if outcome == Outcome::Succeeded {
            self.queue.clear();
            self.completion = Some((owner.to_owned(), now.plus(RETENTION)));
        }
        Verdict::Done
    }

    fn cancel(&mut self, owner: &str, now: Timestamp) -> Verdict {
        self.settle(now);
        let before = self.queue.len();
        self.queue.retain(|waiter| waiter.0 != owner);
        let unclaimed = self.holders.iter().position(|holder| holder.owner == owner && holder.is_unclaimed);
        match unclaimed {
            Some(at) => {
                self.holders.remove(at);
                Verdict::Done
            }
            None if self.queue.len() < before => Verdict::Done,
            None => Verdict::Nothing,
        }
    }
}

/// The real thing beside the model.
struct World {
    harness: suite::Memory,
    clock: Arc<ManualClock>,
    locks: Locks,
    models: Vec<Model>,
    /// Which grant had which token, for each lock.
    tokens: Vec<BTreeMap<i64, GrantId>>,
    /// The grants of the step that is under way.
    answered: Vec<(usize, Grant)>,
}

fn key(number: usize) -> LockKey {
    // Types without relations among them: those have tests of their own.
    LockKey { lock_type: "work".to_owned(), resource_id: format!("r{number}") }
}

fn owner(number: usize) -> String {
    format!("node{number}")
}

fn open(harness: &mut suite::Memory, clock: &Arc<ManualClock>) -> Locks {
    let settings = Settings { completed_retention: RETENTION, claim_timeout: CLAIM_TIMEOUT, ..Settings::default() };
    Locks::new(harness.open(1000), Arc::clone(clock) as Arc<dyn Clock>, settings)
}

impl World {
    fn new() -> Self {
        let (mut harness, clock) = (suite::Memory::default(), Arc::new(ManualClock::new()));
        let locks = open(&mut harness, &clock);
        World {
            harness,
            clock,
            locks,
            models: vec![Model::default(); 3],
            tokens: vec![BTreeMap::new(); 3],
            answered: Vec::new(),
        }
    }

    async fn run(&mut self, command: Command) -> (Verdict, Verdict) {
        let now = self.clock.now();
        match command {
            Command::Acquire { key: number, owner: who, mode, policy, ttl, on_completed } => {
                let lifetime = Lifetime { ttl: ttl.map(Duration::from_secs), max: None, lease: None };
                let capacity = if Model::is_semaphore(mode) { CAPACITY } else { 0 };
                let (key, owner, request_id) = (key(number), owner(who), String::new());
                let command = Acquire { key, owner, mode, capacity, policy, lifetime, on_completed, request_id };
                let expected = self.models[number].acquire(&command, now);
                (self.acquire(number, &command).await, expected)
            }
            Command::Release { key: number, owner: who, outcome } => {
                let expected = self.models[number].release(&owner(who), outcome, now);
                let command = Release {
                    key: key(number),
                    holder: HolderRef::Owner(owner(who)),
                    outcome,
                    error: String::new(),
                    request_id: String::new(),
                };
                let verdict =
                    self.locks.release(&command).await.map_or_else(|error| refused(&error), |_| Verdict::Done);
                (verdict, expected)
            }
            Command::Cancel { key: number, owner: who } => {
                let expected = self.models[number].cancel(&owner(who), now);
                let (cancelled, _) = self.locks.cancel_wait(&key(number), &owner(who)).await.expect("an answer");
                (if cancelled == Cancelled::Yes { Verdict::Done } else { Verdict::Nothing }, expected)
            }
            Command::Advance { millis, with_engine } => {
                self.clock.advance(Duration::from_millis(millis));
                if with_engine {
                    self.run_engine().await;
                }
                (Verdict::Done, Verdict::Done)
            }
            Command::Purge => {
                PurgeEngine::new(self.locks.clone()).activate().await.expect("a purge");
                (Verdict::Done, Verdict::Done)
            }
            Command::Crash => {
                self.locks = open(&mut self.harness, &self.clock);
                (Verdict::Done, Verdict::Done)
            }
        }
    }

    async fn acquire(&mut self, number: usize, command: &Acquire) -> Verdict {
        match self.locks.acquire(command).await {
            Ok((Acquired::Granted { grant, .. }, _)) => {
                assert_eq!(grant.owner, command.owner);
                self.answered.push((number, grant));
                Verdict::Granted
            }
            Ok((Acquired::Queued(position), _)) => Verdict::Queued(position),
            Ok((Acquired::Contended, _)) => Verdict::Contended,
            Ok((Acquired::Skipped(_), _)) => Verdict::Skipped,
            Err(error) => refused(&error),
        }
    }

    /// Runs the expiry engine until it has nothing to do now.
    async fn run_engine(&mut self) {
        let now = self.clock.now();
        let mut engine = ExpiryEngine::new(self.locks.clone());
        let mut activations = 0;
        while engine.activate().await.expect("an activation").is_some_and(|next| next <= now) || self.is_due(now).await
        {
            activations += 1;
            assert!(activations < 50, "the engine does not come to an end");
        }
        for model in &mut self.models {
            model.settle(now);
        }
    }

    async fn is_due(&self, now: Timestamp) -> bool {
        let table = KeyRange::prefix(&Key::table(Table::LockDeadline));
        let first = self.locks.store.scan(table, 1).await.expect("a scan").records;
        first.first().and_then(|(key, _)| keys::read_deadline(key)).is_some_and(|(time, _)| time <= now)
    }

    /// Every token is of one grant, and one that is seen for the first time is larger than all of the steps before.
    fn check_tokens(&mut self) {
        let before: Vec<Option<i64>> = self.tokens.iter().map(|tokens| tokens.keys().next_back().copied()).collect();
        for (number, grant) in self.answered.drain(..) {
            let Token::Is(token) = grant.token else { panic!("a token without a commit") };
            let known = self.tokens[number].insert(token, grant.id);
            assert!(known.is_none_or(|known| known == grant.id), "two grants with token {token}");
            assert!(known.is_some() || before[number].is_none_or(|newest| newest < token), "token {token} is late");
        }
    }

    /// Compares every lock with its model.
    async fn compare(&mut self) {
        let now = self.clock.now();
        for number in 0..self.models.len() {
            let view = self.locks.view(&key(number)).await.expect("a view");
            self.answered.extend(view.holders.iter().map(|grant| (number, grant.clone())));
            let model = &self.models[number];
            let mut real: Vec<Holder> = view.holders.into_iter().map(Holder::from).collect();
            let is_alive = |holder: &&Holder| holder.expires.is_none_or(|expires| expires > now);
            let mut expected: Vec<Holder> = model.holders.iter().filter(is_alive).cloned().collect();
            real.sort_by(|a, b| a.owner.cmp(&b.owner));
            expected.sort_by(|a, b| a.owner.cmp(&b.owner));
            assert_eq!(real, expected, "holders of {number}");
            let queue: Vec<&str> = view.waiters.iter().map(|waiter| waiter.owner.as_str()).collect();
            let expected: Vec<&str> = model.queue.iter().map(|waiter| waiter.0.as_str()).collect();
            assert_eq!(queue, expected, "queue of {number}");
            let completion = view.head.completion.map(|completion| (completion.owner, completion.expires));
            assert_eq!(completion, model.completion.clone().filter(|(_, expires)| *expires > now));
        }
        self.check_tokens();
    }
}

fn refused(error: &Error) -> Verdict {
    Verdict::Refused(match error {
        Error::NotHolder { .. } => "NOT_HOLDER",
        Error::ModeMismatch { .. } => "MODE_MISMATCH",
        Error::CapacityMismatch { .. } => "CAPACITY_MISMATCH",
        Error::OutcomeNeedsExclusive { .. } => "OUTCOME_NEEDS_EXCLUSIVE",
        other => panic!("unexpected refusal: {other}"),
    })
}

/// Cases of the property. Each is a history of up to 60 commands.
const CASES: u32 = 10_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn every_history_of_locks_is_the_one_of_the_model(commands in prop::collection::vec(command(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let mut world = World::new();
            for command in commands {
                let is_about_a_lock = matches!(
                    command,
                    Command::Acquire { .. } | Command::Release { .. } | Command::Cancel { .. }
                );
                let (real, expected) = world.run(command.clone()).await;
                assert_eq!(real, expected, "{command:?}");
                if is_about_a_lock {
                    world.run_engine().await;
                }
                world.compare().await;
            }
        });
    }
}

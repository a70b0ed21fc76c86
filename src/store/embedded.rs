//! A store on one machine: revisions, group commit and watches, over a [`Journal`] and a [`Backend`].
//!
//! A commit is checked and accepted at once, under a lock and against an overlay of what is accepted before it. Once
//! everybody who is ready to run has had a turn, or the flush before has ended, if that is later, the committer thread
//! writes everything that has gathered to the journal with one flush, answers, and publishes. The
//! applier thread brings what is durable into the backend, several groups at a time, and ends the overlay of it; the
//! backend remembers up to which revision it has come, and a start replays the journal from there.
//!
//! So an answer waits for one small write, commits of one key follow each other without waiting for it, and a record
//! that is changed often reaches the backend once.

mod applier;
mod committer;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::BoxStream;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{SetOnce, oneshot, watch as signal};

use self::applier::Unapplied;
use super::backend::Backend;
use super::hub::Hub;
use super::journal::Journal;
use super::pending::{Pending, Phase};
use super::{ChangeSet, CommitError, Error, Expect, Key, KeyRange, Page, Record, Revision, Store, Txn};

/// A [`Store`] over a journal and a backend. Dropping it makes what was accepted durable first.
pub struct EmbeddedStore<B: Backend, J: Journal> {
    shared: Arc<Shared<B, J>>,
    threads: Vec<JoinHandle<()>>,
}

/// What the handlers and the two threads share.
struct Shared<B, J> {
    backend: B,
    journal: J,
    pending: Mutex<Pending>,
    /// Rung when a group was called for, or the store is closed.
    work: Condvar,
    unapplied: Mutex<Unapplied>,
    /// Rung when something became durable or was applied, or the store is closed.
    moved: Condvar,
    hub: Arc<Hub>,
    /// The newest revision a read may have shown; a copy of what `pending` says.
    accepted: AtomicU64,
    /// Everything up to here is durable.
    durable: signal::Sender<Revision>,
    /// Why nothing is committed any more. Apart from `durable`, so that who waits for it is not woken by every group.
    failure: SetOnce<Arc<str>>,
}

impl<B: Backend, J: Journal> EmbeddedStore<B, J> {
    /// Starts on what `backend` and `journal` hold, bringing the backend up to the end of the journal first.
    pub fn open(backend: B, journal: J) -> Result<Self, Error> {
        let last = applier::replay(&backend, &journal)?;
        let shared = Arc::new(Shared {
            backend,
            journal,
            pending: Mutex::new(Pending::new(last)),
            work: Condvar::new(),
            unapplied: Mutex::new(Unapplied::default()),
            moved: Condvar::new(),
            hub: Arc::new(Hub::new(last)),
            accepted: AtomicU64::new(last.0),
            durable: signal::Sender::new(last),
            failure: SetOnce::new(),
        });
        let threads =
            vec![spawn("store-committer", committer::run, &shared)?, spawn("store-applier", applier::run, &shared)?];
        Ok(EmbeddedStore { shared, threads })
    }

    /// Returns when the disk has failed, with the reason. The store reads on but commits nothing any more; a server
    /// ends itself then.
    pub async fn failed(&self) -> Arc<str> {
        Arc::clone(self.shared.failure.wait().await)
    }
}

fn spawn<B: Backend, J: Journal>(
    name: &str,
    run: fn(&Shared<B, J>),
    shared: &Arc<Shared<B, J>>,
) -> Result<JoinHandle<()>, Error> {
    let shared = Arc::clone(shared);
    let thread = std::thread::Builder::new().name(name.to_owned());
    let guarded = move || {
        // A panic must not leave callers waiting for ever: the store fails, and says so.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&shared)));
        if result.is_err() {
            shared.fail(&std::io::Error::other("a thread of the store panicked"));
        }
    };
    thread.spawn(guarded).map_err(|error| closed(&error))
}

impl<B: Backend, J: Journal> Drop for EmbeddedStore<B, J> {
    fn drop(&mut self) {
        {
            let mut pending = self.shared.pending.lock();
            if pending.phase == Phase::Open {
                pending.phase = Phase::Closing;
            }
        }
        self.shared.work.notify_one();
        for thread in self.threads.drain(..) {
            // It has ended or panicked; in both cases nothing is left to be done here.
            let _ = thread.join();
        }
    }
}

impl<B: Backend, J: Journal> Shared<B, J> {
    fn read(&self, key: &Key) -> Result<Option<Record>, Error> {
        if let Some(version) = self.pending.lock().version(key.as_bytes()) {
            return Ok(version.clone().record());
        }
        // An applied group leaves the overlay only after the backend has it, so nothing is missed in between.
        self.read_backend(key)
    }

    fn read_backend(&self, key: &Key) -> Result<Option<Record>, Error> {
        let stored = self.backend.get(key.as_bytes()).map_err(|error| closed(&error))?;
        stored.map(|stored| decode_record(key, stored)).transpose()
    }

    /// Takes a transaction into the group that gathers, which has to be [called for](Self::call_in_turn).
    fn accept(&self, txn: Txn) -> Result<(Revision, oneshot::Receiver<Result<Revision, Error>>), CommitError> {
        txn.check_limits()?;
        let (answer, receiver) = oneshot::channel();
        let mut pending = self.pending.lock();
        match &pending.phase {
            Phase::Open => {}
            Phase::Closing => return Err(Error::Closed("it is shutting down".into()).into()),
            Phase::Failed(reason) => return Err(Error::Closed(Arc::clone(reason)).into()),
        }
        for (key, expect) in &txn.preconditions {
            let current = match pending.version(key.as_bytes()) {
                Some(version) => version.value.is_some().then_some(version.revision),
                None => self.read_backend(key)?.map(|record| record.revision),
            };
            let holds = match expect {
                Expect::Absent => current.is_none(),
                Expect::At(revision) => current == Some(*revision),
            };
            if !holds {
                return Err(CommitError::Conflict(key.clone()));
            }
        }
        let revision = pending.accept(txn.ops, answer);
        self.accepted.store(revision.0, Ordering::Release);
        Ok((revision, receiver))
    }

    /// Returns once everything up to this revision is durable.
    async fn reached(&self, target: Revision) -> Result<(), Error> {
        let mut durable = self.durable.subscribe();
        tokio::select! {
            biased;
            reached = durable.wait_for(|durable| *durable >= target) => {
                reached.map(drop).map_err(|_| Error::Closed("the committer ended".into()))
            }
            reason = self.failure.wait() => Err(Error::Closed(Arc::clone(reason))),
        }
    }

    /// Has the group with this revision committed once all who are ready to run have had their turn: they may join it,
    /// and a flush that many share is less work than one for each.
    async fn call_in_turn(&self, revision: Revision) {
        let _call = Call { shared: self, revision };
        tokio::task::yield_now().await;
    }

    /// Has the group with this revision committed, if it still gathers.
    fn call(&self, revision: Revision) {
        if self.pending.lock().call(revision) {
            self.work.notify_one();
        }
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Page, Error> {
        let overlay = self.pending.lock().versions(range, limit.saturating_add(1));
        // Each deletion hides one stored record, and one more tells whether the range goes on.
        let wanted = limit.saturating_add(overlay.deletions).saturating_add(1);
        let stored = self.backend.scan(range, wanted).map_err(|error| closed(&error))?;
        // Behind the end of either part nothing is known of that part.
        let stored_end = (stored.len() == wanted).then(|| stored.last().map(|(key, _)| key.clone())).flatten();
        let end = [overlay.end, stored_end].into_iter().flatten().min();
        let mut merged = BTreeMap::new();
        for (key, stored) in stored {
            let record = decode_record(&key, stored)?;
            merged.insert(key, record);
        }
        for (key, version) in overlay.versions {
            // It may have been applied, and changed again, since the overlay was read.
            if merged.get(&key).is_some_and(|record| record.revision > version.revision) {
                continue;
            }
            match version.record() {
                Some(record) => merged.insert(key, record),
                None => merged.remove(&key),
            };
        }
        let is_known = |key: &Key| end.as_ref().is_none_or(|end| key <= end);
        let mut records: Vec<(Key, Record)> = merged.into_iter().filter(|(key, _)| is_known(key)).collect();
        let has_more = end.is_some() || records.len() > limit;
        records.truncate(limit);
        Ok(Page { records, has_more })
    }
}

#[async_trait]
impl<B: Backend, J: Journal> Store for EmbeddedStore<B, J> {
    async fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        self.shared.read(key)
    }

    async fn scan(&self, range: KeyRange, limit: usize) -> Result<Page, Error> {
        self.shared.scan(&range, limit)
    }

    async fn commit(&self, txn: Txn) -> Result<Revision, CommitError> {
        let (revision, answer) = self.shared.accept(txn)?;
        // The answer may come first, if somebody else has called.
        let ((), answer) = tokio::join!(self.shared.call_in_turn(revision), answer);
        let answer = answer.map_err(|_| Error::Closed("the committer ended".into()))?;
        Ok(answer?)
    }

    fn revision(&self) -> Revision {
        Revision(self.shared.accepted.load(Ordering::Acquire))
    }

    async fn settled(&self) -> Result<(), Error> {
        let target = self.revision();
        if *self.shared.durable.borrow() >= target {
            // Whoever asks again and again lets others run, too.
            tokio::task::coop::consume_budget().await;
            return Ok(());
        }
        let ((), reached) = tokio::join!(self.shared.call_in_turn(target), self.shared.reached(target));
        reached
    }

    fn watch_with_progress(
        &self,
        prefix: Key,
        from: Revision,
        interval: Option<Duration>,
    ) -> BoxStream<'static, Result<ChangeSet, Error>> {
        watch::stream(Arc::clone(&self.shared), prefix, from, interval)
    }
}

/// Has a group committed when it goes, also where its caller gives up.
struct Call<'a, B: Backend, J: Journal> {
    shared: &'a Shared<B, J>,
    revision: Revision,
}

impl<B: Backend, J: Journal> Drop for Call<'_, B, J> {
    fn drop(&mut self) {
        self.shared.call(self.revision);
    }
}

fn encode_record(revision: Revision, value: &[u8]) -> Bytes {
    let mut stored = BytesMut::with_capacity(8 + value.len());
    stored.put_u64(revision.0);
    stored.put_slice(value);
    stored.freeze()
}

fn decode_record(key: &Key, mut stored: Bytes) -> Result<Record, Error> {
    let Some(revision) = stored.first_chunk::<8>() else {
        return Err(Error::Damaged { key: key.to_string(), reason: "shorter than a revision".to_owned() });
    };
    let revision = Revision(u64::from_be_bytes(*revision));
    let value = stored.split_off(8);
    Ok(Record { value, revision })
}

fn closed(error: &dyn std::error::Error) -> Error {
    Error::Closed(error.to_string().into())
}

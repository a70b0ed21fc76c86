//! A store on one machine: revisions, group commit, the change log and watches over a [`Backend`].
//!
//! A commit is checked and accepted at once, under a lock and against an overlay of what is accepted before it; one
//! committer thread then makes everything that has gathered durable in one batch and one flush, answers, and publishes.
//! So commits of one key follow each other without waiting for the disk in between, and no answer is given before it.

mod committer;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::BoxStream;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::backend::Backend;
use super::hub::Hub;
use super::pending::{Pending, Phase};
use super::{ChangeSet, CommitError, Error, Expect, Key, KeyRange, Page, Record, Revision, Store, Txn, log};

/// Settings of an embedded store.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many revisions the change log keeps at the least: how far back a watch can be resumed.
    pub history: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { history: 100_000 }
    }
}

/// A [`Store`] over a [`Backend`]. Dropping it makes what was accepted durable first.
pub struct EmbeddedStore<B: Backend> {
    shared: Arc<Shared<B>>,
    committer: Option<JoinHandle<()>>,
}

/// What the handlers and the committer share.
struct Shared<B> {
    backend: B,
    options: Options,
    pending: Mutex<Pending>,
    work: Condvar,
    hub: Arc<Hub>,
    /// The newest revision a read may have shown; a copy of what `pending` says.
    accepted: AtomicU64,
    durable: tokio::sync::watch::Sender<Durable>,
    /// Changes up to this revision may be gone from the log.
    floor: AtomicU64,
}

/// How far the committer has come.
#[derive(Clone)]
struct Durable {
    revision: Revision,
    failure: Option<Arc<str>>,
}

impl<B: Backend> EmbeddedStore<B> {
    /// Starts on what `backend` holds.
    pub fn open(backend: B, options: Options) -> Result<Self, Error> {
        let (floor, last) = log_bounds(&backend)?;
        let shared = Arc::new(Shared {
            backend,
            options,
            pending: Mutex::new(Pending::new(last)),
            work: Condvar::new(),
            hub: Arc::new(Hub::new(last)),
            accepted: AtomicU64::new(last.0),
            durable: tokio::sync::watch::Sender::new(Durable { revision: last, failure: None }),
            floor: AtomicU64::new(floor.0),
        });
        let committer = {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name("store-committer".to_owned());
            thread.spawn(move || committer::run(&shared)).map_err(|error| closed(&error))?
        };
        Ok(EmbeddedStore { shared, committer: Some(committer) })
    }

    /// Returns when the disk has failed, with the reason. The store reads on but commits nothing any more; a server
    /// ends itself then.
    pub async fn failed(&self) -> Arc<str> {
        let mut durable = self.shared.durable.subscribe();
        match durable.wait_for(|durable| durable.failure.is_some()).await {
            Ok(durable) => durable.failure.clone().unwrap_or_default(),
            // The sender is in `shared`, which lives as long as this borrow.
            Err(_) => std::future::pending().await,
        }
    }
}

impl<B: Backend> Drop for EmbeddedStore<B> {
    fn drop(&mut self) {
        {
            let mut pending = self.shared.pending.lock();
            if pending.phase == Phase::Open {
                pending.phase = Phase::Closing;
            }
        }
        self.shared.work.notify_one();
        if let Some(committer) = self.committer.take() {
            // It has ended or panicked; in both cases nothing is left to be done here.
            let _ = committer.join();
        }
    }
}

impl<B: Backend> Shared<B> {
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

    fn accept(&self, txn: Txn) -> Result<oneshot::Receiver<Result<Revision, Error>>, CommitError> {
        txn.check_limits()?;
        let (answer, receiver) = oneshot::channel();
        {
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
            pending.accept(txn.ops, answer);
            self.accepted.store(pending.accepted().0, Ordering::Release);
        }
        self.work.notify_one();
        Ok(receiver)
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Page, Error> {
        let versions = self.pending.lock().versions(range);
        // Each version may hide one stored record, and one more tells whether the range goes on.
        let wanted = limit.saturating_add(versions.len()).saturating_add(1);
        let stored = self.backend.scan(range, wanted).map_err(|error| closed(&error))?;
        let is_exhausted = stored.len() < wanted;
        let mut merged = std::collections::BTreeMap::new();
        let horizon = stored.last().map(|(key, _)| key.clone());
        for (key, stored) in stored {
            let record = decode_record(&key, stored)?;
            merged.insert(key, record);
        }
        for (key, version) in versions {
            // The group may have been applied, and the key changed again, since the overlay was read.
            if merged.get(&key).is_some_and(|record| record.revision > version.revision) {
                continue;
            }
            match version.record() {
                Some(record) => merged.insert(key, record),
                None => merged.remove(&key),
            };
        }
        // Behind the last stored record that was read, the overlay alone would skip what is stored there.
        let known = |key: &Key| is_exhausted || horizon.as_ref().is_some_and(|horizon| key <= horizon);
        let mut records: Vec<(Key, Record)> = merged.into_iter().filter(|(key, _)| known(key)).collect();
        let has_more = records.len() > limit || !is_exhausted;
        records.truncate(limit);
        Ok(Page { records, has_more })
    }
}

#[async_trait]
impl<B: Backend> Store for EmbeddedStore<B> {
    async fn get(&self, key: &Key) -> Result<Option<Record>, Error> {
        self.shared.read(key)
    }

    async fn scan(&self, range: KeyRange, limit: usize) -> Result<Page, Error> {
        self.shared.scan(&range, limit)
    }

    async fn commit(&self, txn: Txn) -> Result<Revision, CommitError> {
        let answer = self.shared.accept(txn)?;
        let answer = answer.await.map_err(|_| Error::Closed("the committer ended".into()))?;
        Ok(answer?)
    }

    fn revision(&self) -> Revision {
        Revision(self.shared.accepted.load(Ordering::Acquire))
    }

    async fn settled(&self) -> Result<(), Error> {
        let target = self.revision();
        let is_past = |durable: &Durable| durable.revision >= target || durable.failure.is_some();
        let mut durable = self.shared.durable.subscribe();
        let reached = durable.wait_for(is_past).await.map_err(|_| Error::Closed("the committer ended".into()))?;
        match &reached.failure {
            Some(reason) if reached.revision < target => Err(Error::Closed(Arc::clone(reason))),
            Some(_) | None => Ok(()),
        }
    }

    fn watch(&self, prefix: Key, from: Revision) -> BoxStream<'static, Result<ChangeSet, Error>> {
        watch::stream(Arc::clone(&self.shared), prefix, from)
    }
}

/// From where the log can be read, and the last revision.
fn log_bounds<B: Backend>(backend: &B) -> Result<(Revision, Revision), Error> {
    let first = backend.scan(&log::whole(), 1).map_err(|error| closed(&error))?;
    let last = backend.last(&log::whole()).map_err(|error| closed(&error))?;
    let (Some((first, _)), Some((last, chunk))) = (first.first(), last) else {
        return Ok((Revision(0), Revision(0)));
    };
    let damaged = || Error::Damaged { key: last.to_string(), reason: "not a chunk of the change log".to_owned() };
    let floor = log::first_revision(first).ok_or_else(damaged)?;
    let entries = log::decode(&last, chunk)?;
    let (last, _) = entries.last().ok_or_else(damaged)?;
    Ok((Revision(floor.0.saturating_sub(1)), *last))
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

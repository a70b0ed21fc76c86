//! Commits that are accepted but not yet durable: a group in the making, and the overlay through which they are read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Error, Key, KeyRange, Op, Record, Revision};

/// One accepted transaction.
pub(super) struct Accepted {
    pub(super) revision: Revision,
    pub(super) ops: Vec<Op>,
    /// Told once the transaction is durable, or never will be.
    pub(super) answer: oneshot::Sender<Result<Revision, Error>>,
}

/// What a key looks like once the accepted transactions are applied: a record, or `None` when it is deleted.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) revision: Revision,
    pub(super) value: Option<Bytes>,
}

impl Version {
    pub(super) fn record(self) -> Option<Record> {
        let revision = self.revision;
        self.value.map(|value| Record { value, revision })
    }
}

/// A part of what is accepted.
#[derive(Default)]
pub(super) struct Overlay {
    pub(super) versions: Vec<(Key, Version)>,
    /// How many of them are deletions.
    pub(super) deletions: usize,
    /// The last key of the part, if it is not all of the range.
    pub(super) end: Option<Key>,
}

/// Whether transactions are still accepted.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// What was accepted is still made durable; then the committer ends.
    Closing,
    Failed(Arc<str>),
}

/// The most transactions that one flush makes durable.
const MAX_GROUP: usize = 512;
/// About the most bytes that one flush writes; a single transaction may be larger only by its limits.
const MAX_GROUP_BYTES: usize = 2 * 1024 * 1024;

pub(super) struct Pending {
    queue: VecDeque<Accepted>,
    overlay: BTreeMap<Key, Version>,
    accepted: Revision,
    /// Whether what waits is wanted now, and not only once more has gathered.
    is_called: bool,
    pub(super) phase: Phase,
}

impl Pending {
    pub(super) fn new(last: Revision) -> Self {
        Pending {
            queue: VecDeque::new(),
            overlay: BTreeMap::new(),
            accepted: last,
            is_called: false,
            phase: Phase::Open,
        }
    }

    pub(super) fn version(&self, key: &[u8]) -> Option<&Version> {
        self.overlay.get(key)
    }

    /// The first part of a range, with up to `limit` records in it.
    pub(super) fn versions(&self, range: &KeyRange, limit: usize) -> Overlay {
        let mut overlay = Overlay::default();
        let mut records = 0;
        if range.is_empty() {
            return overlay;
        }
        for (key, version) in self.overlay.range(range.start.clone()..).take_while(|(key, _)| range.contains(key)) {
            if records == limit {
                overlay.end = overlay.versions.last().map(|(key, _)| key.clone());
                break;
            }
            match version.value {
                Some(_) => records += 1,
                None => overlay.deletions += 1,
            }
            overlay.versions.push((key.clone(), version.clone()));
        }
        overlay
    }

    /// Takes a transaction whose preconditions hold into the group, under the next revision.
    pub(super) fn accept(&mut self, ops: Vec<Op>, answer: oneshot::Sender<Result<Revision, Error>>) -> Revision {
        let revision = self.accepted.next();
        self.accepted = revision;
        for op in &ops {
            match op {
                Op::Put(key, value) => {
                    self.overlay.insert(key.clone(), Version { revision, value: Some(value.clone()) });
                }
                Op::Delete(key) => {
                    self.overlay.insert(key.clone(), Version { revision, value: None });
                }
                Op::Emit(..) => {}
            }
        }
        self.queue.push_back(Accepted { revision, ops, answer });
        revision
    }

    /// Calls for the group with this revision. Whether the committer has to be told: not where it was called for
    /// before, or has been taken.
    pub(super) fn call(&mut self, revision: Revision) -> bool {
        let waits = self.queue.front().is_some_and(|first| first.revision <= revision);
        let is_news = waits && !self.is_called;
        self.is_called |= waits;
        is_news
    }

    /// Whether what waits was called for.
    pub(super) fn is_called(&self) -> bool {
        self.is_called
    }

    /// The next group to be made durable; empty when nothing waits.
    pub(super) fn next_group(&mut self) -> Vec<Accepted> {
        let mut bytes = 0;
        let within = self.queue.iter().take(MAX_GROUP).take_while(|accepted| {
            bytes += accepted.bytes();
            bytes <= MAX_GROUP_BYTES
        });
        let size = within.count().max(1).min(self.queue.len());
        let group = self.queue.drain(..size).collect();
        // What is too much for one group goes with the next.
        self.is_called &= !self.queue.is_empty();
        group
    }

    /// Forgets what is now read from the backend.
    pub(super) fn retire<'a>(&mut self, applied: impl Iterator<Item = (&'a Key, Revision)>) {
        for (key, revision) in applied {
            // A later transaction may have changed the key again; then its version stays.
            if self.overlay.get(key).is_some_and(|version| version.revision == revision) {
                self.overlay.remove(key);
            }
        }
    }
}

impl Accepted {
    fn bytes(&self) -> usize {
        self.ops.iter().map(Op::bytes).sum()
    }
}

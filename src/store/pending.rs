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

pub(super) struct Pending {
    queue: VecDeque<Accepted>,
    overlay: BTreeMap<Key, Version>,
    accepted: Revision,
    pub(super) phase: Phase,
}

impl Pending {
    pub(super) fn new(last: Revision) -> Self {
        Pending { queue: VecDeque::new(), overlay: BTreeMap::new(), accepted: last, phase: Phase::Open }
    }

    pub(super) fn accepted(&self) -> Revision {
        self.accepted
    }

    pub(super) fn version(&self, key: &[u8]) -> Option<&Version> {
        self.overlay.get(key)
    }

    pub(super) fn versions(&self, range: &KeyRange) -> Vec<(Key, Version)> {
        let from_start = self.overlay.range(range.start.clone()..);
        from_start
            .take_while(|(key, _)| range.contains(key))
            .map(|(key, version)| (key.clone(), version.clone()))
            .collect()
    }

    /// Takes a transaction whose preconditions hold into the group, under the next revision.
    pub(super) fn accept(&mut self, ops: Vec<Op>, answer: oneshot::Sender<Result<Revision, Error>>) {
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
    }

    /// The next group to be made durable; empty when nothing waits.
    pub(super) fn next_group(&mut self) -> Vec<Accepted> {
        let size = self.queue.len().min(MAX_GROUP);
        self.queue.drain(..size).collect()
    }

    /// Forgets what is now read from the backend: the changes of a durable group.
    pub(super) fn retire(&mut self, group: &[Accepted]) {
        for accepted in group {
            for op in &accepted.ops {
                let (Op::Put(key, _) | Op::Delete(key)) = op else { continue };
                // A later transaction may have changed the key again; then its version stays.
                if self.overlay.get(key.as_bytes()).is_some_and(|version| version.revision == accepted.revision) {
                    self.overlay.remove(key.as_bytes());
                }
            }
        }
    }
}

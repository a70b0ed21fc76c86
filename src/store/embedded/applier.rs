//! Brings what is durable in the journal into the backend.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Shared, closed, encode_record};
use crate::store::backend::{Backend, Batch};
use crate::store::journal::Journal;
use crate::store::pending::Accepted;
use crate::store::{ChangeKind, Error, Key, Op, Revision};

/// Where the backend keeps the revision up to which it has come; in the table of the store itself.
const APPLIED_KEY: &[u8] = &[0x00, b'A'];
/// How long changes gather before they are applied: a record that is put and deleted in this time is not written.
const GATHER: Duration = Duration::from_millis(50);
/// Changes that gather at the most before they are applied at once.
const MAX_GATHERED: usize = 8 * 1024;
/// Changes that may wait before the committer waits too.
const MAX_WAITING: usize = 64 * 1024;
/// Records that one batch writes.
const BATCH: usize = 2 * 1024;

/// What is durable but not yet in the backend: the newest state of each key.
#[derive(Default)]
pub(super) struct Unapplied {
    values: BTreeMap<Key, (Revision, Option<Bytes>)>,
    /// All up to here is in it, or applied.
    last: Revision,
    is_over: bool,
}

impl Unapplied {
    fn add(&mut self, revision: Revision, op: &Op) {
        match op {
            Op::Put(key, value) => self.values.insert(key.clone(), (revision, Some(value.clone()))),
            Op::Delete(key) => self.values.insert(key.clone(), (revision, None)),
            Op::Emit(..) => None,
        };
        self.last = revision;
    }
}

impl<B: Backend, J: Journal> Shared<B, J> {
    /// Hands a durable group to the applier; waits while that has too much to do.
    pub(super) fn hand_over(&self, group: &[Accepted]) {
        let mut unapplied = self.unapplied.lock();
        while unapplied.values.len() > MAX_WAITING && !unapplied.is_over {
            self.moved.wait(&mut unapplied);
        }
        let was_idle = unapplied.values.is_empty();
        for accepted in group {
            for op in &accepted.ops {
                unapplied.add(accepted.revision, op);
            }
        }
        let is_much = unapplied.values.len() > MAX_GATHERED;
        drop(unapplied);
        if was_idle || is_much {
            self.moved.notify_all();
        }
    }

    /// Tells the applier that nothing more comes.
    pub(super) fn end_hand_over(&self) {
        self.unapplied.lock().is_over = true;
        self.moved.notify_all();
    }

    /// Waits for changes, and lets some more gather; `None` when there will be none.
    fn next_changes(&self) -> Option<Unapplied> {
        let mut unapplied = self.unapplied.lock();
        while unapplied.values.is_empty() {
            if unapplied.is_over {
                return None;
            }
            self.moved.wait(&mut unapplied);
        }
        let until = Instant::now() + GATHER;
        while unapplied.values.len() <= MAX_GATHERED && !unapplied.is_over {
            if self.moved.wait_until(&mut unapplied, until).timed_out() {
                break;
            }
        }
        let next = Unapplied { values: BTreeMap::new(), last: unapplied.last, is_over: unapplied.is_over };
        let taken = std::mem::replace(&mut *unapplied, next);
        drop(unapplied);
        self.moved.notify_all();
        Some(taken)
    }
}

/// Applies until the committer has ended and nothing is left, or the disk fails.
pub(super) fn run<B: Backend, J: Journal>(shared: &Shared<B, J>) {
    let _ = prepare(shared);
    while let Some(changes) = shared.next_changes() {
        let started = Instant::now();
        if let Err(error) = apply(&shared.backend, &changes.values, changes.last) {
            return shared.fail(&error);
        }
        metrics::histogram!("steward_store_apply_seconds").record(started.elapsed());
        let applied = changes.values.iter().map(|(key, (revision, _))| (key, *revision));
        shared.pending.lock().retire(applied);
        if let Err(error) = shared.journal.trim(changes.last).and_then(|()| prepare(shared)) {
            return shared.fail(&error);
        }
    }
}

fn prepare<B: Backend, J: Journal>(shared: &Shared<B, J>) -> std::io::Result<()> {
    shared.journal.prepare()
}

/// Writes the newest state of each key, and last how far it has come: a crash in between repeats some of it, which
/// changes nothing.
fn apply<B: Backend>(
    backend: &B,
    values: &BTreeMap<Key, (Revision, Option<Bytes>)>,
    last: Revision,
) -> std::io::Result<()> {
    let mut batch: Batch = Vec::new();
    for (key, (revision, value)) in values {
        batch.push((key.clone(), value.as_ref().map(|value| encode_record(*revision, value))));
        if batch.len() == BATCH {
            backend.apply(std::mem::take(&mut batch))?;
        }
    }
    batch.push((Key::from_bytes(APPLIED_KEY), Some(encode_record(last, &[]))));
    backend.apply(batch)
}

/// Brings the backend up to the end of the journal. Returns the last revision.
pub(super) fn replay<B: Backend, J: Journal>(backend: &B, journal: &J) -> Result<Revision, Error> {
    let applied_key = Key::from_bytes(APPLIED_KEY);
    let applied = match backend.get(APPLIED_KEY).map_err(|error| closed(&error))? {
        Some(stored) => super::decode_record(&applied_key, stored)?.revision,
        None => Revision(0),
    };
    let last = journal.last();
    if applied > last || applied < journal.floor() {
        return Err(Error::Damaged {
            key: "journal".to_owned(),
            reason: format!(
                "it has revisions {} to {last}, but the records are at {applied}; it does not belong to them, or a \
                 part of it is lost",
                journal.floor().next()
            ),
        });
    }
    let mut at = applied;
    while at < last {
        let mut values = BTreeMap::new();
        for frame in journal.read(at).map_err(|error| closed(&error))? {
            for (revision, change) in frame.changes()?.into_iter().filter(|(revision, _)| *revision > at) {
                match change.kind {
                    ChangeKind::Put(value) => values.insert(change.key, (revision, Some(value))),
                    ChangeKind::Delete => values.insert(change.key, (revision, None)),
                    ChangeKind::Emit(_) => None,
                };
            }
            at = frame.last;
        }
        apply(backend, &values, at).map_err(|error| closed(&error))?;
    }
    Ok(last)
}

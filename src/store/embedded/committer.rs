//! The one thread that commits: group, write, flush, answer, publish.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::Shared;
use crate::store::backend::Backend;
use crate::store::journal::{Frame, Journal};
use crate::store::pending::{Accepted, Phase};
use crate::store::{Change, ChangeKind, Error, Op};

/// Makes groups durable until the store is closed and everything accepted is done, or the disk fails.
pub(super) fn run<B: Backend, J: Journal>(shared: &Shared<B, J>) {
    while let Some(group) = next_group(shared) {
        let started = Instant::now();
        if let Err(error) = shared.journal.append(&Frame::encode(&group)) {
            shared.fail(&error);
            refuse(group, &error);
            break;
        }
        metrics::histogram!("steward_store_flush_seconds").record(started.elapsed());
        metrics::counter!("steward_store_flushes_total").increment(1);
        metrics::counter!("steward_store_commits_total").increment(group.len() as u64);
        finish(shared, group);
    }
    shared.end_hand_over();
}

/// Waits for transactions; `None` when the store is closed and none are left.
fn next_group<B: Backend, J: Journal>(shared: &Shared<B, J>) -> Option<Vec<Accepted>> {
    let mut pending = shared.pending.lock();
    loop {
        let is_over = pending.phase != Phase::Open;
        if is_over || pending.is_called() {
            let group = pending.next_group();
            if !group.is_empty() {
                return Some(group);
            }
        }
        if is_over {
            return None;
        }
        shared.work.wait(&mut pending);
    }
}

fn finish<B: Backend, J: Journal>(shared: &Shared<B, J>, group: Vec<Accepted>) {
    let Some(last) = group.last().map(|accepted| accepted.revision) else { return };
    shared.hand_over(&group);
    // Published before it is called durable: so a watch knows what it has to have seen.
    for accepted in group {
        shared.hub.publish(accepted.revision, accepted.ops.into_iter().map(change));
        // Whoever asked may have gone away; the commit stands all the same.
        let _ = accepted.answer.send(Ok(accepted.revision));
    }
    shared.durable.send_replace(last);
}

fn change(op: Op) -> Change {
    match op {
        Op::Put(key, value) => Change { key, kind: ChangeKind::Put(value) },
        Op::Delete(key) => Change { key, kind: ChangeKind::Delete },
        Op::Emit(key, value) => Change { key, kind: ChangeKind::Emit(value) },
    }
}

fn refuse(group: Vec<Accepted>, error: &io::Error) {
    let reason: Arc<str> = error.to_string().into();
    for accepted in group {
        let _ = accepted.answer.send(Err(Error::Closed(Arc::clone(&reason))));
    }
}

impl<B: Backend, J: Journal> Shared<B, J> {
    /// What is on the disk is unknown from here on: nothing is committed or acknowledged any more.
    pub(super) fn fail(&self, error: &io::Error) {
        let reason: Arc<str> = error.to_string().into();
        tracing::error!(%reason, "the store cannot write and commits nothing any more");
        let mut doomed = Vec::new();
        {
            let mut pending = self.pending.lock();
            pending.phase = Phase::Failed(Arc::clone(&reason));
            loop {
                let group = pending.next_group();
                if group.is_empty() {
                    break;
                }
                doomed.extend(group);
            }
        }
        // The other thread may have failed before; the first reason stands.
        let _ = self.failure.set(reason);
        refuse(doomed, error);
        self.work.notify_all();
        self.end_hand_over();
    }
}

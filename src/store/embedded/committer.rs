//! The one thread that writes: group, apply, flush, answer, publish.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::{Durable, Shared, encode_record};
use crate::store::backend::{Backend, Batch};
use crate::store::pending::{Accepted, Phase};
use crate::store::{Change, ChangeKind, Error, Key, Op, Revision, log};

/// The most chunks of the change log that one flush drops.
const MAX_COMPACTED_CHUNKS: usize = 256;

/// Makes groups durable until the store is closed and everything accepted is done, or the disk fails.
pub(super) fn run<B: Backend>(shared: &Shared<B>) {
    while let Some(group) = next_group(shared) {
        let started = Instant::now();
        match write(shared, &group) {
            Ok(()) => {
                metrics::histogram!("steward_store_flush_seconds").record(started.elapsed());
                metrics::counter!("steward_store_flushes_total").increment(1);
                metrics::counter!("steward_store_commits_total").increment(group.len() as u64);
                finish(shared, group);
            }
            Err(error) => return fail(shared, group, &error),
        }
    }
}

/// Waits for transactions; `None` when the store is closed and none are left.
fn next_group<B: Backend>(shared: &Shared<B>) -> Option<Vec<Accepted>> {
    let mut pending = shared.pending.lock();
    loop {
        let group = pending.next_group();
        if !group.is_empty() {
            return Some(group);
        }
        if pending.phase != Phase::Open {
            return None;
        }
        shared.work.wait(&mut pending);
    }
}

fn write<B: Backend>(shared: &Shared<B>, group: &[Accepted]) -> std::io::Result<()> {
    let mut final_values: BTreeMap<&Key, Option<Bytes>> = BTreeMap::new();
    for accepted in group {
        for op in &accepted.ops {
            match op {
                Op::Put(key, value) => final_values.insert(key, Some(encode_record(accepted.revision, value))),
                Op::Delete(key) => final_values.insert(key, None),
                Op::Emit(..) => None,
            };
        }
    }
    let mut batch: Batch = final_values.into_iter().map(|(key, value)| (key.clone(), value)).collect();
    batch.extend(log::encode(group).into_iter().map(|(key, chunk)| (key, Some(chunk))));
    if let Some(last) = group.last() {
        compact(shared, last.revision, &mut batch)?;
    }
    shared.backend.apply(batch)
}

/// Drops the oldest chunks once the log is an eighth longer than it has to be.
fn compact<B: Backend>(shared: &Shared<B>, last: Revision, batch: &mut Batch) -> std::io::Result<()> {
    let history = shared.options.history;
    let floor = shared.floor.load(Ordering::Acquire);
    if last.0 - floor <= history + history / 8 {
        return Ok(());
    }
    let keep_from = Revision(last.0 - history);
    let chunks = shared.backend.scan(&log::whole(), MAX_COMPACTED_CHUNKS + 1)?;
    let mut new_floor = floor;
    for pair in chunks.windows(2) {
        let [(key, _), (next, _)] = pair else { continue };
        let Some(next_revision) = log::first_revision(next) else { continue };
        if next_revision > keep_from {
            break;
        }
        batch.push((key.clone(), None));
        new_floor = next_revision.0 - 1;
    }
    // Raised before the chunks are gone: a watch that reads them now finds out that it may have missed some.
    shared.floor.store(new_floor, Ordering::Release);
    Ok(())
}

fn finish<B: Backend>(shared: &Shared<B>, group: Vec<Accepted>) {
    let Some(last) = group.last().map(|accepted| accepted.revision) else { return };
    shared.pending.lock().retire(&group);
    shared.durable.send_modify(|durable| durable.revision = last);
    for accepted in group {
        // Whoever asked may have gone away; the commit stands all the same.
        let _ = accepted.answer.send(Ok(accepted.revision));
        shared.hub.publish(accepted.revision, accepted.ops.into_iter().map(change));
    }
}

fn change(op: Op) -> Change {
    match op {
        Op::Put(key, value) => Change { key, kind: ChangeKind::Put(value) },
        Op::Delete(key) => Change { key, kind: ChangeKind::Delete },
        Op::Emit(key, value) => Change { key, kind: ChangeKind::Emit(value) },
    }
}

/// What is on the disk is unknown from here on: nothing is committed or acknowledged any more.
fn fail<B: Backend>(shared: &Shared<B>, group: Vec<Accepted>, error: &std::io::Error) {
    let reason: Arc<str> = error.to_string().into();
    tracing::error!(%reason, "the store cannot write and commits nothing any more");
    let mut doomed = group;
    {
        let mut pending = shared.pending.lock();
        pending.phase = Phase::Failed(Arc::clone(&reason));
        loop {
            let more = pending.next_group();
            if more.is_empty() {
                break;
            }
            doomed.extend(more);
        }
    }
    shared.durable.send_modify(|durable: &mut Durable| durable.failure = Some(Arc::clone(&reason)));
    for accepted in doomed {
        let _ = accepted.answer.send(Err(Error::Closed(Arc::clone(&reason))));
    }
}

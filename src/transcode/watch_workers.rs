//! Watching workers: their own changes, and the tasks that they take and end.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;

use super::error::Error;
use super::farm::Farm;
use super::keys;
use super::load::decode;
use super::model::{TaskId, TaskRecord, WorkerId};
use super::watch::{Sender, Steps, within};
use super::workers::WorkerView;
use crate::places::Place;
use crate::store::{Change, ChangeKind, ChangeSet, Key, Record, Revision, Table};

/// How long a change is waited for in the index.
const INDEX_FOLLOWS_WITHIN: Duration = Duration::from_secs(1);

/// One step of a watch of workers.
#[derive(Clone, Debug)]
pub(crate) enum WorkerStep {
    Snapshot(Box<WorkerView>),
    SnapshotEnd(Revision),
    Changed(Box<WorkerView>, Revision),
    Deleted(WorkerId, Revision),
}

/// What a reader sees of a worker; heartbeats are no changes.
fn shown(view: &WorkerView) -> String {
    let mut record = view.record.clone();
    record.heartbeat_nanos = 0;
    format!("{record:?} {} {:?}", view.is_offline, view.tasks)
}

impl Farm {
    /// Watches workers.
    pub(crate) fn watch_workers(&self, from: Option<Revision>, permit: Place) -> Steps<WorkerStep> {
        self.open_watch(permit, move |farm, sender| async move { farm.feed_workers(from, &sender).await })
    }

    async fn feed_workers(&self, from: Option<Revision>, sender: &Sender<WorkerStep>) -> Result<(), Error> {
        let now = self.store.revision();
        self.settled().await?;
        let mut known: HashMap<WorkerId, String> = HashMap::new();
        if from.is_none() {
            for view in self.all_workers() {
                known.insert(view.id, shown(&view));
                let _ = sender.send(Ok(WorkerStep::Snapshot(Box::new(view)))).await;
            }
            let _ = sender.send(Ok(WorkerStep::SnapshotEnd(now))).await;
        }
        // Workers and tasks are two tables, and one order: so all commits, of which most are about neither.
        let mut changes = self.store.watch(Key::from_bytes(Vec::new()), from.unwrap_or(now));
        while let Some(set) = changes.next().await.transpose()? {
            if self.send_workers(&set, &mut known, sender).await?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Sends the workers that a commit is about, as they are now; `None` when the reader has gone.
    async fn send_workers(
        &self,
        set: &ChangeSet,
        known: &mut HashMap<WorkerId, String>,
        sender: &Sender<WorkerStep>,
    ) -> Result<Option<()>, Error> {
        // The index follows a commit within moments.
        let _ = tokio::time::timeout(INDEX_FOLLOWS_WITHIN, self.reflected(set)).await;
        let concerned = concerned(set)?;
        let count = concerned.len();
        for (number, id) in concerned.into_iter().enumerate() {
            let revision = within(set.revision, number + 1 == count);
            let step = if let Ok(view) = self.worker(id) {
                let now = shown(&view);
                if known.get(&id) == Some(&now) {
                    continue;
                }
                known.insert(id, now);
                WorkerStep::Changed(Box::new(view), revision)
            } else {
                known.remove(&id);
                WorkerStep::Deleted(id, revision)
            };
            if sender.send(Ok(step)).await.is_err() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }
}

impl Farm {
    /// Returns once the index has what a commit did.
    async fn reflected(&self, set: &ChangeSet) {
        loop {
            let applied = self.applied.notified();
            tokio::pin!(applied);
            applied.as_mut().enable();
            // What is not there although later commits are has been removed by one of them.
            let is_past = self.highest_applied.load(Ordering::Acquire) > set.revision.0;
            if set.changes.iter().all(|change| self.is_reflected(change, set.revision, is_past)) {
                return;
            }
            applied.await;
        }
    }

    fn is_reflected(&self, change: &Change, revision: Revision, is_past: bool) -> bool {
        let Some(number) = keys::number_of(&change.key) else { return true };
        let known = if is_of(&change.key, Table::Worker) {
            self.index.workers.read().get(WorkerId(number)).map(|entry| entry.revision)
        } else if is_of(&change.key, Table::Task) {
            self.index.tasks.read().revision(TaskId(number))
        } else {
            return true;
        };
        match change.kind {
            ChangeKind::Put(_) => known.map_or(is_past, |known| known >= revision),
            ChangeKind::Delete => known.is_none(),
            ChangeKind::Emit(_) => true,
        }
    }
}

fn is_of(key: &Key, table: Table) -> bool {
    key.as_bytes().first() == Some(&(table as u8))
}

/// The workers that a commit is about.
fn concerned(set: &ChangeSet) -> Result<BTreeSet<WorkerId>, Error> {
    let mut workers = BTreeSet::new();
    for change in &set.changes {
        if is_of(&change.key, Table::Worker) {
            workers.extend(keys::number_of(&change.key).map(WorkerId));
        }
        if let (true, ChangeKind::Put(value)) = (is_of(&change.key, Table::Task), &change.kind) {
            let record = Record { value: value.clone(), revision: set.revision };
            workers.insert(WorkerId(decode::<TaskRecord>(&change.key, &record)?.worker_id));
        }
    }
    Ok(workers)
}

//! Watching volumes and snapshots: how they are first, then every change, in order.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::mpsc;

use super::catalog::Catalog;
use super::error::Error;
use super::lookup::ShownVolume;
use super::namespace::{User, path_of};
use super::reach::Reach;
use super::snapshots::ShownSnapshot;
use crate::auth::rights::Right;
use crate::places::Place;
use crate::store::tx;
use crate::store::{ChangeKind, Key, KeyRange, Revision, Table};

/// Messages that wait for a slow reader; then the watch waits too.
const BUFFER: usize = 64;
/// Records that are read at a time for what is there at the beginning.
const PAGE: usize = 256;
/// After so much silence a reader is told how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(30);

/// One step of a watch.
#[derive(Clone, Debug)]
pub(crate) enum Step<T> {
    /// It was there when the watch began.
    Current(T),
    /// It was made or changed.
    Changed(T, Revision),
    /// It is gone; its key is all there is to tell.
    Gone(Key, Revision),
    /// Everything up to this revision was told.
    Progress(Revision),
}

/// What a watch sends to its reader.
pub(crate) type Steps<T> = mpsc::Receiver<Result<Step<T>, Error>>;

impl Catalog {
    /// Watches volumes and directories, from a revision on or from how they are.
    pub(crate) fn watch_volumes(&self, reach: Reach, from: Option<Revision>, permit: Place) -> Steps<ShownVolume> {
        self.watch_table(Table::Volume, from, permit, move |catalog, key, value, revision| {
            let reach = reach.clone();
            async move {
                let record = tx::decode(&key, &value)?;
                // A directory on the way may be gone by now; then a later change tells of this volume too.
                let Ok(path) = path_of(&*catalog.store, &record).await else { return Ok(None) };
                if !reach.sees(&record, &path) {
                    return Ok(None);
                }
                catalog.show(record, revision, path).await.map(Some)
            }
        })
    }

    /// Watches the snapshots of a user; those of everybody for `root`.
    pub(crate) fn watch_snapshots(
        &self,
        user: User,
        reach: Reach,
        from: Option<Revision>,
        permit: Place,
    ) -> Steps<ShownSnapshot> {
        self.watch_table(Table::VolumeSnapshot, from, permit, move |catalog, key, value, _| {
            let (user, reach) = (user.clone(), reach.clone());
            async move {
                let record: steward_proto::store::v1::VolumeSnapshotRecord = tx::decode(&key, &value)?;
                if record.hidden || !user.may_change(&record.owner) {
                    return Ok(None);
                }
                let shown = catalog.show_snapshot(record).await.ok();
                Ok(shown.filter(|shown| reach.is_everything() || reach.has(Right::Read, shown.path.as_str())))
            }
        })
    }

    /// Watches a table in a task of its own. It ends when its receiver is dropped, at shutdown, and with an error.
    fn watch_table<T, F, A>(&self, table: Table, from: Option<Revision>, permit: Place, show: F) -> Steps<T>
    where
        T: Send + 'static,
        F: Fn(Catalog, Key, Bytes, Revision) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Option<T>, Error>> + Send,
    {
        let (sender, steps) = mpsc::channel(BUFFER);
        let (catalog, shutdown) = (self.clone(), self.shutdown.clone());
        self.tasks.spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = sender.closed() => {}
                () = shutdown.cancelled() => {
                    // A reader that is behind finds the end of the stream instead.
                    let _ = sender.try_send(Err(Error::ShuttingDown));
                }
                result = catalog.feed(table, from, &show, &sender) => {
                    if let Err(error) = result {
                        let _ = sender.send(Err(error)).await;
                    }
                }
            }
        });
        steps
    }

    async fn feed<T, F, A>(
        &self,
        table: Table,
        from: Option<Revision>,
        show: &F,
        sender: &mpsc::Sender<Result<Step<T>, Error>>,
    ) -> Result<(), Error>
    where
        F: Fn(Catalog, Key, Bytes, Revision) -> A,
        A: Future<Output = Result<Option<T>, Error>>,
    {
        let from = match from {
            Some(from) => from,
            None => self.feed_current(table, show, sender).await?,
        };
        let mut changes = self.store.watch_with_progress(Key::table(table), from, Some(PROGRESS_EVERY));
        // A reader that has gone is noticed by the task.
        while let Some(set) = changes.next().await.transpose()? {
            let count = set.changes.len();
            if count == 0 {
                let _ = sender.send(Ok(Step::Progress(set.revision))).await;
            }
            for (number, change) in set.changes.into_iter().enumerate() {
                // Who resumes in the middle of a commit gets all of it again.
                let is_last = number + 1 == count;
                let at = if is_last { set.revision } else { Revision(set.revision.0.saturating_sub(1)) };
                let step = match change.kind {
                    ChangeKind::Put(value) => {
                        let shown = show(self.clone(), change.key, value, set.revision).await?;
                        shown.map(|shown| Step::Changed(shown, at))
                    }
                    ChangeKind::Delete => Some(Step::Gone(change.key, at)),
                    ChangeKind::Emit(_) => None,
                };
                if let Some(step) = step {
                    let _ = sender.send(Ok(step)).await;
                }
            }
        }
        Ok(())
    }

    /// Sends what there is. Returns the revision from which the changes follow.
    async fn feed_current<T, F, A>(
        &self,
        table: Table,
        show: &F,
        sender: &mpsc::Sender<Result<Step<T>, Error>>,
    ) -> Result<Revision, Error>
    where
        F: Fn(Catalog, Key, Bytes, Revision) -> A,
        A: Future<Output = Result<Option<T>, Error>>,
    {
        let from = self.store.revision();
        let mut range = KeyRange::prefix(&Key::table(table));
        loop {
            let page = self.store.scan(range.clone(), PAGE).await?;
            self.store.settled().await?;
            let Some((last, _)) = page.records.last() else { break };
            range = range.after(last);
            for (key, record) in page.records {
                if let Some(shown) = show(self.clone(), key, record.value, record.revision).await? {
                    let _ = sender.send(Ok(Step::Current(shown))).await;
                }
            }
        }
        let _ = sender.send(Ok(Step::Progress(from))).await;
        Ok(from)
    }
}

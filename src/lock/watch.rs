//! Watching locks: the state first, then every event, in order.

use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::mpsc;

use super::error::Error;
use super::event::Event;
use super::keys;
use super::locks::Locks;
use super::model::LockKey;
use super::query::{Filter, View};
use super::wait::Surroundings;
use crate::store::{Change, ChangeKind, ChangeSet, Key, Record, Revision, Table};

/// Messages that wait for a slow reader; then the watch waits too.
const BUFFER: usize = 64;
/// Locks that are read at a time for a snapshot.
const SNAPSHOT_PAGE: usize = 500;

/// What is watched.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    One(LockKey),
    Many(Filter),
}

impl Subject {
    fn prefix(&self) -> Key {
        match self {
            Subject::One(key) => keys::event(key),
            Subject::Many(filter) => filter.prefix(Table::LockEvent),
        }
    }

    fn concerns(&self, key: &LockKey) -> bool {
        match self {
            Subject::One(one) => one == key,
            Subject::Many(filter) => filter.names(key),
        }
    }
}

/// One step of a watch.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Snapshot(Box<View>),
    SnapshotEnd(Revision),
    Event {
        key: LockKey,
        event: Box<Event>,
        /// Everything up to here has been sent with this step.
        revision: Revision,
    },
    Progress(Revision),
}

/// A wish to watch.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) subject: Subject,
    /// Resume behind this revision, without a snapshot.
    pub(crate) from: Option<Revision>,
    pub(crate) progress_interval: Option<Duration>,
}

/// What a watch sends to its reader.
pub(crate) type Steps = mpsc::Receiver<Result<Step, Error>>;

impl Locks {
    /// Starts a watch in a task of its own. It ends when its receiver is dropped, at shutdown, and with an error.
    /// `permit` is held as long as it runs.
    pub(crate) fn watch(&self, watch: Watch, around: &Surroundings, permit: impl Send + 'static) -> Steps {
        let (sender, steps) = mpsc::channel(BUFFER);
        let (locks, shutdown) = (self.clone(), around.shutdown.clone());
        around.tasks.spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = sender.closed() => {}
                () = shutdown.cancelled() => {
                    // A reader that is behind finds the end of the stream instead.
                    let _ = sender.try_send(Err(Error::ShuttingDown));
                }
                result = locks.feed(&watch, &sender) => {
                    if let Err(error) = result {
                        let _ = sender.send(Err(error)).await;
                    }
                }
            }
        });
        steps
    }

    async fn feed(&self, watch: &Watch, sender: &mpsc::Sender<Result<Step, Error>>) -> Result<(), Error> {
        let from = match watch.from {
            Some(from) => from,
            None => self.feed_snapshot(&watch.subject, sender).await?,
        };
        let mut changes = self.store.watch_with_progress(watch.subject.prefix(), from, watch.progress_interval);
        while let Some(set) = changes.next().await.transpose()? {
            let is_read = if set.changes.is_empty() {
                sender.send(Ok(Step::Progress(set.revision))).await.is_ok()
            } else {
                send_events(&watch.subject, set, sender).await?.is_some()
            };
            if !is_read {
                break;
            }
        }
        Ok(())
    }

    /// Sends the locks as they are. Returns the revision from which the changes follow.
    async fn feed_snapshot(
        &self,
        subject: &Subject,
        sender: &mpsc::Sender<Result<Step, Error>>,
    ) -> Result<Revision, Error> {
        let mut from = self.store.revision();
        self.store.settled().await?;
        match subject {
            Subject::One(key) => {
                let view = self.view(key).await?;
                // One lock is read in one piece, so that nothing older has to follow.
                from = from.max(view.revision);
                let _ = sender.send(Ok(Step::Snapshot(Box::new(view)))).await;
            }
            Subject::Many(filter) => {
                let mut after: Option<Key> = None;
                loop {
                    let (views, has_more) = self.list(filter, after.as_ref(), SNAPSHOT_PAGE).await?;
                    after = views.last().map(|view| keys::head(&view.key));
                    for view in views {
                        // A reader that has gone is noticed by the caller.
                        let _ = sender.send(Ok(Step::Snapshot(Box::new(view)))).await;
                    }
                    if !has_more {
                        break;
                    }
                }
            }
        }
        let _ = sender.send(Ok(Step::SnapshotEnd(from))).await;
        Ok(from)
    }
}

/// Sends the events of one commit; `None` when the reader has gone.
async fn send_events(
    subject: &Subject,
    set: ChangeSet,
    sender: &mpsc::Sender<Result<Step, Error>>,
) -> Result<Option<()>, Error> {
    let mut events = Vec::new();
    for change in set.changes {
        let Change { key, kind: ChangeKind::Emit(value) } = change else { continue };
        let record = Record { value, revision: set.revision };
        let (lock, event) = Event::decode(&key, &record)?;
        if subject.concerns(&lock) {
            events.push((lock, event));
        }
    }
    let count = events.len();
    for (number, (key, event)) in events.into_iter().enumerate() {
        // Who resumes in the middle of a commit gets all of it again.
        let is_last = number + 1 == count;
        let revision = if is_last { set.revision } else { Revision(set.revision.0 - 1) };
        let step = Step::Event { key, event: Box::new(event), revision };
        if sender.send(Ok(step)).await.is_err() {
            return Ok(None);
        }
    }
    Ok(Some(()))
}

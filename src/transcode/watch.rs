//! Watching: the state first, then every change, in order.

use std::future::Future;

use futures::StreamExt as _;
use tokio::sync::mpsc;

use super::error::Error;
use super::farm::Farm;
use super::index::{LogFilter, LogSort, Start, TaskFilter};
use super::lists::PageOf;
use super::load::decode;
use super::model::{LogId, LogLevel, LogRecord, TaskId, TaskRecord, TaskUuid, VideoId, VideoRecord, is_in_progress};
use super::reach::Reach;
use super::{keys, pace};
use crate::places::Place;
use crate::store::{ChangeKind, ChangeSet, Key, Record, Revision, Table};

/// Messages that wait for a slow reader; then the watch waits too.
const BUFFER: usize = 64;
/// Rows that are looked at at a time for a snapshot of tasks.
const SNAPSHOT_ROWS: usize = 5_000;

/// What a watch sends to its reader.
pub(crate) type Steps<T> = mpsc::Receiver<Result<T, Error>>;
/// Where a watch sends it.
pub(super) type Sender<T> = mpsc::Sender<Result<T, Error>>;

/// One step of a watch of tasks.
#[derive(Clone, Debug)]
pub(crate) enum TaskStep {
    Snapshot(TaskId, Box<TaskRecord>),
    SnapshotEnd(Revision),
    Changed(TaskId, Box<TaskRecord>, Revision),
    Deleted(TaskId, Revision),
}

/// A wish to watch tasks.
#[derive(Clone, Debug)]
pub(crate) struct WatchTasks {
    pub(crate) filter: TaskFilter,
    pub(crate) task: Option<TaskUuid>,
    pub(crate) only_in_progress: bool,
    pub(crate) reach: Reach,
    /// Resume behind this revision, without a snapshot.
    pub(crate) from: Option<Revision>,
}

impl WatchTasks {
    fn is_wanted(&self, task: &TaskRecord) -> bool {
        let statuses = &self.filter.statuses;
        (statuses.is_empty() || statuses.iter().any(|status| *status as i32 == task.status)) && self.is_of_subject(task)
    }

    fn is_of_subject(&self, task: &TaskRecord) -> bool {
        self.task.is_none_or(|uuid| uuid == TaskUuid::of(&task.uuid))
            && (self.reach.is_everything() || self.reach.sees_task(task))
    }
}

/// One step of a watch of videos.
#[derive(Clone, Debug)]
pub(crate) enum VideoStep {
    Begin(Revision),
    Changed(VideoId, Box<VideoRecord>, Revision),
}

/// One step of a watch of the log.
#[derive(Clone, Debug)]
pub(crate) enum LogStep {
    Backlog(LogId, Box<LogRecord>),
    BacklogEnd(Revision),
    Added(LogId, Box<LogRecord>, Revision),
}

/// A wish to watch the log.
#[derive(Clone, Debug)]
pub(crate) struct WatchLogs {
    pub(crate) levels: Vec<LogLevel>,
    pub(crate) task: Option<TaskUuid>,
    pub(crate) backlog: usize,
    pub(crate) reach: Reach,
    pub(crate) from: Option<Revision>,
}

impl Farm {
    /// Starts a watch in a task of its own. It ends when its receiver is dropped, at shutdown, and with an error.
    pub(super) fn open_watch<T, F>(&self, permit: Place, feed: impl FnOnce(Farm, Sender<T>) -> F) -> Steps<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let (sender, steps) = mpsc::channel(BUFFER);
        let feed = feed(self.clone(), sender.clone());
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = sender.closed() => {}
                () = shutdown.cancelled() => {
                    // A reader that is behind finds the end of the stream instead.
                    let _ = sender.try_send(Err(Error::ShuttingDown));
                }
                result = feed => {
                    if let Err(error) = result {
                        let _ = sender.send(Err(error)).await;
                    }
                }
            }
        });
        steps
    }

    /// Watches tasks.
    pub(crate) fn watch_tasks(&self, watch: WatchTasks, permit: Place) -> Steps<TaskStep> {
        self.open_watch(permit, |farm, sender| async move {
            let from = match watch.from {
                Some(from) => from,
                None => farm.feed_tasks(&watch, &sender).await?,
            };
            let changes = farm.store.watch(Key::table(Table::Task), from).map(|set| task_changes(set?));
            pace::feed(changes.boxed(), |task| watch.is_wanted(task), |task| watch.is_of_subject(task), from, &sender)
                .await
        })
    }

    /// Sends the tasks as they are. Returns the revision from which the changes follow.
    async fn feed_tasks(&self, watch: &WatchTasks, sender: &Sender<TaskStep>) -> Result<Revision, Error> {
        let from = self.store.revision();
        self.settled().await?;
        if let Some(uuid) = watch.task {
            let (id, task) = self.get_task(uuid).await?;
            if watch.is_wanted(&task) {
                let _ = sender.send(Ok(TaskStep::Snapshot(id, Box::new(task)))).await;
            }
        } else if watch.only_in_progress {
            let active: Vec<TaskId> = self.index.tasks.read().active().map(|(id, _)| id).collect();
            for id in active {
                let Some(task) = self.task(id).await? else { continue };
                if is_in_progress(&task.record) && watch.is_wanted(&task.record) {
                    let _ = sender.send(Ok(TaskStep::Snapshot(id, Box::new(task.record)))).await;
                }
            }
        } else {
            self.feed_all_tasks(watch, sender).await?;
        }
        let _ = sender.send(Ok(TaskStep::SnapshotEnd(from))).await;
        Ok(from)
    }

    async fn feed_all_tasks(&self, watch: &WatchTasks, sender: &Sender<TaskStep>) -> Result<(), Error> {
        let mut last = Some(TaskId(0));
        while let Some(behind) = last {
            let (ids, next) = self.index.tasks.read().behind(behind, &watch.filter, SNAPSHOT_ROWS);
            for id in ids {
                let Some(task) = self.task(id).await?.filter(|task| watch.is_wanted(&task.record)) else { continue };
                // A reader that has gone is noticed by the caller.
                let _ = sender.send(Ok(TaskStep::Snapshot(id, Box::new(task.record)))).await;
            }
            last = next;
        }
        Ok(())
    }

    /// Watches videos.
    pub(crate) fn watch_videos(&self, from: Option<Revision>, permit: Place) -> Steps<VideoStep> {
        self.open_watch(permit, |farm, sender| async move {
            let from = farm.beginning(from).await?;
            let _ = sender.send(Ok(VideoStep::Begin(from))).await;
            let mut changes = farm.store.watch(Key::table(Table::Video), from);
            while let Some(set) = changes.next().await.transpose()? {
                let videos = puts::<VideoRecord>(&set)?;
                let count = videos.len();
                for (number, (id, video)) in videos.into_iter().enumerate() {
                    let revision = within(set.revision, number + 1 == count);
                    let step = VideoStep::Changed(VideoId(id), Box::new(video), revision);
                    if sender.send(Ok(step)).await.is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    async fn beginning(&self, from: Option<Revision>) -> Result<Revision, Error> {
        let now = self.store.revision();
        self.settled().await?;
        Ok(from.unwrap_or(now))
    }

    /// Watches the log.
    pub(crate) fn watch_logs(&self, watch: WatchLogs, permit: Place) -> Steps<LogStep> {
        self.open_watch(permit, |farm, sender| async move {
            let from = farm.beginning(watch.from).await?;
            if watch.from.is_none() {
                farm.feed_backlog(&watch, &sender).await?;
            }
            let _ = sender.send(Ok(LogStep::BacklogEnd(from))).await;
            let mut changes = farm.store.watch(Key::table(Table::FarmLog), from);
            while let Some(set) = changes.next().await.transpose()? {
                let logs: Vec<_> = puts::<LogRecord>(&set)?
                    .into_iter()
                    .filter(|(_, log)| watch.wants(log) && farm.sees_log(&watch.reach, log))
                    .collect();
                let count = logs.len();
                for (number, (id, log)) in logs.into_iter().enumerate() {
                    let revision = within(set.revision, number + 1 == count);
                    if sender.send(Ok(LogStep::Added(LogId(id), Box::new(log), revision))).await.is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    async fn feed_backlog(&self, watch: &WatchLogs, sender: &Sender<LogStep>) -> Result<(), Error> {
        let task = watch.task.map(|uuid| self.find_task(uuid)).transpose()?;
        let filter = LogFilter { levels: watch.levels.clone(), task, ..LogFilter::default() };
        if watch.backlog == 0 {
            return Ok(());
        }
        let page =
            PageOf { sort: LogSort::Id, order: super::lists::DESCENDING, start: Start::Skip(0), size: watch.backlog };
        let listed = self.list_logs(filter, page, &watch.reach).await?;
        for (id, log) in listed.rows.into_iter().rev() {
            let _ = sender.send(Ok(LogStep::Backlog(id, Box::new(log)))).await;
        }
        Ok(())
    }
}

impl WatchLogs {
    fn wants(&self, log: &LogRecord) -> bool {
        (self.levels.is_empty() || self.levels.iter().any(|level| *level as i32 == log.level))
            && self.task.is_none_or(|uuid| log.task_uuid == uuid.0.as_slice())
    }
}

/// What a reader may resume from behind one change of a commit: who resumes in the middle gets all of it again.
pub(super) fn within(revision: Revision, is_last: bool) -> Revision {
    if is_last { revision } else { Revision(revision.0.saturating_sub(1)) }
}

/// The records that a commit put.
fn puts<R: prost::Message + Default>(set: &ChangeSet) -> Result<Vec<(i32, R)>, Error> {
    let mut records = Vec::new();
    for change in &set.changes {
        let (ChangeKind::Put(value), Some(number)) = (&change.kind, keys::number_of(&change.key)) else { continue };
        let record = Record { value: value.clone(), revision: set.revision };
        records.push((number, decode(&change.key, &record)?));
    }
    Ok(records)
}

/// What one commit did to tasks.
#[derive(Debug)]
pub(super) struct TaskChanges {
    pub(super) revision: Revision,
    /// `None`: the task was removed.
    pub(super) tasks: Vec<(TaskId, Option<TaskRecord>)>,
}

fn task_changes(set: ChangeSet) -> Result<TaskChanges, Error> {
    let mut tasks = Vec::new();
    for change in set.changes {
        let Some(id) = keys::number_of(&change.key).map(TaskId) else { continue };
        match change.kind {
            ChangeKind::Put(value) => {
                let record = Record { value, revision: set.revision };
                tasks.push((id, Some(decode(&change.key, &record)?)));
            }
            ChangeKind::Delete => tasks.push((id, None)),
            ChangeKind::Emit(_) => {}
        }
    }
    Ok(TaskChanges { revision: set.revision, tasks })
}

//! The commands that list.

use std::sync::Arc;

use steward_proto::transcode::v1::SortOrder;

use super::error::Error;
use super::farm::Farm;
use super::index::{
    Index, LogFilter, LogSort, Picked, Position, Start, TaskFilter, TaskSort, VideoFilter, VideoSort, pick,
};
use super::keys;
use super::model::{LogId, LogRecord, TaskId, TaskRecord, VideoId, VideoRecord};
use super::reach::Reach;
use crate::clock::Timestamp;

/// More rows than this are looked at on a thread of its own, so that no other request waits for it.
const SHORT_LIST: usize = 5_000;

/// Which page of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageOf<S> {
    pub(crate) sort: S,
    pub(crate) order: SortOrder,
    pub(crate) start: Start,
    pub(crate) size: usize,
}

/// A page.
#[derive(Clone, Debug)]
pub(crate) struct Listed<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) total: usize,
    /// Behind which row the next page starts, if there is one.
    pub(crate) next: Option<Position>,
}

/// What the tasks of a time came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) completed: i32,
    pub(crate) failed: i32,
    pub(crate) saved_bytes: i64,
}

impl Farm {
    /// Videos whose files are there.
    pub(crate) async fn list_videos(
        &self,
        filter: VideoFilter,
        page: PageOf<VideoSort>,
        reach: &Reach,
    ) -> Result<Listed<(VideoId, VideoRecord)>, Error> {
        let rows = self.index.videos.read().len();
        let reach = reach.clone();
        let picked = self
            .look(rows, move |index| {
                let mut rows = index.videos.read().matching(&filter, page.sort);
                if !reach.is_everything() {
                    let mut sight = reach.sight();
                    rows.retain(|row| sight.of_video(index, VideoId(row.number)));
                }
                pick(rows, page.order, page.start, page.size)
            })
            .await?;
        let mut videos = Vec::with_capacity(picked.rows.len());
        for id in picked.rows.iter().map(|row| VideoId(row.number)) {
            // A record that has gone since is not missed.
            videos.extend(self.video(id).await?.map(|video| (id, video.record)));
        }
        self.listed(&picked, videos).await
    }

    /// Tasks.
    pub(crate) async fn list_tasks(
        &self,
        filter: TaskFilter,
        page: PageOf<TaskSort>,
        reach: &Reach,
    ) -> Result<Listed<(TaskId, TaskRecord)>, Error> {
        // In the order of paths, that of all videos may have to be made first.
        let paths = if page.sort == TaskSort::Path { self.index.videos.read().len() } else { 0 };
        let rows = paths.max(self.index.tasks.read().len());
        let reach = reach.clone();
        let picked = self
            .look(rows, move |index| {
                let paths = (page.sort == TaskSort::Path).then(|| index.videos.read().path_ranks());
                let mut rows = index.tasks.read().matching(&filter, page.sort, paths.as_deref());
                if !reach.is_everything() {
                    let mut sight = reach.sight();
                    rows.retain(|row| sight.of_task(index, TaskId(row.number)));
                }
                pick(rows, page.order, page.start, page.size)
            })
            .await?;
        let mut tasks = Vec::with_capacity(picked.rows.len());
        for id in picked.rows.iter().map(|row| TaskId(row.number)) {
            tasks.extend(self.task(id).await?.map(|task| (id, task.record)));
        }
        self.listed(&picked, tasks).await
    }

    /// Entries of the log.
    pub(crate) async fn list_logs(
        &self,
        filter: LogFilter,
        page: PageOf<LogSort>,
        reach: &Reach,
    ) -> Result<Listed<(LogId, LogRecord)>, Error> {
        let rows = self.index.logs.read().len();
        let reach = reach.clone();
        let picked = self
            .look(rows, move |index| {
                let mut rows = index.logs.read().matching(&filter, page.sort);
                if !reach.is_everything() {
                    let mut sight = reach.sight();
                    rows.retain(|row| {
                        let task = index.logs.read().task_of(LogId(row.number));
                        sight.of_task(index, task.unwrap_or(TaskId(0)))
                    });
                }
                pick(rows, page.order, page.start, page.size)
            })
            .await?;
        let mut logs = Vec::with_capacity(picked.rows.len());
        for id in picked.rows.iter().map(|row| LogId(row.number)) {
            let record = self.read::<LogRecord>(&keys::log(id)).await?;
            logs.extend(record.map(|log| (id, log.record)));
        }
        self.listed(&picked, logs).await
    }

    /// Looks at so many rows. Long looks are few at a time: each needs memory in proportion to its rows.
    async fn look<T: Send + 'static>(
        &self,
        rows: usize,
        look: impl FnOnce(&Index) -> T + Send + 'static,
    ) -> Result<T, Error> {
        if rows <= SHORT_LIST {
            return Ok(look(&self.index));
        }
        let permit = Arc::clone(&self.long_looks).acquire_owned().await;
        let permit = permit.map_err(|_| Error::ShuttingDown)?;
        let index = Arc::clone(&self.index);
        let looked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            look(&index)
        });
        looked.await.map_err(|error| Error::Internal(format!("a list broke off: {error}")))
    }

    /// What the tasks came to that ended on each of some days, and how many are in progress. A day is from one of these
    /// times to the next; they are in order.
    pub(crate) async fn outcomes_by_day(&self, starts: Vec<Timestamp>) -> Result<(Vec<Outcomes>, usize), Error> {
        let rows = self.index.tasks.read().len();
        self.look(rows, move |index| {
            let tasks = index.tasks.read();
            let mut days = vec![Outcomes::default(); starts.len().saturating_sub(1)];
            for ended in tasks.ended() {
                let day = starts.partition_point(|start| *start <= ended.at).checked_sub(1);
                let Some(day) = day.and_then(|day| days.get_mut(day)) else { continue };
                if ended.is_completed {
                    day.completed = day.completed.saturating_add(1);
                    day.saved_bytes = day.saved_bytes.saturating_add(ended.saved);
                } else {
                    day.failed = day.failed.saturating_add(1);
                }
            }
            (days, tasks.active_count())
        })
        .await
    }

    async fn listed<T>(&self, picked: &Picked, rows: Vec<T>) -> Result<Listed<T>, Error> {
        self.settled().await?;
        let next = picked.rows.last().copied().filter(|_| picked.has_more);
        Ok(Listed { rows, total: picked.total, next })
    }

    /// One task.
    pub(crate) async fn get_task(&self, uuid: super::model::TaskUuid) -> Result<(TaskId, TaskRecord), Error> {
        let id = self.find_task(uuid)?;
        let task = self.task(id).await?.ok_or_else(|| Error::TaskNotFound(uuid.to_string()))?;
        self.settled().await?;
        Ok((id, task.record))
    }
}

/// Greatest first.
pub(super) const DESCENDING: SortOrder = SortOrder::Desc;

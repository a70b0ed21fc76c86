//! The commands that list.

use steward_proto::transcode::v1::SortOrder;

use super::error::Error;
use super::farm::Farm;
use super::index::{
    Index, LogFilter, LogSort, Picked, Position, Start, TaskFilter, TaskSort, VideoFilter, VideoSort, pick,
};
use super::keys;
use super::model::{LogId, LogRecord, TaskId, TaskRecord, VideoId, VideoRecord};

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

impl Farm {
    /// Videos whose files are there.
    pub(crate) async fn list_videos(
        &self,
        filter: VideoFilter,
        page: PageOf<VideoSort>,
    ) -> Result<Listed<(VideoId, VideoRecord)>, Error> {
        let rows = self.index.videos.read().len();
        let picked = self
            .pick(rows, move |index| {
                let rows = index.videos.read().matching(&filter, page.sort);
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
    ) -> Result<Listed<(TaskId, TaskRecord)>, Error> {
        let rows = self.index.tasks.read().len();
        let picked = self
            .pick(rows, move |index| {
                let rows = {
                    let videos = (page.sort == TaskSort::Path).then(|| index.videos.read());
                    index.tasks.read().matching(&filter, page.sort, videos.as_deref())
                };
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
    ) -> Result<Listed<(LogId, LogRecord)>, Error> {
        let rows = self.index.logs.read().len();
        let picked = self
            .pick(rows, move |index| {
                let rows = index.logs.read().matching(&filter, page.sort);
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

    async fn pick(&self, rows: usize, choose: impl FnOnce(&Index) -> Picked + Send + 'static) -> Result<Picked, Error> {
        if rows <= SHORT_LIST {
            return Ok(choose(&self.index));
        }
        let index = std::sync::Arc::clone(&self.index);
        let chosen = tokio::task::spawn_blocking(move || choose(&index)).await;
        chosen.map_err(|error| Error::Internal(format!("a list broke off: {error}")))
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

/// Smallest first.
pub(super) const ASCENDING: SortOrder = SortOrder::Asc;
/// Greatest first.
pub(super) const DESCENDING: SortOrder = SortOrder::Desc;

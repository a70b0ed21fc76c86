//! The life of one subscription: two watches on one side, an event stream on the other.

use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream::try_unfold;
use steward_proto::transcode::v1::{
    WatchTasksResponse, WatchWorkersResponse, watch_tasks_response, watch_workers_response,
};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::cursor::Cursor;
use super::frame;
use super::watches::{Update, Watches};
use crate::options::PathStyle;

/// How often a comment shows that the connection lives, and finds out when it does not.
const HEARTBEAT_PERIOD: Duration = Duration::from_secs(15);
const HEARTBEAT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// One subscriber's connection.
pub(super) struct Subscription {
    watches: Watches,
    cursor: Cursor,
    style: PathStyle,
    shutdown: CancellationToken,
    heartbeat: Interval,
}

impl Subscription {
    pub(super) fn new(watches: Watches, cursor: Cursor, style: PathStyle, shutdown: CancellationToken) -> Self {
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT_PERIOD, HEARTBEAT_PERIOD);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { watches, cursor, style, shutdown, heartbeat }
    }

    /// Yields the frames of the event stream. It ends at the shutdown, and is cut off when a watch breaks; a client
    /// connects again in either case.
    pub(super) fn into_frames(self) -> impl Stream<Item = Result<Bytes, Status>> + Send {
        try_unfold(self, |mut subscription| async move {
            let frame = subscription.next_frame().await?;
            Ok(frame.map(|frame| (frame, subscription)))
        })
    }

    async fn next_frame(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            let update = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(None),
                update = self.watches.next() => update?,
                _ = self.heartbeat.tick() => return Ok(Some(HEARTBEAT)),
            };
            let frame = self.apply(update).await?;
            if frame.is_some() {
                return Ok(frame);
            }
        }
    }

    /// Answers what an update is told as, if it is told.
    async fn apply(&mut self, update: Update) -> Result<Option<Bytes>, Status> {
        match update {
            Update::Task(update) => Ok(self.of_task(update)),
            Update::Worker(update) => Ok(self.of_worker(update)),
            Update::TasksForgotten => {
                self.cursor.tasks = 0;
                self.watches.reopen_tasks().await.map(|()| None)
            }
            Update::WorkersForgotten => {
                self.cursor.workers = 0;
                self.watches.reopen_workers().await.map(|()| None)
            }
        }
    }

    fn of_task(&mut self, WatchTasksResponse { revision, update }: WatchTasksResponse) -> Option<Bytes> {
        use watch_tasks_response::Update;

        if revision > 0 {
            self.cursor.tasks = revision;
        }
        match update? {
            Update::Task(task) => Some(frame::task(self.place(revision), &task, self.style)),
            // The page forgets old tasks by itself.
            Update::DeletedId(_) => None,
            Update::SnapshotEnd(_) => self.place(revision).map(frame::mark),
        }
    }

    fn of_worker(&mut self, WatchWorkersResponse { revision, update }: WatchWorkersResponse) -> Option<Bytes> {
        use watch_workers_response::Update;

        if revision > 0 {
            self.cursor.workers = revision;
        }
        match update? {
            Update::Worker(worker) => Some(frame::worker(self.place(revision), &worker)),
            Update::DeletedWorkerId(id) => Some(frame::worker_deleted(self.place(revision), id)),
            Update::SnapshotEnd(_) => self.place(revision).map(frame::mark),
        }
    }

    /// Where to go on after an update. Within a snapshot, nowhere: it would be told only in part.
    fn place(&self, revision: i64) -> Option<Cursor> {
        (revision > 0).then_some(self.cursor)
    }
}

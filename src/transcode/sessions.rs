//! The workers that have a stream to this server: what is to be pushed to them goes through here.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::model::{TaskUuid, WorkerId};

/// Notices that wait for a slow stream. A stream that is further behind is cut off: the worker connects again and is
/// told how things stand.
const BACKLOG: usize = 64;

/// Something that a worker is told of its own accord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A task is to be stopped.
    Cancel { task: TaskUuid, reason: String },
    /// A task is no longer the worker's.
    LeaseLost { task: TaskUuid, reason: String },
    /// The worker's own record changed: its commands, its pause.
    Changed,
    /// Another stream has taken its place.
    Replaced,
}

/// Cancelled tasks that a worker without a stream is told of, at most.
const MOST_CANCELLED: usize = 64;

/// The open streams, and what workers without one are to hear at their next heartbeat.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    cancelled: Mutex<HashMap<WorkerId, Vec<TaskUuid>>>,
    streams: Mutex<HashMap<WorkerId, (u64, mpsc::Sender<Notice>)>>,
    next: std::sync::atomic::AtomicU64,
}

impl Sessions {
    /// Opens a stream for a worker; an older one is told that it is replaced.
    pub(crate) fn open(&self, worker: WorkerId) -> (u64, mpsc::Receiver<Notice>) {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if let Some((_, older)) = self.streams.lock().insert(worker, (number, sender)) {
            // A full one is cut off anyway, when its sender is dropped here.
            let _ = older.try_send(Notice::Replaced);
        }
        (number, receiver)
    }

    /// Ends a stream, unless it was replaced. Says whether it was the worker's own.
    pub(crate) fn close(&self, worker: WorkerId, number: u64) -> bool {
        let mut streams = self.streams.lock();
        let is_own = streams.get(&worker).is_some_and(|(current, _)| *current == number);
        if is_own {
            streams.remove(&worker);
        }
        is_own
    }

    /// Whether a stream is the worker's own, and not replaced.
    pub(crate) fn is_current(&self, worker: WorkerId, number: u64) -> bool {
        self.streams.lock().get(&worker).is_some_and(|(current, _)| *current == number)
    }

    /// Whether a worker has a stream.
    pub(crate) fn has(&self, worker: WorkerId) -> bool {
        self.streams.lock().contains_key(&worker)
    }

    /// The tasks that a worker is to stop and has said nothing of since.
    pub(crate) fn cancelled(&self, worker: WorkerId) -> Vec<TaskUuid> {
        self.cancelled.lock().get(&worker).cloned().unwrap_or_default()
    }

    /// A worker spoke of a task, and knows by the answer.
    pub(crate) fn forget_cancelled(&self, worker: WorkerId, task: TaskUuid) {
        let mut cancelled = self.cancelled.lock();
        if let Some(tasks) = cancelled.get_mut(&worker) {
            tasks.retain(|other| *other != task);
            if tasks.is_empty() {
                cancelled.remove(&worker);
            }
        }
    }

    /// A worker begins anew.
    pub(crate) fn forget_all_cancelled(&self, worker: WorkerId) {
        self.cancelled.lock().remove(&worker);
    }

    /// Tells a worker, if it has a stream; of a cancelled task, else at its next heartbeat.
    pub(crate) fn tell(&self, worker: WorkerId, notice: Notice) {
        if let Notice::Cancel { task, .. } = &notice {
            let mut cancelled = self.cancelled.lock();
            let tasks = cancelled.entry(worker).or_default();
            if tasks.len() < MOST_CANCELLED {
                tasks.push(*task);
            }
        }
        let mut streams = self.streams.lock();
        let is_behind = streams.get(&worker).is_some_and(|(_, sender)| sender.try_send(notice).is_err());
        if is_behind {
            streams.remove(&worker);
        }
    }
}

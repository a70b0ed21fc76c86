//! The changes of one command: a transaction, and what the index has to know once it is durable.

use prost::Message as _;
use steward_proto::store::v1::SequenceRecord;

use super::index::Index;
use super::keys;
use super::model::{
    LibraryRecord, LogId, LogLevel, LogRecord, TaskId, TaskRecord, VideoId, VideoRecord, WorkerId, WorkerRecord,
    cut_message,
};
use crate::clock::Timestamp;
use crate::store::{MAX_VALUE_BYTES, Revision, Table, Txn};

/// Whom an entry of the log is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum About<'a> {
    Nothing,
    Worker(WorkerId),
    Task(TaskId, &'a TaskRecord),
}

/// Shortens a message by so many bytes at least, between two characters: a long path and a long message together may
/// be more than a record holds.
fn cut_by(message: &mut String, excess: usize) {
    if excess > 0 {
        let most = message.len().saturating_sub(excess);
        let end = (0..=most).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        message.truncate(end);
    }
}

/// Changes to be made together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) txn: Txn,
    workers: Vec<(WorkerId, Option<WorkerRecord>)>,
    tasks: Vec<(TaskId, Option<TaskRecord>)>,
    videos: Vec<(VideoId, Option<VideoRecord>)>,
    logs: Vec<(LogId, Option<LogRecord>)>,
    libraries: Vec<(String, Option<LibraryRecord>)>,
}

impl Batch {
    /// Puts a worker that was as of `before`.
    pub(super) fn put_worker(&mut self, id: WorkerId, record: WorkerRecord, before: Option<Revision>) {
        self.txn.expect(keys::worker(id), before);
        self.txn.put(keys::worker(id), record.encode_to_vec());
        self.workers.push((id, Some(record)));
    }

    /// Gives a name to a worker, unless another has it.
    pub(super) fn claim_name(&mut self, name: &str, id: WorkerId) {
        self.txn.expect(keys::worker_name(name), None);
        self.txn.put(keys::worker_name(name), id.0.to_be_bytes().to_vec());
    }

    /// Notes how far the numbers of a table have been given out, before the highest may be removed.
    pub(super) fn note_highest(&mut self, table: Table, highest: i32) {
        self.txn.put(keys::sequence(table), SequenceRecord { highest }.encode_to_vec());
    }

    pub(super) fn delete_worker(&mut self, id: WorkerId, before: Revision) {
        self.txn.expect(keys::worker(id), Some(before));
        self.txn.delete(keys::worker(id));
        self.workers.push((id, None));
    }

    /// Puts a task that was as of `before`.
    pub(super) fn put_task(&mut self, id: TaskId, mut record: TaskRecord, before: Option<Revision>) {
        let excess = record.encoded_len().saturating_sub(MAX_VALUE_BYTES);
        cut_by(&mut record.error_message, excess);
        self.txn.expect(keys::task(id), before);
        self.txn.put(keys::task(id), record.encode_to_vec());
        self.tasks.push((id, Some(record)));
    }

    /// Removes an ended task, which never changes again but by its late worker: the loser starts over.
    pub(super) fn delete_task(&mut self, id: TaskId, before: Revision) {
        self.txn.expect(keys::task(id), Some(before));
        self.txn.delete(keys::task(id));
        self.tasks.push((id, None));
    }

    /// Puts a video that was as of `before`.
    pub(super) fn put_video(&mut self, id: VideoId, mut record: VideoRecord, before: Option<Revision>) {
        let excess = record.encoded_len().saturating_sub(MAX_VALUE_BYTES);
        cut_by(&mut record.error_message, excess);
        self.txn.expect(keys::video(id), before);
        self.txn.put(keys::video(id), record.encode_to_vec());
        self.videos.push((id, Some(record)));
    }

    /// Puts a video that had another path before.
    pub(super) fn move_video(&mut self, id: VideoId, record: VideoRecord, before: Revision, old_path: &str) {
        self.txn.delete(keys::video_path(old_path));
        self.put_video(id, record, Some(before));
    }

    /// Forgets a video that nobody has worked on; its path is another's from now on.
    pub(super) fn delete_video(&mut self, id: VideoId, before: Revision) {
        self.txn.expect(keys::video(id), Some(before));
        self.txn.delete(keys::video(id));
        self.videos.push((id, None));
    }

    /// Adds an entry to the log.
    pub(super) fn log(
        &mut self,
        index: &Index,
        now: Timestamp,
        (level, message): (LogLevel, String),
        about: About<'_>,
    ) -> (LogId, LogRecord) {
        let (id, time) = index.logs.write().allocate(now);
        let (task, worker) = match about {
            About::Nothing => (None, 0),
            About::Worker(worker) => (None, worker.0),
            About::Task(id, task) => (Some((id, task)), task.worker_id),
        };
        let record = LogRecord {
            task_id: task.map_or(0, |(id, _)| id.0),
            task_uuid: task.map(|(_, task)| task.uuid.clone()).unwrap_or_default(),
            log_nanos: time.nanos(),
            level: level as i32,
            message: cut_message(&message),
            worker_id: worker,
        };
        self.txn.put(keys::log(id), record.encode_to_vec());
        self.logs.push((id, Some(record.clone())));
        (id, record)
    }

    pub(super) fn delete_log(&mut self, id: LogId) {
        self.txn.delete(keys::log(id));
        self.logs.push((id, None));
    }

    /// Puts a library that was as of `before`.
    pub(super) fn put_library(&mut self, name: &str, record: LibraryRecord, before: Option<Revision>) {
        self.txn.expect(keys::library(name), before);
        self.txn.put(keys::library(name), record.encode_to_vec());
        self.libraries.push((name.to_owned(), Some(record)));
    }

    pub(super) fn delete_library(&mut self, name: &str, before: Revision) {
        self.txn.expect(keys::library(name), Some(before));
        self.txn.delete(keys::library(name));
        self.libraries.push((name.to_owned(), None));
    }

    /// Brings the changes into the index. Says whether somebody who found no work should look again: progress and signs
    /// of life are no reason, and neither is that others take work.
    pub(super) fn apply(self, index: &Index, revision: Revision, now: Timestamp) -> bool {
        let mut may_be_work = !self.libraries.is_empty();
        may_be_work |= apply_workers(self.workers, index, revision);
        if !self.tasks.is_empty() {
            let mut tasks = index.tasks.write();
            for (id, record) in self.tasks {
                match record {
                    Some(record) => may_be_work |= tasks.apply(id, &record, revision),
                    None => tasks.remove(id),
                }
            }
        }
        if !self.videos.is_empty() {
            let mut videos = index.videos.write();
            for (id, record) in self.videos {
                match record {
                    Some(record) => may_be_work |= videos.apply(id, &record, revision, now),
                    None => videos.remove(id),
                }
            }
        }
        if !self.logs.is_empty() {
            let mut logs = index.logs.write();
            for (id, record) in self.logs {
                match record {
                    Some(record) => logs.apply(id, &record),
                    None => logs.remove(id),
                }
            }
        }
        for (name, record) in self.libraries {
            let mut libraries = index.libraries.write();
            match record {
                Some(record) => libraries.apply(&name, record, revision),
                None => libraries.remove(&name),
            }
        }
        may_be_work
    }
}

fn apply_workers(changes: Vec<(WorkerId, Option<WorkerRecord>)>, index: &Index, revision: Revision) -> bool {
    if changes.is_empty() {
        return false;
    }
    let (mut workers, mut may_be_work) = (index.workers.write(), false);
    for (id, record) in changes {
        if let Some(record) = record {
            may_be_work |= workers.apply(id, record, revision);
        } else {
            workers.remove(id);
            // What was left to it is for others.
            may_be_work = true;
        }
    }
    may_be_work
}

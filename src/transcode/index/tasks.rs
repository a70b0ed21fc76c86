//! Tasks: rows for filters and sorts, UUIDs, and those in progress.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::dense::Dense;
use super::paths::Ranks;
use super::pick::{Numbers, Position, float_key, signed_key};
use crate::clock::Timestamp;
use crate::store::Revision;
use crate::transcode::model::{TaskId, TaskRecord, TaskStatus, TaskUuid, VideoId, WorkerId, is_in_progress};

/// What is kept of a task.
#[derive(Clone, Debug)]
struct Row {
    revision: Revision,
    uuid: TaskUuid,
    start: i64,
    end: i64,
    saved: i64,
    progress: f32,
    elapsed: i32,
    worker: i32,
    video: i32,
    status: u8,
}

impl Row {
    fn is_in_progress(&self) -> bool {
        let status = TaskStatus::try_from(i32::from(self.status));
        matches!(status, Ok(TaskStatus::Created | TaskStatus::Running))
    }
}

/// A task in progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Active {
    pub(crate) worker: WorkerId,
    /// When it was last heard of.
    pub(crate) updated: Timestamp,
}

/// Which tasks a list has.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskFilter {
    /// Empty: all.
    pub(crate) statuses: Vec<TaskStatus>,
    pub(crate) worker: Option<WorkerId>,
    pub(crate) video: Option<VideoId>,
}

/// What a list of tasks is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskSort {
    Start,
    Progress,
    Status,
    WorkerName,
    Elapsed,
    Path,
}

/// An ended task, for counts and for retention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) id: TaskId,
    pub(crate) started: Timestamp,
    pub(crate) at: Timestamp,
    pub(crate) is_completed: bool,
    pub(crate) saved: i64,
}

/// All tasks.
#[derive(Debug)]
pub(crate) struct Tasks {
    rows: Dense<Row>,
    by_uuid: HashMap<TaskUuid, i32>,
    active: BTreeMap<TaskId, Active>,
    /// Those in progress, by their worker.
    by_worker: HashMap<WorkerId, BTreeSet<TaskId>>,
    worker_names: HashMap<i32, Arc<str>>,
    next_id: i32,
}

impl Default for Tasks {
    fn default() -> Self {
        Tasks {
            rows: Dense::default(),
            by_uuid: HashMap::new(),
            active: BTreeMap::new(),
            by_worker: HashMap::new(),
            worker_names: HashMap::new(),
            next_id: 1,
        }
    }
}

impl Tasks {
    /// A number that was never given out.
    pub(crate) fn allocate(&mut self) -> TaskId {
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        TaskId(id)
    }

    /// Numbers up to this one have been given out.
    pub(crate) fn note_highest(&mut self, number: i32) {
        self.next_id = self.next_id.max(number.saturating_add(1));
    }

    /// The highest number that may have been given out.
    pub(crate) fn highest(&self) -> i32 {
        self.next_id - 1
    }

    /// Takes over a record as it is since `revision`. Says whether the task has ended by that.
    pub(crate) fn apply(&mut self, id: TaskId, record: &TaskRecord, revision: Revision) -> bool {
        self.note_highest(id.0);
        if self.rows.get(id.0).is_some_and(|row| row.revision > revision) {
            return false;
        }
        let uuid = TaskUuid::of(&record.uuid);
        self.by_uuid.insert(uuid, id.0);
        let was_active = self.end(id);
        if is_in_progress(record) {
            let (worker, updated) = (WorkerId(record.worker_id), Timestamp::from_nanos(record.update_nanos));
            self.active.insert(id, Active { worker, updated });
            self.by_worker.entry(worker).or_default().insert(id);
        }
        if self.worker_names.get(&record.worker_id).is_none_or(|name| **name != *record.worker_name) {
            self.worker_names.insert(record.worker_id, record.worker_name.as_str().into());
        }
        let is_completed = record.status == TaskStatus::Completed as i32;
        let is_saving = is_completed && record.output_bytes > 0 && record.source_bytes > 0;
        #[expect(clippy::cast_possible_truncation, reason = "a percentage has few digits")]
        let progress = record.progress as f32;
        let row = Row {
            revision,
            uuid,
            start: record.start_nanos,
            end: record.end_nanos,
            saved: if is_saving { record.source_bytes - record.output_bytes } else { 0 },
            progress,
            elapsed: record.elapsed_time,
            worker: record.worker_id,
            video: record.video_id,
            status: u8::try_from(record.status).unwrap_or(0),
        };
        let has_ended = was_active && !row.is_in_progress();
        self.rows.put(id.0, row);
        has_ended
    }

    /// Takes a task from those in progress. Says whether it was one.
    fn end(&mut self, id: TaskId) -> bool {
        let Some(active) = self.active.remove(&id) else { return false };
        if let Some(tasks) = self.by_worker.get_mut(&active.worker) {
            tasks.remove(&id);
            if tasks.is_empty() {
                self.by_worker.remove(&active.worker);
            }
        }
        true
    }

    /// Forgets a task that retention removed.
    pub(crate) fn remove(&mut self, id: TaskId) {
        if let Some(row) = self.rows.remove(id.0) {
            self.by_uuid.remove(&row.uuid);
            self.end(id);
        }
    }

    pub(crate) fn find(&self, uuid: TaskUuid) -> Option<TaskId> {
        self.by_uuid.get(&uuid).copied().map(TaskId)
    }

    /// Since when a task is as it is.
    pub(crate) fn revision(&self, id: TaskId) -> Option<Revision> {
        self.rows.get(id.0).map(|row| row.revision)
    }

    /// Which video a task is of.
    pub(crate) fn video_of(&self, id: TaskId) -> Option<VideoId> {
        self.rows.get(id.0).map(|row| VideoId(row.video))
    }

    pub(crate) fn uuid(&self, id: TaskId) -> Option<TaskUuid> {
        self.rows.get(id.0).map(|row| row.uuid)
    }

    /// The tasks in progress.
    pub(crate) fn active(&self) -> impl Iterator<Item = (TaskId, Active)> {
        self.active.iter().map(|(id, active)| (*id, *active))
    }

    pub(crate) fn is_active(&self, id: TaskId) -> bool {
        self.active.contains_key(&id)
    }

    pub(crate) fn active_count(&self) -> usize {
        self.active.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The tasks of a worker that are in progress.
    pub(crate) fn of_worker(&self, worker: WorkerId) -> Vec<TaskId> {
        self.by_worker.get(&worker).into_iter().flatten().copied().collect()
    }

    /// Whether a worker has tasks in progress.
    pub(crate) fn is_busy(&self, worker: WorkerId) -> bool {
        self.by_worker.contains_key(&worker)
    }

    /// Ended tasks, those first that began first.
    pub(crate) fn ended(&self) -> impl Iterator<Item = Ended> {
        let ended = self.rows.iter().filter(|(_, row)| !row.is_in_progress());
        ended.map(|(id, row)| Ended {
            id: TaskId(id),
            started: Timestamp::from_nanos(row.start),
            at: Timestamp::from_nanos(row.end),
            is_completed: i32::from(row.status) == TaskStatus::Completed as i32,
            saved: row.saved,
        })
    }

    /// The tasks of a filter behind a number, of so many that are looked at; and behind which number to go on.
    pub(crate) fn behind(&self, last: TaskId, filter: &TaskFilter, look_at: usize) -> (Vec<TaskId>, Option<TaskId>) {
        let (statuses, mut seen) = (statuses(filter), None);
        let mut rows = self.rows.behind(last.0);
        let wanted = rows.by_ref().take(look_at).inspect(|(id, _)| seen = Some(TaskId(*id)));
        let wanted = wanted.filter(|(_, row)| accepts(filter, statuses, row)).map(|(id, _)| TaskId(id)).collect();
        (wanted, seen.filter(|_| rows.next().is_some()))
    }

    /// The rows that a list has, not yet in order. `paths` is the order of the videos' paths.
    pub(crate) fn matching(&self, filter: &TaskFilter, sort: TaskSort, paths: Option<&Ranks>) -> Vec<Position> {
        let names = if sort == TaskSort::WorkerName { self.name_ranks() } else { HashMap::new() };
        let key = |row: &Row| match sort {
            TaskSort::Start => signed_key(row.start),
            TaskSort::Progress => float_key(f64::from(row.progress)),
            TaskSort::Status => u64::from(row.status),
            TaskSort::WorkerName => names.get(&row.worker).copied().unwrap_or(u64::MAX),
            TaskSort::Elapsed => signed_key(i64::from(row.elapsed)),
            TaskSort::Path => paths.map_or(0, |paths| paths.of(row.video)),
        };
        let statuses = statuses(filter);
        let rows = self.rows.iter().filter(|(_, row)| accepts(filter, statuses, row));
        rows.map(|(id, row)| Position { key: key(row), number: id }).collect()
    }

    /// The numbers of workers in the order of their names.
    fn name_ranks(&self) -> HashMap<i32, u64> {
        let mut names: Vec<(&Arc<str>, i32)> = self.worker_names.iter().map(|(id, name)| (name, *id)).collect();
        names.sort_unstable();
        names.into_iter().zip(0..).map(|((_, id), rank)| (id, rank)).collect()
    }
}

fn statuses(filter: &TaskFilter) -> Numbers {
    filter.statuses.iter().map(|status| *status as i32).collect()
}

fn accepts(filter: &TaskFilter, statuses: Numbers, row: &Row) -> bool {
    statuses.has(row.status)
        && filter.worker.is_none_or(|worker| worker.0 == row.worker)
        && filter.video.is_none_or(|video| video.0 == row.video)
}

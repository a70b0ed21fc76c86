//! The log: rows for filters and sorts.

use super::dense::Dense;
use super::pick::{Numbers, Position, signed_key};
use crate::clock::Timestamp;
use crate::transcode::model::{LogId, LogLevel, LogRecord, TaskId};

#[derive(Clone, Copy, Debug)]
struct Row {
    time: i64,
    task: i32,
    level: u8,
}

/// Which entries a list has.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogFilter {
    /// Empty: all.
    pub(crate) levels: Vec<LogLevel>,
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    pub(crate) task: Option<TaskId>,
}

/// What a list of entries is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogSort {
    Time,
    Id,
    Level,
}

/// All entries.
#[derive(Debug)]
pub(crate) struct Logs {
    rows: Dense<Row>,
    next_id: i32,
    latest: Timestamp,
}

impl Default for Logs {
    fn default() -> Self {
        Logs { rows: Dense::default(), next_id: 1, latest: Timestamp::from_nanos(0) }
    }
}

impl Logs {
    /// An id that was never given out, and a time that is not before that of any lower id.
    pub(crate) fn allocate(&mut self, now: Timestamp) -> (LogId, Timestamp) {
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        self.latest = self.latest.max(now);
        (LogId(id), self.latest)
    }

    /// Ids up to this one have been given out.
    pub(crate) fn note_highest(&mut self, number: i32) {
        self.next_id = self.next_id.max(number.saturating_add(1));
    }

    /// The highest id that may have been given out.
    pub(crate) fn highest(&self) -> i32 {
        self.next_id - 1
    }

    /// Takes over an entry. Entries never change.
    pub(crate) fn apply(&mut self, id: LogId, record: &LogRecord) {
        self.note_highest(id.0);
        self.latest = self.latest.max(Timestamp::from_nanos(record.log_nanos));
        let level = u8::try_from(record.level).unwrap_or(0);
        self.rows.put(id.0, Row { time: record.log_nanos, task: record.task_id, level });
    }

    pub(crate) fn remove(&mut self, id: LogId) {
        self.rows.remove(id.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The oldest entries with their times.
    pub(crate) fn oldest(&self) -> impl Iterator<Item = (LogId, Timestamp)> {
        self.rows.iter().map(|(id, row)| (LogId(id), Timestamp::from_nanos(row.time)))
    }

    /// Which task an entry is about.
    pub(crate) fn task_of(&self, id: LogId) -> Option<TaskId> {
        self.rows.get(id.0).map(|row| TaskId(row.task))
    }

    /// The rows that a list has, not yet in order.
    pub(crate) fn matching(&self, filter: &LogFilter, sort: LogSort) -> Vec<Position> {
        let key = |id: i32, row: &Row| match sort {
            LogSort::Time => signed_key(row.time),
            LogSort::Id => signed_key(i64::from(id)),
            LogSort::Level => u64::from(row.level),
        };
        let levels: Numbers = filter.levels.iter().map(|level| *level as i32).collect();
        let rows = self.rows.iter().filter(|(_, row)| levels.has(row.level) && accepts(filter, row));
        rows.map(|(id, row)| Position { key: key(id, row), number: id }).collect()
    }
}

/// Whether a row is as the filter says, its level aside.
fn accepts(filter: &LogFilter, row: &Row) -> bool {
    filter.start.is_none_or(|start| start.nanos() <= row.time)
        && filter.end.is_none_or(|end| row.time <= end.nanos())
        && filter.task.is_none_or(|task| task.0 == row.task)
}

//! What the farm keeps in memory beside its records: enough to choose, to filter and to sort, and nothing that a start
//! cannot tell anew from them.
//!
//! A row follows its record: every command applies what it committed, and a row never goes back to an older revision.
//! Decisions are not taken from rows alone: a claim that was chosen here is made by a commit that expects the record.

mod candidates;
#[cfg(test)]
mod candidates_test;
mod dense;
mod libraries;
mod logs;
mod names;
mod paths;
mod pick;
#[cfg(test)]
mod rows_test;
mod tasks;
mod videos;
mod workers;

use parking_lot::RwLock;

pub(super) use self::candidates::Wish;
pub(super) use self::libraries::{Libraries, Library};
pub(super) use self::logs::{LogFilter, LogSort, Logs};
pub(super) use self::pick::{Picked, Position, Start, pick};
pub(super) use self::tasks::{Active, TaskFilter, TaskSort, Tasks};
pub(super) use self::videos::{Reserved, VideoFilter, VideoSort, Videos};
pub(super) use self::workers::{WorkerEntry, Workers};

/// All of it. The locks are held for a short time; who needs two takes the videos' first.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) workers: RwLock<Workers>,
    pub(super) tasks: RwLock<Tasks>,
    pub(super) videos: RwLock<Videos>,
    pub(super) logs: RwLock<Logs>,
    pub(super) libraries: RwLock<Libraries>,
}

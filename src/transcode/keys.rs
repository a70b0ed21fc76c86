//! The keys of the farm's tables. Numbers are positive, so they keep their order.

use super::model::{LogId, TaskId, VideoId, WorkerId};
use crate::store::key::{KeyBuilder, KeyReader, digest};
use crate::store::{Key, Table};

fn numbered(table: Table, number: i32) -> Key {
    KeyBuilder::new(table).number(u64::try_from(number).unwrap_or(0)).build()
}

/// The number that a key of one of these tables ends in.
pub(super) fn number_of(key: &Key) -> Option<i32> {
    KeyReader::new(key).number().and_then(|number| i32::try_from(number).ok())
}

pub(super) fn worker(id: WorkerId) -> Key {
    numbered(Table::Worker, id.0)
}

pub(super) fn worker_name(name: &str) -> Key {
    KeyBuilder::new(Table::WorkerName).fixed(&digest(&[name.as_bytes()])).build()
}

pub(super) fn task(id: TaskId) -> Key {
    numbered(Table::Task, id.0)
}

pub(super) fn video(id: VideoId) -> Key {
    numbered(Table::Video, id.0)
}

pub(super) fn video_path(path: &str) -> Key {
    KeyBuilder::new(Table::VideoPath).fixed(&digest(&[path.as_bytes()])).build()
}

pub(super) fn log(id: LogId) -> Key {
    numbered(Table::FarmLog, id.0)
}

pub(super) fn library(name: &str) -> Key {
    KeyBuilder::new(Table::Library).text(name).build()
}

/// The name that the key of a library has.
pub(super) fn library_name(key: &Key) -> Option<String> {
    KeyReader::new(key).text()
}

pub(super) fn sequence(table: Table) -> Key {
    KeyBuilder::new(Table::Sequence).number(table as u64).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_the_order_of_the_numbers_and_read_back() {
        let keys = [1, 2, 255, 256, 70_000, i32::MAX].map(|number| video(VideoId(number)));
        assert!(keys.is_sorted());
        assert_eq!(number_of(&keys[4]), Some(70_000));
        assert_eq!(library_name(&library("films")).as_deref(), Some("films"));
    }
}

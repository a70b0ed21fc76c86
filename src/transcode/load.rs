//! The index as the records have it, at a start.

use prost::Message;
use steward_proto::store::v1::SequenceRecord;

use super::error::Error;
use super::farm::Stored;
use super::index::Index;
use super::keys;
use super::model::{LogId, TaskId, VideoId, WorkerId};
use crate::clock::Timestamp;
use crate::store::{self, Key, KeyRange, Record, Store, Table};

/// Records that are read at a time.
const PAGE: usize = 1000;

/// Reads a message of the store.
pub(super) fn decode<R: Message + Default>(key: &Key, record: &Record) -> Result<R, Error> {
    R::decode(record.value.clone()).map_err(|error| damaged(key, error.to_string()))
}

fn damaged(key: &Key, reason: String) -> Error {
    store::Error::Damaged { key: key.to_string(), reason }.into()
}

/// The message of a key, if there is one.
pub(super) async fn read<R: Message + Default>(store: &dyn Store, key: &Key) -> Result<Option<Stored<R>>, Error> {
    let Some(record) = store.get(key).await? else { return Ok(None) };
    Ok(Some(Stored { record: decode(key, &record)?, revision: record.revision }))
}

/// Reads everything that the index is made of.
pub(super) async fn load(store: &dyn Store, now: Timestamp) -> Result<Index, Error> {
    let index = Index::default();
    each(store, Table::Library, |key, record| {
        let name = keys::library_name(key).ok_or_else(|| damaged(key, "its key has no name".to_owned()))?;
        index.libraries.write().apply(&name, decode(key, record)?, record.revision);
        Ok(())
    })
    .await?;
    each(store, Table::Worker, |key, record| {
        index.workers.write().apply(WorkerId(number(key)?), decode(key, record)?, record.revision);
        Ok(())
    })
    .await?;
    each(store, Table::Video, |key, record| {
        index.videos.write().apply(VideoId(number(key)?), &decode(key, record)?, record.revision, now);
        Ok(())
    })
    .await?;
    each(store, Table::Task, |key, record| {
        index.tasks.write().apply(TaskId(number(key)?), &decode(key, record)?, record.revision);
        Ok(())
    })
    .await?;
    each(store, Table::FarmLog, |key, record| {
        index.logs.write().apply(LogId(number(key)?), &decode(key, record)?);
        Ok(())
    })
    .await?;
    index.workers.write().note_highest(highest(store, Table::Worker).await?);
    index.tasks.write().note_highest(highest(store, Table::Task).await?);
    index.logs.write().note_highest(highest(store, Table::FarmLog).await?);
    Ok(index)
}

async fn highest(store: &dyn Store, table: Table) -> Result<i32, Error> {
    let sequence: Option<Stored<SequenceRecord>> = read(store, &keys::sequence(table)).await?;
    Ok(sequence.map_or(0, |sequence| sequence.record.highest))
}

fn number(key: &Key) -> Result<i32, Error> {
    keys::number_of(key).ok_or_else(|| damaged(key, "its key has no number".to_owned()))
}

async fn each(
    store: &dyn Store,
    table: Table,
    mut take: impl FnMut(&Key, &Record) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut range = KeyRange::prefix(&Key::table(table));
    loop {
        let page = store.scan(range.clone(), PAGE).await?;
        for (key, record) in &page.records {
            take(key, record)?;
        }
        match page.records.last() {
            Some((last, _)) if page.has_more => range = range.after(last),
            _ => return Ok(()),
        }
    }
}

//! A transaction that remembers what it has read: everything a decision was based on becomes a precondition.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

use super::{Error, Key, KeyRange, Revision, Step, Store, Txn};

/// Reads records and gathers changes. What was read must still be so when the changes are committed.
///
/// Ranges are not guarded: who decides by a range also reads a record that every writer of the range changes, such as
/// the directory whose entries they are.
pub(crate) struct Tx<'a> {
    store: &'a dyn Store,
    seen: BTreeMap<Key, Option<Revision>>,
    writes: BTreeMap<Key, Option<Bytes>>,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(store: &'a dyn Store) -> Self {
        Tx { store, seen: BTreeMap::new(), writes: BTreeMap::new() }
    }

    /// The value of a key: as this transaction has written it, or as it is stored.
    pub(crate) async fn bytes(&mut self, key: &Key) -> Result<Option<Bytes>, Error> {
        if let Some(written) = self.writes.get(key) {
            return Ok(written.clone());
        }
        let record = self.store.get(key).await?;
        // The first look counts: if the record has changed since, the commit finds out.
        self.seen.entry(key.clone()).or_insert(record.as_ref().map(|record| record.revision));
        Ok(record.map(|record| record.value))
    }

    /// The record of a key.
    pub(crate) async fn get<M: Message + Default>(&mut self, key: &Key) -> Result<Option<M>, Error> {
        self.bytes(key).await?.map(|value| decode(key, &value)).transpose()
    }

    /// The record of a key as it is stored, which need not still be so when the changes are committed.
    pub(crate) async fn stored<M: Message + Default>(&self, key: &Key) -> Result<Option<M>, Error> {
        read(self.store, key).await
    }

    /// Up to `limit` keys and values of a range as they are stored; see above about guarding it.
    pub(crate) async fn scan(&self, range: KeyRange, limit: usize) -> Result<Vec<(Key, Bytes)>, Error> {
        scan(self.store, range, limit).await
    }

    /// The revision at which a key that this transaction has read was last changed.
    pub(crate) fn revision(&self, key: &Key) -> Option<Revision> {
        self.seen.get(key).copied().flatten()
    }

    /// Gives a key a record.
    pub(crate) fn put(&mut self, key: Key, record: &impl Message) {
        self.put_bytes(key, record.encode_to_vec());
    }

    /// Gives a key a value.
    pub(crate) fn put_bytes(&mut self, key: Key, value: impl Into<Bytes>) {
        self.writes.insert(key, Some(value.into()));
    }

    /// Removes the record of a key.
    pub(crate) fn delete(&mut self, key: Key) {
        self.writes.insert(key, None);
    }

    /// What a command comes to: its changes, if it has any, and its answer.
    pub(crate) fn answer<T>(self, answer: T) -> Step<T> {
        if self.writes.is_empty() {
            return Step::Answer(answer);
        }
        let mut txn = Txn::default();
        for (key, revision) in self.seen {
            txn.expect(key, revision);
        }
        for (key, value) in self.writes {
            match value {
                Some(value) => txn.put(key, value),
                None => txn.delete(key),
            }
        }
        Step::Commit(txn, answer)
    }
}

/// Reads a record from its bytes.
pub(crate) fn decode<M: Message + Default>(key: &Key, value: &[u8]) -> Result<M, Error> {
    M::decode(value).map_err(|error| Error::Damaged { key: key.to_string(), reason: error.to_string() })
}

/// The record of a key as it is now, outside of a transaction.
pub(crate) async fn read<M: Message + Default>(store: &dyn Store, key: &Key) -> Result<Option<M>, Error> {
    store.get(key).await?.map(|record| decode(key, &record.value)).transpose()
}

/// Up to `limit` keys and values of a range from its start on, however many pages that takes.
pub(crate) async fn scan(store: &dyn Store, mut range: KeyRange, limit: usize) -> Result<Vec<(Key, Bytes)>, Error> {
    const PAGE: usize = 512;
    let mut found = Vec::new();
    while found.len() < limit {
        let page = store.scan(range.clone(), PAGE.min(limit - found.len())).await?;
        let last = page.records.last().map(|(key, _)| key.clone());
        found.extend(page.records.into_iter().map(|(key, record)| (key, record.value)));
        let Some(last) = last.filter(|_| page.has_more) else { break };
        range = range.after(&last);
    }
    Ok(found)
}

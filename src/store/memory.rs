//! A store that forgets everything when it is dropped: for tests and simulations.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use parking_lot::RwLock;

use super::backend::{Backend, Batch};
use super::{Key, KeyRange};

/// An ordered map in memory.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    map: RwLock<BTreeMap<Key, Bytes>>,
}

impl Backend for MemoryBackend {
    fn get(&self, key: &[u8]) -> std::io::Result<Option<Bytes>> {
        Ok(self.map.read().get(key).cloned())
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> std::io::Result<Vec<(Key, Bytes)>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let map = self.map.read();
        Ok(map.range(bounds(range)).take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn apply(&self, batch: Batch) -> std::io::Result<()> {
        let mut map = self.map.write();
        for (key, value) in batch {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }
}

fn bounds(range: &KeyRange) -> (Bound<Key>, Bound<Key>) {
    let end = range.end.clone().map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(range.start.clone()), end)
}

#[cfg(test)]
mod tests {
    use crate::store::suite;

    suite::behaviours!(suite::Memory::default());
}

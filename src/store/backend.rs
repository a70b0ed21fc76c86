//! What an embedded store is built on: an ordered map of bytes whose batches are durable.

use bytes::Bytes;

use super::{Key, KeyRange};

/// Writes of one batch: a value, or `None` to remove.
pub type Batch = Vec<(Key, Option<Bytes>)>;

/// An ordered map of bytes on some medium. Only one thread applies batches; any number read.
pub trait Backend: Send + Sync + 'static {
    /// The value of `key`. May wait for a disk, briefly.
    fn get(&self, key: &[u8]) -> std::io::Result<Option<Bytes>>;

    /// The first `limit` pairs of a range, in order.
    fn scan(&self, range: &KeyRange, limit: usize) -> std::io::Result<Vec<(Key, Bytes)>>;

    /// Applies a batch, whole or not at all even when the power fails, and returns once it is durable. After an error
    /// the state on the medium is unknown and nothing more is applied.
    fn apply(&self, batch: Batch) -> std::io::Result<()>;
}

impl<B: Backend> Backend for std::sync::Arc<B> {
    fn get(&self, key: &[u8]) -> std::io::Result<Option<Bytes>> {
        (**self).get(key)
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> std::io::Result<Vec<(Key, Bytes)>> {
        (**self).scan(range, limit)
    }

    fn apply(&self, batch: Batch) -> std::io::Result<()> {
        (**self).apply(batch)
    }
}

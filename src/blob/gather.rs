//! Bytes on their way to a thread that writes them: gathered, so that few trips are needed, and never many.

use bytes::{Bytes, BytesMut};

/// When so many bytes have been gathered they are to be written.
const BATCH_BYTES: usize = 256 * 1024;
/// Chunks shorter than this are copied together: what a chunk costs beside its bytes must not add up.
const SMALL_BYTES: usize = 16 * 1024;

/// What has been gathered.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    chunks: Vec<Bytes>,
    small: BytesMut,
    bytes: usize,
}

impl Gathered {
    /// Takes the next bytes.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.bytes += chunk.len();
        if chunk.len() < SMALL_BYTES {
            self.small.extend_from_slice(&chunk);
        } else {
            self.end_small();
            self.chunks.push(chunk);
        }
    }

    /// Whether they are to be written.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES
    }

    /// All of them, in order.
    pub(crate) fn take(&mut self) -> Vec<Bytes> {
        self.end_small();
        self.bytes = 0;
        std::mem::take(&mut self.chunks)
    }

    fn end_small(&mut self) {
        if !self.small.is_empty() {
            self.chunks.push(self.small.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_in_order_and_small_chunks_become_few() {
        let mut gathered = Gathered::default();
        let large = Bytes::from(vec![b'x'; SMALL_BYTES]);
        for chunk in [Bytes::from_static(b"a"), Bytes::new(), Bytes::from_static(b"b"), large.clone()] {
            gathered.push(chunk);
        }
        gathered.push(Bytes::from_static(b"c"));
        assert_eq!(gathered.take(), [Bytes::from_static(b"ab"), large, Bytes::from_static(b"c")]);
        assert!(gathered.take().is_empty());
    }

    #[test]
    fn single_bytes_fill_a_batch_and_no_more_memory() {
        let mut gathered = Gathered::default();
        let mut pushed = 0;
        while !gathered.is_full() {
            gathered.push(Bytes::from_static(b"x"));
            pushed += 1;
        }
        assert_eq!(pushed, BATCH_BYTES);
        assert_eq!(gathered.take().len(), 1);
    }
}

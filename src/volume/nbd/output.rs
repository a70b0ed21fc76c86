//! Replies that were not sent yet.

use super::problem::Problem;
use super::protocol::reply;

/// From this length on replies are sent, even if more requests are there.
pub(super) const SEND_BYTES: usize = 256 * 1024;
/// What a buffer keeps of its memory when it is empty.
const KEPT_BYTES: usize = 4 * SEND_BYTES;

/// Replies that were not sent yet.
///
/// The bytes behind the end stay what they were before, so that data is read to where it is sent from without being
/// cleared first.
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    used: usize,
}

impl Output {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Whether it is time to send.
    pub(super) fn is_large(&self) -> bool {
        self.used >= SEND_BYTES
    }

    /// Forgets what was sent.
    pub(super) fn clear(&mut self) {
        self.used = 0;
        if self.bytes.len() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
    }

    /// Hands over what there is, and starts anew.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(self.used);
        self.used = 0;
        bytes
    }

    /// Room for `count` bytes behind the end. What is put there counts only after [`Output::advance`].
    pub(super) fn room(&mut self, count: usize) -> &mut [u8] {
        let end = self.used + count;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.used..end]
    }

    /// The next `count` bytes of the room belong to a reply.
    pub(super) fn advance(&mut self, count: usize) {
        self.used += count;
        debug_assert!(self.used <= self.bytes.len(), "only after there was room");
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    /// A reply without data. It is good for every request but those that must have a structured reply.
    pub(super) fn put_simple(&mut self, cookie: u64, error: u32) {
        self.put(&simple(cookie, error));
    }

    /// The head of a chunk of a structured reply.
    pub(super) fn put_chunk(&mut self, cookie: u64, flags: u16, kind: u16, length: u32) {
        self.put(&chunk(cookie, flags, kind, length));
    }

    /// The last chunk of a structured reply: it failed.
    pub(super) fn put_error(&mut self, cookie: u64, problem: Problem, offset: Option<u64>) {
        let text = problem.message.as_bytes();
        // Messages are short and of our own making.
        let text_length = u16::try_from(text.len()).unwrap_or(0);
        let (kind, tail) = match offset {
            Some(_) => (reply::ERROR_OFFSET, 8),
            None => (reply::ERROR, 0),
        };
        self.put_chunk(cookie, reply::FLAG_DONE, kind, 6 + u32::from(text_length) + tail);
        self.put(&problem.number.to_be_bytes());
        self.put(&text_length.to_be_bytes());
        self.put(&text[..usize::from(text_length)]);
        if let Some(offset) = offset {
            self.put(&offset.to_be_bytes());
        }
    }
}

/// A simple reply.
pub(super) fn simple(cookie: u64, error: u32) -> [u8; reply::SIMPLE_BYTES] {
    let mut head = [0; reply::SIMPLE_BYTES];
    head[..4].copy_from_slice(&reply::SIMPLE_MAGIC.to_be_bytes());
    head[4..8].copy_from_slice(&error.to_be_bytes());
    head[8..].copy_from_slice(&cookie.to_be_bytes());
    head
}

/// The head of a chunk.
pub(super) fn chunk(cookie: u64, flags: u16, kind: u16, length: u32) -> [u8; reply::STRUCTURED_BYTES] {
    let mut head = [0; reply::STRUCTURED_BYTES];
    head[..4].copy_from_slice(&reply::STRUCTURED_MAGIC.to_be_bytes());
    head[4..6].copy_from_slice(&flags.to_be_bytes());
    head[6..8].copy_from_slice(&kind.to_be_bytes());
    head[8..16].copy_from_slice(&cookie.to_be_bytes());
    head[16..].copy_from_slice(&length.to_be_bytes());
    head
}

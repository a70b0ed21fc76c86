//! What was received and not yet used.

use std::io;

use super::link::Link;

/// How much is received at once: many small requests, or a good part of a long write that is still in the processor's
/// cache when it is written.
pub(super) const INPUT_BYTES: usize = 256 * 1024;
/// With less room than this behind what is there, it moves to the front first.
const MIN_ROOM: usize = INPUT_BYTES / 4;

/// What was received and not yet used. It never holds more than [`INPUT_BYTES`].
pub(super) struct Input {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Input {
    pub(super) fn new() -> Self {
        Input { bytes: vec![0; INPUT_BYTES].into_boxed_slice(), start: 0, end: 0 }
    }

    /// What is there.
    pub(super) fn available(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The first `N` bytes, if so many are there.
    pub(super) fn peek<const N: usize>(&self) -> Option<&[u8; N]> {
        self.available().first_chunk()
    }

    /// Forgets the first `count` bytes, of which there are at least so many.
    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end, "only what is there can be used");
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Waits for more; 0 at the end of the stream. There has to be room.
    pub(super) fn fill(&mut self, link: &mut Link) -> io::Result<usize> {
        if self.start > 0 && self.bytes.len() - self.end < MIN_ROOM {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let received = link.receive(&mut self.bytes[self.end..])?;
        self.end += received;
        Ok(received)
    }

    /// Waits until at least `count` bytes are there, which is not more than fit. Fails at the end of the stream.
    pub(super) fn need(&mut self, count: usize, link: &mut Link) -> io::Result<()> {
        while self.end - self.start < count {
            if self.fill(link)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

//! The bytes of an open file, a piece at a time.
//!
//! What is in the page cache is read at once: that copy takes less than the trip to another thread. From the first
//! bytes that are not there, threads that may block read each piece while the one before is on its way.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::io::{ReadWriteFlags, preadv2};
use tokio::task::{JoinHandle, spawn_blocking};

use super::range::Extent;

/// How many bytes a piece has at most.
const PIECE_BYTES: u64 = 256 * 1024;
/// How many pieces are on their way before the memory of the first one is used again. A connection asks for the next
/// one when there is still a little of the one before.
const LENT: usize = 2;

/// Reads an extent of a file: exactly its bytes, or an error.
#[derive(Debug)]
pub(super) struct Reader {
    file: Arc<File>,
    /// What nobody reads yet.
    rest: Extent,
    /// What a thread reads.
    ahead: Option<JoinHandle<io::Result<BytesMut>>>,
    /// Pieces on their way. Fresh memory would have to be zeroed and to be mapped for each of them.
    lent: VecDeque<Bytes>,
}

impl Reader {
    pub(super) fn new(file: File, extent: Extent) -> Self {
        Reader { file: Arc::new(file), rest: extent, ahead: None, lent: VecDeque::new() }
    }

    /// Reads the next piece, which is empty at the end. Blocks.
    pub(super) fn read(&mut self) -> io::Result<Bytes> {
        let (piece, first) = self.begin_piece();
        let piece = fill(&self.file, piece, first)?;
        Ok(self.lend(piece))
    }

    /// Reads the next piece if it does not take waiting: some bytes that are there, at least one.
    pub(super) fn read_cached(&mut self) -> Option<Bytes> {
        let begun = self.rest;
        let (mut piece, first) = self.begin_piece();
        let count = preadv2(&self.file, &mut [IoSliceMut::new(&mut piece)], first, ReadWriteFlags::NOWAIT).unwrap_or(0);
        piece.truncate(count);
        self.rest = begun.after(count as u64);
        (count > 0).then(|| self.lend(piece))
    }

    /// Reads the next piece; `None` after the last one and after an error.
    pub(super) async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let reading = match self.ahead.take() {
            Some(reading) => reading,
            None if self.rest.length == 0 => return None,
            None => match self.read_cached() {
                Some(piece) => return Some(Ok(piece)),
                None => self.read_on_thread(),
            },
        };
        let read = reading.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        match read {
            Ok(piece) => {
                let piece = self.lend(piece);
                self.ahead = (self.rest.length > 0).then(|| self.read_on_thread());
                Some(Ok(piece))
            }
            Err(error) => {
                self.rest.length = 0;
                Some(Err(error))
            }
        }
    }

    fn read_on_thread(&mut self) -> JoinHandle<io::Result<BytesMut>> {
        let (piece, first) = self.begin_piece();
        let file = Arc::clone(&self.file);
        spawn_blocking(move || fill(&file, piece, first))
    }

    /// Memory for the next piece, and where that begins.
    fn begin_piece(&mut self) -> (BytesMut, u64) {
        let (first, length) = (self.rest.first, self.rest.length.min(PIECE_BYTES));
        self.rest = self.rest.after(length);
        let length = usize::try_from(length).expect("a piece fits into memory");
        let sent = if self.lent.len() < LENT { None } else { self.lent.pop_front() };
        let piece = match sent.map(Bytes::try_into_mut) {
            Some(Ok(mut piece)) => {
                piece.resize(length, 0);
                piece
            }
            Some(Err(_)) | None => BytesMut::zeroed(length),
        };
        (piece, first)
    }

    fn lend(&mut self, piece: BytesMut) -> Bytes {
        let piece = piece.freeze();
        if self.rest.length > 0 {
            self.lent.push_back(piece.clone());
        }
        piece
    }
}

/// Fills a piece. A file that is shorter than it was is an error.
fn fill(file: &File, mut piece: BytesMut, first: u64) -> io::Result<BytesMut> {
    file.read_exact_at(&mut piece, first)?;
    Ok(piece)
}

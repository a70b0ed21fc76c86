//! The bytes of an open file, a piece at a time.
//!
//! What is in memory is read at once: that copy takes less than the trip to another thread. From the first bytes that
//! are not there, threads that may block read each piece while the one before is on its way.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::{JoinHandle, spawn_blocking};

use super::extent::Extent;
use super::files::is_in_memory;

/// How many bytes a piece has at most.
const PIECE_BYTES: u64 = 256 * 1024;
/// How many pieces are on their way before the memory of the first one is used again. A connection asks for the next
/// one when there is still a little of the one before.
const LENT: usize = 2;

/// Reads an extent of a file: exactly its bytes, or an error.
#[derive(Debug)]
pub(crate) struct Reader {
    file: Arc<File>,
    /// What nobody reads yet.
    rest: Extent,
    /// What a thread reads.
    ahead: Option<JoinHandle<io::Result<BytesMut>>>,
    knows_cache: bool,
    /// How to read what is in memory, and nothing else.
    at_once: ReadWriteFlags,
    /// Pieces on their way. Fresh memory would have to be zeroed and to be mapped for each of them.
    lent: VecDeque<Bytes>,
}

impl Reader {
    pub(crate) fn new(file: File, extent: Extent) -> Self {
        // File systems in memory have all of it there, and do not know the flag.
        let at_once = if is_in_memory(&file) { ReadWriteFlags::empty() } else { ReadWriteFlags::NOWAIT };
        let file = Arc::new(file);
        Reader { file, rest: extent, ahead: None, knows_cache: false, at_once, lent: VecDeque::new() }
    }

    /// Whether the file system has told what is in memory. Those behind a network do not.
    pub(crate) fn knows_cache(&self) -> bool {
        self.knows_cache
    }

    /// Reads the next piece; `None` after the last one and after an error.
    pub(crate) async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let reading = match self.ahead.take() {
            Some(reading) => reading,
            None if self.rest.length == 0 => return None,
            None => {
                let begun = self.rest;
                let (mut piece, first) = self.begin_piece();
                let cached = preadv2(&self.file, &mut [IoSliceMut::new(&mut piece)], first, self.at_once);
                self.knows_cache = matches!(cached, Ok(_) | Err(Errno::AGAIN));
                match cached {
                    // Even a little is worth its own piece.
                    Ok(count) if count > 0 => {
                        piece.truncate(count);
                        self.rest = begun.after(count as u64);
                        return Some(Ok(self.lend(piece)));
                    }
                    Ok(_) | Err(_) => self.read_on_thread(piece, first),
                }
            }
        };
        let read = reading.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let read = read.map(|piece| self.lend(piece));
        match read {
            Ok(_) if self.rest.length > 0 => {
                let (piece, first) = self.begin_piece();
                self.ahead = Some(self.read_on_thread(piece, first));
            }
            Ok(_) => {}
            Err(_) => self.rest.length = 0,
        }
        Some(read)
    }

    /// Begins to fill a piece. A file that is shorter than it was is an error.
    fn read_on_thread(&self, mut piece: BytesMut, first: u64) -> JoinHandle<io::Result<BytesMut>> {
        let file = Arc::clone(&self.file);
        spawn_blocking(move || {
            file.read_exact_at(&mut piece, first)?;
            Ok(piece)
        })
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use super::*;

    /// Where files are, and how they are read at once: a directory whose file system mostly knows what is in the page
    /// cache, one in memory, and one whose file system never reads at once, since it does not know how.
    const PLACES: [(&str, Option<ReadWriteFlags>); 3] = [
        (env!("CARGO_MANIFEST_DIR"), None),
        ("/dev/shm", None),
        ("/dev/shm", Some(ReadWriteFlags::from_bits_retain(1 << 31))),
    ];

    fn reader((directory, at_once): (&str, Option<ReadWriteFlags>), content: &[u8], extent: Extent) -> Reader {
        let directory = if Path::new(directory).is_dir() { Path::new(directory) } else { Path::new("/tmp") };
        let mut file = tempfile::tempfile_in(directory).unwrap();
        file.write_all(content).unwrap();
        let mut reader = Reader::new(file, extent);
        reader.at_once = at_once.unwrap_or(reader.at_once);
        reader
    }

    async fn content(mut reader: Reader) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        // Kept as a connection does that is slow, so that their memory must not be used again.
        let mut pieces = Vec::new();
        while let Some(piece) = reader.next().await {
            pieces.push(piece?);
            if pieces.len() > 3 {
                content.extend_from_slice(&pieces.remove(0));
            }
        }
        content.extend(pieces.concat());
        Ok(content)
    }

    #[tokio::test]
    async fn an_extent_is_read_byte_by_byte_however_it_lies() {
        let bytes: Vec<u8> =
            (0..3_000_001_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        for place in PLACES {
            for (first, length) in [(0, 3_000_001), (1, 1), (5, 0), (262_143, 262_145), (3_000_000, 1)] {
                let reader = reader(place, &bytes, Extent { first, length });
                let first = usize::try_from(first).unwrap();
                let wanted = &bytes[first..first + usize::try_from(length).unwrap()];
                assert!(content(reader).await.unwrap() == wanted, "{place:?} {first} {length}");
            }
        }
    }

    #[tokio::test]
    async fn memory_that_was_sent_is_used_again() {
        for place in PLACES {
            let length = 16 * PIECE_BYTES;
            let bytes = vec![7; usize::try_from(length).unwrap()];
            let mut reader = reader(place, &bytes, Extent { first: 0, length });
            let mut places = std::collections::HashSet::new();
            while let Some(piece) = reader.next().await {
                places.insert(piece.unwrap().as_ptr());
            }
            assert!(places.len() <= LENT + 1, "{place:?}: {places:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_is_an_error() {
        for place in PLACES {
            let mut reader = reader(place, &[0; 1000], Extent { first: 0, length: 1001 });
            let mut read = 0;
            let error = loop {
                match reader.next().await.expect("an error comes before the end") {
                    Ok(piece) => read += piece.len(),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            assert!(read <= 1000 && reader.next().await.is_none());
        }
    }
}

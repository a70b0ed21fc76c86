//! The file of a video as a stream of chunks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, stream};
use tokio::task::{JoinHandle, spawn_blocking};

use super::path::RelativePath;
use super::root::Root;
use super::{Error, failed};

/// How many bytes a chunk has at most.
pub(crate) const CHUNK_BYTES: u64 = 256 * 1024;

/// A file that can be read.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    size: u64,
}

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Where it begins.
    pub(crate) offset: u64,
    /// At most [`CHUNK_BYTES`].
    pub(crate) bytes: Bytes,
}

impl Source {
    /// Opens the file of a video.
    pub(crate) fn open(root: &Root, path: &RelativePath) -> Result<Self, Error> {
        let file = root.open_file(path)?;
        let size = file.metadata().map_err(failed("cannot look at the file"))?.len();
        Ok(Source { file, size })
    }

    /// How large the file is.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The bytes from `offset` on, at most `limit` of them; 0: all. One chunk is read ahead of what is asked for. A file
    /// that gets shorter meanwhile is an error, which ends the stream.
    pub(crate) fn chunks(self, offset: u64, limit: u64) -> Result<impl Stream<Item = io::Result<Chunk>> + Send, Error> {
        let left = self.size.checked_sub(offset);
        let left = left.ok_or(Error::WrongOffset { given: offset, expected: self.size })?;
        let end = if limit == 0 { self.size } else { offset + left.min(limit) };
        let reader = Reader { file: Arc::new(self.file), next: offset, end, ahead: None };
        Ok(stream::unfold(reader, |mut reader| async { reader.next().await.map(|chunk| (chunk, reader)) }))
    }
}

struct Reader {
    file: Arc<File>,
    /// The first byte that nobody reads yet.
    next: u64,
    end: u64,
    /// What a thread reads.
    ahead: Option<JoinHandle<io::Result<Chunk>>>,
}

impl Reader {
    async fn next(&mut self) -> Option<io::Result<Chunk>> {
        let reading = match self.ahead.take() {
            Some(reading) => reading,
            None => self.begin()?,
        };
        let chunk = reading.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        if chunk.is_ok() {
            self.ahead = self.begin();
        } else {
            self.next = self.end;
        }
        Some(chunk)
    }

    fn begin(&mut self) -> Option<JoinHandle<io::Result<Chunk>>> {
        let (file, offset) = (Arc::clone(&self.file), self.next);
        let length = CHUNK_BYTES.min(self.end - offset);
        if length == 0 {
            return None;
        }
        self.next += length;
        Some(spawn_blocking(move || {
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            file.read_exact_at(&mut bytes, offset)?;
            Ok(Chunk { offset, bytes: bytes.into() })
        }))
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, TryStreamExt as _};

    use super::*;
    use crate::transcode::library::Roots;

    fn source(content: &[u8]) -> (tempfile::TempDir, Source) {
        let library = tempfile::tempdir().unwrap();
        std::fs::write(library.path().join("a.mkv"), content).unwrap();
        let path = RelativePath::try_from("a.mkv").unwrap();
        let source = Source::open(&Root::open(library.path(), &Roots::default()).unwrap(), &path).unwrap();
        (library, source)
    }

    async fn read(content: &[u8], offset: u64, limit: u64) -> Vec<Chunk> {
        source(content).1.chunks(offset, limit).unwrap().try_collect().await.unwrap()
    }

    #[tokio::test]
    async fn a_file_comes_in_chunks() {
        let content: Vec<_> = (0..600_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let chunks = read(&content, 0, 0).await;
        assert_eq!(chunks.iter().map(|chunk| chunk.bytes.len()).collect::<Vec<_>>(), [262_144, 262_144, 75_712]);
        assert_eq!(chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect::<Vec<_>>(), content);
    }

    #[tokio::test]
    async fn an_extent_of_it_can_be_read() {
        assert_eq!(read(b"0123456789", 3, 4).await, [Chunk { offset: 3, bytes: Bytes::from_static(b"3456") }]);
        assert_eq!(read(b"0123456789", 8, u64::MAX).await[0].bytes, "89");
        assert_eq!(read(b"0123456789", 10, 0).await, []);
    }

    #[tokio::test]
    async fn an_offset_after_the_end_is_refused() {
        let result = source(b"0123").1.chunks(5, 0).map(|_| ());
        assert!(matches!(result, Err(Error::WrongOffset { given: 5, expected: 4 })));
    }

    #[tokio::test]
    async fn a_file_that_gets_shorter_is_an_error_and_the_end() {
        let (library, source) = source(&vec![0; 1 << 20]);
        std::fs::write(library.path().join("a.mkv"), b"short").unwrap();
        let chunks: Vec<_> = source.chunks(0, 0).unwrap().collect().await;
        assert_eq!(chunks.len(), 1);
        assert_eq!(chunks[0].as_ref().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

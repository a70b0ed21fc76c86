//! Reads a blob chunk by chunk.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;

use super::{BlobSource, TargetError};

/// Reads a blob; the next chunk is usually where the one before has ended, and then nothing is opened anew.
pub(super) struct Chunks<'a> {
    source: &'a dyn BlobSource,
    size: u64,
    at: u64,
    stream: Option<BoxStream<'static, Result<Bytes, TargetError>>>,
    rest: Bytes,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(source: &'a dyn BlobSource, size: u64) -> Self {
        Chunks { source, size, at: 0, stream: None, rest: Bytes::new() }
    }

    /// The bytes from `offset` on, `length` of them or what there is, as they were read.
    pub(super) async fn read(&mut self, offset: u64, length: u64) -> Result<Vec<Bytes>, TargetError> {
        let mut wanted = length.min(self.size.saturating_sub(offset));
        if wanted == 0 {
            return Ok(Vec::new());
        }
        if self.at != offset || self.stream.is_none() {
            self.stream = None;
            self.rest = Bytes::new();
            self.stream = Some(self.source.read(offset, self.size - offset).await?);
            self.at = offset;
        }
        let mut pieces = Vec::new();
        while wanted > 0 {
            let piece = self.piece(wanted).await?;
            wanted -= piece.len() as u64;
            self.at += piece.len() as u64;
            pieces.push(piece);
        }
        Ok(pieces)
    }

    async fn piece(&mut self, wanted: u64) -> Result<Bytes, TargetError> {
        while self.rest.is_empty() {
            let stream = self.stream.as_mut().ok_or_else(|| short(self.at, self.size))?;
            let next = stream.next().await.unwrap_or_else(|| Err(short(self.at, self.size)));
            match next {
                Ok(bytes) => self.rest = bytes,
                Err(error) => {
                    // What has failed is opened anew when it is tried again.
                    self.stream = None;
                    return Err(error);
                }
            }
        }
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(self.rest.len());
        Ok(self.rest.split_to(wanted))
    }
}

fn short(at: u64, size: u64) -> TargetError {
    TargetError::Source(format!("what is to be copied ended after {at} of {size} bytes"))
}

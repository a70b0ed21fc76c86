//! The bytes of a download on their way to the client: exactly those that were announced, or a connection cut off.

use bytes::Bytes;
use futures::stream::{Stream, StreamExt as _, try_unfold};
use http::header::HeaderValue;
use tonic::{Status, Streaming};
use tracing::warn;

use crate::direct::Pieces;
use crate::upstream::Caller;

/// Which bytes of a whole come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) first: u64,
    pub(crate) length: u64,
    pub(crate) size: u64,
}

/// Whether a request asked for all bytes or for a part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    All,
    Part,
}

impl Extent {
    /// Reads what a service announces; `None` when it does not answer what was asked.
    pub(crate) fn of(first: i64, length: i64, size: i64, asked: Asked) -> Option<Self> {
        let [first, length, size] = [first, length, size].map(|number| u64::try_from(number).ok());
        let extent = Self { first: first?, length: length?, size: size? };
        let is_inside = extent.first.checked_add(extent.length)? <= extent.size;
        let is_asked = match asked {
            // A part of no bytes could not be told in a header.
            Asked::Part => extent.length > 0,
            Asked::All => extent.length == extent.size,
        };
        (is_inside && is_asked).then_some(extent)
    }

    /// The header `Content-Range` of a part.
    pub(crate) fn header(&self) -> HeaderValue {
        let Self { first, length, size } = self;
        let range = format!("bytes {first}-{}/{size}", first + length - 1);
        HeaderValue::try_from(range).expect("numbers are visible ASCII")
    }
}

/// The bytes of a download that come as messages.
pub(crate) fn chunks<M: Send + 'static>(parts: Streaming<M>, chunk: fn(M) -> Option<Bytes>) -> Pieces {
    let chunk = move |message: Result<M, Status>| chunk(message?).ok_or_else(|| Status::internal("no chunk"));
    parts.map(chunk).boxed()
}

/// The bytes that are still to come.
pub(crate) struct Content {
    pieces: Pieces,
    remaining: u64,
    caller: Caller,
}

impl Content {
    pub(crate) fn new(pieces: Pieces, extent: &Extent, caller: Caller) -> Self {
        Self { pieces, remaining: extent.length, caller }
    }

    /// Yields exactly the announced bytes, or at last an error, at which the server cuts the connection.
    pub(crate) fn into_chunks(self) -> impl Stream<Item = Result<Bytes, Status>> + Send {
        try_unfold(self, |mut content| async move {
            // Counted, because the stream behind it may end later than its last byte comes.
            if content.remaining == 0 {
                return Ok(None);
            }
            let chunk = content.next().await.inspect_err(|status| {
                let (request_id, code, problem) = (content.caller.request_id(), status.code(), status.message());
                warn!(%request_id, ?code, problem, "a download broke off; its client is cut off too");
            })?;
            Ok(Some((chunk, content)))
        })
    }

    async fn next(&mut self) -> Result<Bytes, Status> {
        loop {
            let piece = self.pieces.next().await;
            let chunk = piece.ok_or_else(|| Status::data_loss("the object ended before its length"))??;
            let Some(remaining) = self.remaining.checked_sub(chunk.len() as u64) else {
                return Err(Status::data_loss("the object goes on behind its length"));
            };
            self.remaining = remaining;
            if !chunk.is_empty() {
                return Ok(chunk);
            }
        }
    }
}

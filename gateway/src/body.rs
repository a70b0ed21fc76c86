//! Reading request bodies, never more of them than a limit.

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// How much of a body that is too long is still read, and thrown away, before it is refused.
///
/// Many clients write all of their request before they read: a connection that is closed with unread bytes in it would
/// be reset, and they would never see the answer.
const DISCARD_LIMIT: usize = 1024 * 1024;

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// It is longer than the limit.
    TooLong,
    /// It broke off, or its framing is broken.
    Broken,
}

/// Reads the whole of a body of at most `limit` bytes.
pub(crate) async fn read(mut body: Body, limit: usize) -> Result<Bytes, ReadError> {
    match Limited::new(&mut body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            discard(body).await;
            Err(ReadError::TooLong)
        }
        Err(_) => Err(ReadError::Broken),
    }
}

async fn discard(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut discarded = 0;
    while let Some(Ok(chunk)) = chunks.next().await {
        discarded += chunk.len();
        if discarded > DISCARD_LIMIT {
            return;
        }
    }
}

//! Bytes as they are sent.

use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

const CHUNK_BYTES: usize = 512 * 1024;
/// How many chunks are read before the server takes them.
pub(super) const CHUNKS_AHEAD: usize = 2;

/// As many bytes as fit into a chunk; none at the end.
pub(super) async fn read_chunk(source: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES).limit(CHUNK_BYTES);
    while chunk.has_remaining_mut() && source.read_buf(&mut chunk).await? > 0 {}
    Ok(chunk.into_inner().freeze())
}

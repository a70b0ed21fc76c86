//! Reads what a program says, never more than it may.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// All of it. More than `limit` bytes are an error.
pub(super) async fn whole(stream: Option<impl AsyncRead + Unpin>, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(stream) = stream else { return Ok(bytes) };
    stream.take(limit + 1).read_to_end(&mut bytes).await?;
    let is_within = u64::try_from(bytes.len()).is_ok_and(|length| length <= limit);
    if is_within { Ok(bytes) } else { Err(io::Error::other(format!("it has more than {limit} bytes"))) }
}

/// The first `limit` bytes. The rest is read and thrown away, so that the program does not wait for a reader.
pub(super) async fn head(stream: Option<impl AsyncRead + Unpin>, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(mut stream) = stream else { return Ok(bytes) };
    (&mut stream).take(limit).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(bytes)
}

//! A file on its way to the server.

use std::io;
use std::pin::pin;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::future::{self, Either};
use sha2::{Digest as _, Sha256};
use steward_proto::artifact::v1 as pb;
use steward_proto::artifact::v1::put_file_request::Part;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Source;
use crate::cli::artifact::session::{NO_FILE, Session};
use crate::cli::console::printable;
use crate::cli::error::Error;
use crate::cli::progress::Progress;

const CHUNK_BYTES: usize = 512 * 1024;
const CHUNKS_AHEAD: usize = 2;

/// What was sent.
#[derive(Default)]
struct Sent {
    hash: Sha256,
    size: u64,
}

/// Sends `source` to `target`. Returns the file once the server has it and says the same of its bytes as we do.
pub(super) async fn upload(
    mut source: Source,
    target: pb::FileTarget,
    session: &Session<'_>,
) -> Result<pb::File, Error> {
    let progress = Progress::stderr();
    let shown = source.shown.clone();
    progress.begin(&shown, source.size);
    let mut sent = Sent::default();
    let (parts, received) = mpsc::channel(CHUNKS_AHEAD);
    let mut artifacts = session.artifacts();
    let answer = {
        let sending = pin!(send(&mut source, target, parts, &mut sent, &progress));
        let answer = pin!(artifacts.put_file(ReceiverStream::new(received)));
        match future::select(sending, answer).await {
            Either::Left((Ok(()), answer)) => answer.await,
            Either::Left((Err(error), _)) => {
                return Err(Error::Local(format!("cannot read {shown}: {error}")));
            }
            // It was refused before the end.
            Either::Right((answer, _)) => answer,
        }
    };
    progress.clear();
    let file = session.take(answer)?.file.ok_or(NO_FILE)?;
    let sha256 = format!("{:x}", sent.hash.finalize());
    if file.sha256 != sha256 {
        return Err(Error::Local(format!(
            "the server has other bytes than were sent: their SHA-256 is {}, that of what was sent {sha256}",
            printable(&file.sha256)
        )));
    }
    Ok(file)
}

/// Sends the parts, no more of them than the server takes.
async fn send(
    source: &mut Source,
    target: pb::FileTarget,
    parts: mpsc::Sender<pb::PutFileRequest>,
    sent: &mut Sent,
    progress: &Progress,
) -> io::Result<()> {
    let size = i64::try_from(source.size).unwrap_or(i64::MAX);
    let start = pb::FileStart { target: Some(target), size, ..pb::FileStart::default() };
    let mut part = Part::Start(start);
    loop {
        let is_end = matches!(part, Part::Finish(_));
        // The server has answered before the end: it says why.
        if parts.send(pb::PutFileRequest { part: Some(part) }).await.is_err() || is_end {
            return Ok(());
        }
        let chunk = read_chunk(source).await?;
        sent.hash.update(&chunk);
        sent.size += chunk.len() as u64;
        progress.advance(chunk.len() as u64);
        part = if chunk.is_empty() {
            Part::Finish(pb::FileFinish { size: i64::try_from(sent.size).unwrap_or(i64::MAX) })
        } else {
            Part::Chunk(chunk)
        };
    }
}

/// As many bytes as fit into a chunk; none at the end.
async fn read_chunk(source: &mut Source) -> io::Result<Bytes> {
    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES).limit(CHUNK_BYTES);
    while chunk.has_remaining_mut() && source.bytes.read_buf(&mut chunk).await? > 0 {}
    Ok(chunk.into_inner().freeze())
}

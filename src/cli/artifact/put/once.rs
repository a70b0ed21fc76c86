//! Bytes that can be read only once, on their way to the server: an interruption is the end of them.

use std::io;
use std::pin::pin;

use futures::future::{self, Either};
use sha2::{Digest as _, Sha256};
use steward_proto::artifact::v1 as pb;
use steward_proto::artifact::v1::put_file_request::Part;
use tokio::fs::File;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::chunks::{CHUNKS_AHEAD, read_chunk};
use crate::cli::artifact::session::{NO_FILE, Session};
use crate::cli::error::Error;
use crate::cli::progress::Progress;

/// What was sent.
#[derive(Default)]
struct Sent {
    hash: Sha256,
    size: u64,
}

/// Sends what comes to `target`.
pub(super) async fn send(
    mut bytes: File,
    shown: &str,
    target: pb::FileTarget,
    session: &Session<'_>,
) -> Result<pb::File, Error> {
    let progress = Progress::stderr();
    progress.begin(shown, 0);
    let mut sent = Sent::default();
    let (parts, received) = mpsc::channel(CHUNKS_AHEAD);
    let mut artifacts = session.artifacts();
    let answer = {
        let sending = pin!(feed(&mut bytes, target, parts, &mut sent, &progress));
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
    super::checked(file, &format!("{:x}", sent.hash.finalize()))
}

/// Sends the parts, no more of them than the server takes.
async fn feed(
    bytes: &mut File,
    target: pb::FileTarget,
    parts: mpsc::Sender<pb::PutFileRequest>,
    sent: &mut Sent,
    progress: &Progress,
) -> io::Result<()> {
    let start = pb::FileStart { target: Some(target), ..pb::FileStart::default() };
    let mut part = Part::Start(start);
    loop {
        let is_end = matches!(part, Part::Finish(_));
        // The server has answered before the end: it says why.
        if parts.send(pb::PutFileRequest { part: Some(part) }).await.is_err() || is_end {
            return Ok(());
        }
        let chunk = read_chunk(bytes).await?;
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

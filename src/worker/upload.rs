//! A result on its way to the server.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::pin::pin;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::future::{self, Either};
use sha2::{Digest as _, Sha256};
use steward_proto::transcode::v1 as pb;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

use super::failure::{Failure, blocking};
use super::report::{Pulse, Stage};
use super::task::Attempt;
use super::transfer::{recover, videos};
use crate::cli::backoff::Backoff;
use crate::cli::error;

const CHUNK_BYTES: usize = 256 * 1024;
const CHUNKS_AHEAD: usize = 2;
/// The result is there; what is left is to bring it to its place.
const UPLOAD_PERCENT: f64 = 99.5;

/// Sends the result and returns what the server made of it. A connection that breaks is made again, and goes on where
/// it was.
pub(super) async fn send(
    attempt: &mut Attempt<'_>,
    result: &Path,
    extension: &str,
) -> Result<pb::WriteResultResponse, Failure> {
    let digest = digest_of(attempt, result).await?;
    let mut backoff = Backoff::new();
    let mut start = Start::WhereItIs;
    let mut wrong_count = 0;
    loop {
        let stop = attempt.stop;
        let sending = send_once(attempt, result, extension, &digest, start);
        let status = match stop.run_until_cancelled(sending).await {
            None => return Err(Failure::Stopped),
            Some(Ok(stored)) => return Ok(stored),
            Some(Err(Broken::Here(error))) => return Err(Failure::io("cannot read the result")(error)),
            Some(Err(Broken::There(status))) => status,
        };
        start = Start::WhereItIs;
        if error::reason(&status).as_deref() == Some("WRONG_DIGEST") {
            wrong_count += 1;
            start = Start::Anew;
        }
        if wrong_count > WRONG_DIGESTS {
            let message = format!("the result is spoilt on its way to the server: {}", error::describe(&status));
            return Err(Failure::Worker(message));
        }
        recover(attempt, &status, "cannot bring the result to the server", &mut backoff).await?;
    }
}

/// Where an upload begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// Behind what the server has.
    WhereItIs,
    /// At the first byte: what the server had was wrong.
    Anew,
}

/// So often a result that came out wrong is sent again.
const WRONG_DIGESTS: u32 = 2;

enum Broken {
    Here(io::Error),
    There(Status),
}

async fn send_once(
    attempt: &mut Attempt<'_>,
    result: &Path,
    extension: &str,
    digest: &Bytes,
    start: Start,
) -> Result<pb::WriteResultResponse, Broken> {
    let assignment = attempt.assignment;
    let mut videos = videos(attempt);
    let question = pb::GetResultRequest {
        task_id: assignment.task_id.clone(),
        lease_token: assignment.lease_token.clone(),
        worker_id: 0,
    };
    let offset = match start {
        Start::WhereItIs => videos.get_result(question).await.map_err(Broken::There)?.into_inner().offset,
        Start::Anew => 0,
    };
    let first = pb::WriteResultRequest {
        task_id: assignment.task_id.clone(),
        lease_token: assignment.lease_token.clone(),
        extension: extension.to_owned(),
        offset,
        ..pb::WriteResultRequest::default()
    };
    let (parts, received) = mpsc::channel(CHUNKS_AHEAD);
    let mut answer = pin!(videos.write_result(ReceiverStream::new(received)));
    let early = {
        let sending = pin!(send_parts(attempt, result, first, digest.clone(), parts));
        match future::select(sending, &mut answer).await {
            Either::Left((Ok(()), _)) => None,
            Either::Left((Err(error), _)) => return Err(Broken::Here(error)),
            Either::Right((answer, _)) => Some(answer),
        }
    };
    let answer = if let Some(answer) = early {
        answer
    } else {
        // The server looks at the whole of it, and brings it to its place.
        let stage = Stage { percent: UPLOAD_PERCENT, ..Stage::default() };
        attempt.report.during(stage, &Pulse::default(), answer).await
    };
    answer.map(Response::into_inner).map_err(Broken::There)
}

/// Sends the parts, no more of them than the server takes; the last one has the digest.
async fn send_parts(
    attempt: &mut Attempt<'_>,
    result: &Path,
    first: pb::WriteResultRequest,
    digest: Bytes,
    parts: mpsc::Sender<pb::WriteResultRequest>,
) -> io::Result<()> {
    let mut file = tokio::fs::File::open(result).await?;
    let total = file.metadata().await?.len();
    file.seek(io::SeekFrom::Start(u64::try_from(first.offset).unwrap_or(0))).await?;
    let mut part = first;
    let mut offset = part.offset;
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES).limit(CHUNK_BYTES);
        while file.read_buf(&mut chunk).await? > 0 {}
        part.chunk = chunk.into_inner().freeze();
        part.offset = offset;
        offset = offset.saturating_add(i64::try_from(part.chunk.len()).unwrap_or(i64::MAX));
        let is_last = part.chunk.len() < CHUNK_BYTES;
        if is_last {
            part.sha256 = digest.clone();
        }
        // The server may answer before the end: then it says why.
        if parts.send(part).await.is_err() || is_last {
            return Ok(());
        }
        let bytes = i64::try_from(total).unwrap_or(i64::MAX);
        attempt.report.tell(Stage { percent: UPLOAD_PERCENT, bytes, ..Stage::default() });
        part = pb::WriteResultRequest::default();
    }
}

async fn digest_of(attempt: &mut Attempt<'_>, result: &Path) -> Result<Bytes, Failure> {
    let (pulse, stage) = (Pulse::default(), Stage { percent: UPLOAD_PERCENT, ..Stage::default() });
    let (path, counted, stop) = (result.to_owned(), pulse.clone(), attempt.stop.clone());
    let digesting = blocking(move || digest(&path, &counted, &stop));
    let digest = attempt.report.during(stage, &pulse, digesting).await;
    let digest = digest.map_err(Failure::io(format!("cannot read {}", result.display())))?;
    if attempt.stop.is_cancelled() { Err(Failure::Stopped) } else { Ok(digest) }
}

/// Of no use when it was stopped.
fn digest(path: &Path, pulse: &Pulse, stop: &CancellationToken) -> io::Result<Bytes> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 || stop.is_cancelled() {
            return Ok(Bytes::copy_from_slice(&hasher.finalize()));
        }
        hasher.update(&buffer[..length]);
        pulse.add(length);
    }
}

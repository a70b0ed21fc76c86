//! One file on its way to the server.

use std::io;
use std::path::Path;
use std::pin::pin;

use crate::cli::connect::Channel;
use bytes::{BufMut as _, BytesMut};
use futures::future::{self, Either};
use steward_proto::restic::v1 as pb;
use steward_proto::restic::v1::object_service_client::ObjectServiceClient;
use steward_proto::restic::v1::upload_request::Part;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use crate::cli::backoff::Backoff;
use crate::cli::error;
use crate::cli::progress::Progress;

const CHUNK_BYTES: usize = 256 * 1024;
const CHUNKS_AHEAD: usize = 2;
const ATTEMPTS: usize = 5;

/// What became of a file.
#[derive(Debug)]
pub(super) enum Uploaded {
    Stored,
    AlreadyExisted,
    /// This machine does not let it be read.
    Unreadable(io::Error),
    /// The server does not take this object; others it may.
    Refused(Status),
}

/// Sends `file` as the object `key`. A connection that fails is tried again.
pub(super) async fn upload(
    objects: &mut ObjectServiceClient<Channel>,
    key: &pb::ObjectKey,
    file: &Path,
    progress: &Progress,
) -> Result<Uploaded, Status> {
    let mut backoff = Backoff::new();
    let mut attempts = 1;
    loop {
        let status = match upload_once(objects, key, file, progress).await {
            Ok(uploaded) => return Ok(uploaded),
            Err(status) => status,
        };
        if is_about_the_object(&status) {
            return Ok(Uploaded::Refused(status));
        }
        if attempts == ATTEMPTS || !error::is_transient(&status) {
            return Err(status);
        }
        attempts += 1;
        backoff.pause().await;
    }
}

async fn upload_once(
    objects: &mut ObjectServiceClient<Channel>,
    key: &pb::ObjectKey,
    file: &Path,
    progress: &Progress,
) -> Result<Uploaded, Status> {
    let mut sent = 0;
    let result = exchange(objects, key, file, &mut sent, progress).await;
    match result {
        Ok(Ok(answer)) if answer.already_existed => Ok(Uploaded::AlreadyExisted),
        Ok(Ok(_)) => Ok(Uploaded::Stored),
        Ok(Err(status)) => {
            progress.take_back(sent);
            Err(status)
        }
        Err(error) => {
            progress.take_back(sent);
            Ok(Uploaded::Unreadable(error))
        }
    }
}

/// Sends the file until the server answers. Ends early when the file cannot be read: then nothing is stored.
async fn exchange(
    objects: &mut ObjectServiceClient<Channel>,
    key: &pb::ObjectKey,
    file: &Path,
    sent: &mut u64,
    progress: &Progress,
) -> io::Result<Result<pb::UploadResponse, Status>> {
    let (parts, received) = mpsc::channel(CHUNKS_AHEAD);
    let sending = pin!(send(file, key, parts, sent, progress));
    let answer = pin!(objects.upload(ReceiverStream::new(received)));
    let answer = match future::select(sending, answer).await {
        Either::Left((Ok(()), answer)) => answer.await,
        Either::Left((Err(error), _)) => return Err(error),
        Either::Right((answer, _)) => answer,
    };
    Ok(answer.map(Response::into_inner))
}

/// Sends the parts, no more of them than the server takes.
async fn send(
    file: &Path,
    key: &pb::ObjectKey,
    parts: mpsc::Sender<pb::UploadRequest>,
    sent: &mut u64,
    progress: &Progress,
) -> io::Result<()> {
    let mut file = File::open(file).await?;
    let size = i64::try_from(file.metadata().await?.len()).unwrap_or(i64::MAX);
    let mut part = Part::Start(pb::UploadStart { key: Some(key.clone()), size: Some(size) });
    loop {
        let is_end = matches!(part, Part::Finish(_));
        // The server has answered before the end: it says why.
        if parts.send(pb::UploadRequest { part: Some(part) }).await.is_err() || is_end {
            return Ok(());
        }
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES).limit(CHUNK_BYTES);
        while file.read_buf(&mut chunk).await? > 0 {}
        let chunk = chunk.into_inner().freeze();
        let length = chunk.len() as u64;
        *sent += length;
        progress.advance(length);
        part = if chunk.is_empty() {
            Part::Finish(pb::UploadFinish { size: i64::try_from(*sent).unwrap_or(i64::MAX) })
        } else {
            Part::Chunk(chunk)
        };
    }
}

fn is_about_the_object(status: &Status) -> bool {
    let reason = error::reason(status);
    let reasons = ["CONTENT_MISMATCH", "OBJECT_EXISTS", "OBJECT_TOO_LARGE", "UPLOAD_BROKEN_OFF"];
    reason.is_some_and(|reason| reasons.contains(&reason.as_str()))
}

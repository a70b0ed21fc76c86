//! A file on its way to the server, across interruptions of the connection.
//!
//! Its bytes go to an upload, of which the server keeps what has come; when they are whole, the file gets its path. Each
//! step can be taken again without harm when its answer was lost.

use std::io::{self, SeekFrom};
use std::pin::pin;

use bytes::Bytes;
use futures::future::{self, Either};
use sha2::{Digest as _, Sha256};
use steward_proto::artifact::v1 as pb;
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use steward_proto::artifact::v1::write_upload_request::Part;
use tokio::fs::File;
use tokio::io::AsyncSeekExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use super::chunks::{CHUNKS_AHEAD, read_chunk};
use crate::cli::artifact::session::{NO_FILE, Session};
use crate::cli::backoff::Backoff;
use crate::cli::connect::Channel;
use crate::cli::error::{self, Error};
use crate::cli::progress::Progress;

/// How often in a row nothing may come of it before it is given up.
const ATTEMPTS: u32 = 8;
const NO_UPLOAD: Error = Error::Nonsense("it has no upload");

/// Failures in a row.
struct Tries<'a> {
    session: &'a Session<'a>,
    failed: u32,
    backoff: Backoff,
}

/// A file that is being sent.
struct Sending<'a> {
    file: File,
    shown: &'a str,
    upload: String,
    place: pb::ImageName,
    progress: Progress,
    hash: Sha256,
    offset: u64,
}

/// Why bytes do not go on.
enum Stop {
    Call(Status),
    Local(io::Error),
}

/// Sends a file to `target`, whole or not at all.
pub(super) async fn send(
    file: File,
    size: u64,
    shown: &str,
    target: pb::FileTarget,
    session: &Session<'_>,
) -> Result<pb::File, Error> {
    let mut tries = Tries { session, failed: 0, backoff: Backoff::new() };
    may_store(&target, size, &mut tries).await?;
    let (project, repository) = (target.project.clone(), target.repository.clone());
    let place = pb::ImageName { project, repository, image: String::new() };
    let start = pb::StartUploadRequest { target: Some(place.clone()), digest: String::new(), size: signed(size) };
    let started = tries.call(async |mut artifacts| artifacts.start_upload(start.clone()).await).await?;
    let upload = started.upload.ok_or(NO_UPLOAD)?.id;
    let progress = Progress::stderr();
    progress.begin(shown, size);
    let mut sending = Sending { file, shown, upload, place, progress, hash: Sha256::new(), offset: 0 };
    let sent = sending.send(&mut tries).await;
    sending.progress.clear();
    sent?;
    let sha256 = format!("{:x}", sending.hash.finalize());
    let digest = format!("sha256:{sha256}");
    finish(sending.upload, sending.place, &digest, &mut tries).await?;
    let commit = pb::CommitFileRequest { target: Some(target), digest, ..pb::CommitFileRequest::default() };
    let stored = tries.call(async |mut artifacts| artifacts.commit_file(commit.clone()).await).await?;
    super::checked(stored.file.ok_or(NO_FILE)?, &sha256)
}

/// Asks whether a file may be stored, before its bytes go. A file of which no more comes than its beginning is refused
/// for that, if for nothing else.
async fn may_store(target: &pb::FileTarget, size: u64, tries: &mut Tries<'_>) -> Result<(), Error> {
    let start = pb::FileStart { target: Some(target.clone()), size: signed(size), ..pb::FileStart::default() };
    let start = pb::PutFileRequest { part: Some(pb::put_file_request::Part::Start(start)) };
    loop {
        let only = futures::stream::iter([start.clone()]);
        match tries.session.artifacts().put_file(only).await {
            Err(status) if error::reason(&status).as_deref() == Some("UPLOAD_BROKEN_OFF") => return Ok(()),
            Err(status) => tries.again(status).await?,
            Ok(_) => return Err(Error::Nonsense("it has stored a file without its bytes")),
        }
    }
}

/// Ends an upload. One that is not there any more after a lost answer has ended by that.
async fn finish(upload_id: String, place: pb::ImageName, digest: &str, tries: &mut Tries<'_>) -> Result<(), Error> {
    let request = pb::FinishUploadRequest { upload_id, target: Some(place), digest: digest.to_owned() };
    tries.failed = 0;
    loop {
        match tries.session.artifacts().finish_upload(request.clone()).await {
            Ok(_) => return Ok(()),
            Err(status) if tries.failed > 0 && error::reason(&status).as_deref() == Some("UPLOAD_NOT_FOUND") => {
                return Ok(());
            }
            Err(status) => tries.again(status).await?,
        }
    }
}

impl Tries<'_> {
    /// Makes a call until it is answered otherwise than that it may succeed later.
    async fn call<T>(
        &mut self,
        call: impl AsyncFn(ArtifactServiceClient<Channel>) -> Result<Response<T>, Status>,
    ) -> Result<T, Error> {
        loop {
            match call(self.session.artifacts()).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => self.again(status).await?,
            }
        }
    }

    /// Waits for the next attempt, if there is one.
    async fn again(&mut self, status: Status) -> Result<(), Error> {
        self.failed += 1;
        // The attempt before may still have the upload, or have brought more than we know.
        let is_passing = matches!(error::reason(&status).as_deref(), Some("UPLOAD_OFFSET" | "BUSY"));
        if self.failed >= ATTEMPTS || !(is_passing || error::is_transient(&status)) {
            return Err(self.session.failure(status));
        }
        self.backoff.pause().await;
        Ok(())
    }

    fn have_come_to_something(&mut self) {
        (self.failed, self.backoff) = (0, Backoff::new());
    }
}

impl Sending<'_> {
    /// Sends all bytes, from where the server has those before.
    async fn send(&mut self, tries: &mut Tries<'_>) -> Result<(), Error> {
        loop {
            let begin = self.offset;
            let status = match self.write(tries.session).await {
                Ok(()) => return Ok(()),
                Err(Stop::Local(error)) => return Err(self.unreadable(&error)),
                Err(Stop::Call(status)) => status,
            };
            tries.again(status).await?;
            let (upload_id, target) = (self.upload.clone(), Some(self.place.clone()));
            let request = pb::GetUploadRequest { upload_id, target };
            let there = tries.call(async |mut artifacts| artifacts.get_upload(request.clone()).await).await?;
            let there = u64::try_from(there.upload.ok_or(NO_UPLOAD)?.offset).unwrap_or(0);
            if there > begin {
                tries.have_come_to_something();
            }
            self.go_on(there).await.map_err(|error| self.unreadable(&error))?;
        }
    }

    fn unreadable(&self, error: &io::Error) -> Error {
        Error::Local(format!("cannot read {}: {error}", self.shown))
    }

    /// Goes on behind so many bytes, which have to be hashed once more.
    async fn go_on(&mut self, offset: u64) -> io::Result<()> {
        self.progress.take_back(self.offset.saturating_sub(offset));
        (self.hash, self.offset) = (Sha256::new(), 0);
        self.file.seek(SeekFrom::Start(0)).await?;
        while self.offset < offset {
            let mut chunk = read_chunk(&mut self.file).await?;
            let left = offset - self.offset;
            if chunk.is_empty() {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has become shorter"));
            }
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len()));
            self.take(&chunk);
        }
        self.file.seek(SeekFrom::Start(offset)).await.map(|_| ())
    }

    fn take(&mut self, chunk: &Bytes) {
        self.hash.update(chunk);
        self.offset += chunk.len() as u64;
    }

    /// Adds the bytes from here to the end to the upload.
    async fn write(&mut self, session: &Session<'_>) -> Result<(), Stop> {
        let (parts, received) = mpsc::channel(CHUNKS_AHEAD);
        let mut artifacts = session.artifacts();
        let sending = pin!(self.feed(parts));
        let answer = pin!(artifacts.write_upload(ReceiverStream::new(received)));
        let answer = match future::select(sending, answer).await {
            Either::Left((Ok(()), answer)) => answer.await,
            Either::Left((Err(error), _)) => return Err(Stop::Local(error)),
            // It was refused before the end, or broke off.
            Either::Right((answer, _)) => answer,
        };
        answer.map(|_| ()).map_err(Stop::Call)
    }

    async fn feed(&mut self, parts: mpsc::Sender<pb::WriteUploadRequest>) -> io::Result<()> {
        let begin = self.offset;
        let (upload_id, target) = (self.upload.clone(), Some(self.place.clone()));
        let mut part = Part::Start(pb::WriteStart { upload_id, offset: Some(signed(begin)), target });
        loop {
            let is_end = matches!(part, Part::Finish(_));
            if parts.send(pb::WriteUploadRequest { part: Some(part) }).await.is_err() || is_end {
                return Ok(());
            }
            let chunk = read_chunk(&mut self.file).await?;
            self.take(&chunk);
            self.progress.advance(chunk.len() as u64);
            part = if chunk.is_empty() {
                Part::Finish(pb::WriteFinish { size: signed(self.offset - begin) })
            } else {
                Part::Chunk(chunk)
            };
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

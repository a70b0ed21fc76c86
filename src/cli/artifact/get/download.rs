//! The bytes of a file on their way from the server, across interruptions of the connection.

use steward_proto::artifact::v1 as pb;
use steward_proto::artifact::v1::download_blob_response::Part;
use tonic::Status;

use super::sink::Sink;
use crate::cli::artifact::session::Session;
use crate::cli::backoff::Backoff;
use crate::cli::error::{self, Error};
use crate::cli::progress::Progress;

/// How often in a row nothing may come before it is given up.
const ATTEMPTS: u32 = 8;

/// Why no more bytes come.
enum Stop {
    Call(Status),
    Local(Error),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Stop::Call(status)
    }
}

/// Writes what the sink does not have yet of `file`, which is `size` bytes long.
pub(super) async fn download(
    file: &pb::File,
    size: u64,
    sink: &mut Sink,
    progress: &Progress,
    session: &Session<'_>,
) -> Result<(), Error> {
    let mut backoff = Backoff::new();
    let mut attempts = 0;
    while sink.length() < size {
        let before = sink.length();
        let stop = fetch(file, size, sink, progress, session).await.err();
        if sink.length() > before {
            (backoff, attempts) = (Backoff::new(), 0);
        }
        attempts += 1;
        match stop {
            Some(Stop::Local(error)) => return Err(error),
            Some(Stop::Call(status)) if attempts == ATTEMPTS || !error::is_transient(&status) => {
                return Err(session.failure(status));
            }
            None if sink.length() == size => {}
            None if attempts == ATTEMPTS => return Err(Error::Nonsense("it ends before the end of the file")),
            Some(Stop::Call(_)) | None => backoff.pause().await,
        }
    }
    Ok(())
}

/// Takes what comes until it ends.
async fn fetch(
    file: &pb::File,
    size: u64,
    sink: &mut Sink,
    progress: &Progress,
    session: &Session<'_>,
) -> Result<(), Stop> {
    let name =
        pb::ImageName { project: file.project.clone(), repository: file.repository.clone(), image: String::new() };
    let offset = i64::try_from(sink.length()).unwrap_or(i64::MAX);
    let digest = format!("sha256:{}", file.sha256);
    let path = file.path.clone();
    let request = pb::DownloadBlobRequest { name: Some(name), digest, offset: Some(offset), length: None, path };
    let mut stream = session.artifacts().download_blob(request).await?.into_inner();
    while let Some(message) = stream.message().await? {
        match message.part {
            Some(Part::Start(start)) if start.offset != offset => {
                return Err(Stop::Local(Error::Nonsense("it sends another part of the file")));
            }
            Some(Part::Chunk(chunk)) => {
                let length = chunk.len() as u64;
                if length > size.saturating_sub(sink.length()) {
                    return Err(Stop::Local(Error::Nonsense("it sends more than the file has")));
                }
                sink.write(&chunk).await.map_err(Stop::Local)?;
                progress.advance(length);
            }
            Some(Part::Start(_)) | None => {}
        }
    }
    Ok(())
}

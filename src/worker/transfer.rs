//! A task without a shared disk: the video comes from the server, and its result goes there.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use steward_proto::transcode::v1 as pb;
use steward_proto::transcode::v1::video_service_client::VideoServiceClient;
use tonic::Status;
use tracing::warn;

use super::failure::{Failure, blocking};
use super::place;
use super::probe::probe;
use super::report::Stage;
use super::task::{Attempt, Done};
use super::upload;
use crate::cli::backoff::Backoff;
use crate::cli::connect::Channel;
use crate::cli::error;

/// Does the task in the temporary directory.
pub(super) async fn run(attempt: &mut Attempt<'_>) -> Result<Done, Failure> {
    let state = attempt.context.state.directory();
    let directory = attempt.settings().temp.clone().unwrap_or_else(|| state.join("transfer"));
    let task_id = attempt.assignment.task_id.clone();
    let extension = extension_of(&attempt.assignment.video_path);
    let source = directory.join(format!(".steward-{task_id}.source.{extension}"));
    let cannot_write = format!("cannot write {}", source.display());
    let made = directory.clone();
    blocking(move || place::create_directory(&made)).await.map_err(Failure::io(&cannot_write))?;
    attempt.leave([source.clone()]).await?;
    tokio::fs::File::create(&source).await.map_err(Failure::io(cannot_write))?;
    fetch(attempt, &source).await?;
    let media = probe(&attempt.settings().ffprobe, &source, attempt.stop).await?;
    let container = attempt.container(&source, &media);
    let extension = container.extension(&extension);
    let result = place::temporary(&directory, &task_id, &extension);
    attempt.leave([result.clone()]).await?;
    let encoded = attempt.encode(&source, &result, &media, container).await?;
    let stored = upload::send(attempt, &result, &extension).await?;
    let has_moved = stored.video_path != attempt.assignment.video_path;
    Ok(Done {
        output_path: if has_moved { stored.video_path } else { String::new() },
        source_bytes: encoded.source_bytes,
        output_bytes: encoded.bytes,
    })
}

/// That of the server's file, as far as it can be a part of a file name here.
fn extension_of(video_path: &str) -> String {
    let extension = Path::new(video_path).extension().unwrap_or_default().to_string_lossy();
    let is_plain = !extension.is_empty() && extension.len() <= 8 && extension.chars().all(char::is_alphanumeric);
    if is_plain { extension.into_owned() } else { "video".to_owned() }
}

/// A client of the videos.
pub(super) fn videos(attempt: &Attempt<'_>) -> VideoServiceClient<Channel> {
    VideoServiceClient::new(attempt.context.channel.clone())
}

/// What becomes of a call that failed: it is made again after a pause, or never.
pub(super) async fn recover(
    attempt: &Attempt<'_>,
    status: &Status,
    what: &str,
    backoff: &mut Backoff,
) -> Result<(), Failure> {
    let reason = error::reason(status);
    let is_broken_off = matches!(reason.as_deref(), Some("WRONG_OFFSET" | "WRONG_DIGEST"));
    if !error::is_transient(status) && !is_broken_off {
        let message = format!("{what}: {}", error::describe(status));
        let is_about_the_video = reason.as_deref() == Some("RESULT_REFUSED");
        return Err(if is_about_the_video { Failure::Video(message) } else { Failure::Worker(message) });
    }
    if backoff.is_fresh() {
        warn!(task = %attempt.assignment.task_id, error = %error::describe(status), "{what}; trying again");
    }
    tokio::select! {
        () = backoff.pause() => Ok(()),
        () = attempt.stop.cancelled() => Err(Failure::Stopped),
    }
}

/// How much of the source is here.
#[derive(Clone, Copy, Debug, Default)]
struct Fetched {
    bytes: i64,
    /// As the server said first.
    total: Option<i64>,
}

/// Fetches the source. A connection that breaks is made again, and goes on where it was.
async fn fetch(attempt: &mut Attempt<'_>, source: &Path) -> Result<(), Failure> {
    let mut fetched = Fetched::default();
    let mut backoff = Backoff::new();
    loop {
        let before = fetched.bytes;
        match fetch_from(attempt, source, &mut fetched).await {
            Ok(()) => return Ok(()),
            Err(Interrupted::Failed(failure)) => return Err(failure),
            Err(Interrupted::Broken(status)) => {
                if fetched.bytes > before {
                    backoff = Backoff::new();
                }
                recover(attempt, &status, "cannot fetch the video", &mut backoff).await?;
            }
        }
    }
}

enum Interrupted {
    Broken(Status),
    Failed(Failure),
}

impl From<Failure> for Interrupted {
    fn from(failure: Failure) -> Self {
        Interrupted::Failed(failure)
    }
}

impl From<Status> for Interrupted {
    fn from(status: Status) -> Self {
        Interrupted::Broken(status)
    }
}

async fn fetch_from(attempt: &mut Attempt<'_>, source: &Path, fetched: &mut Fetched) -> Result<(), Interrupted> {
    let request = pb::ReadSourceRequest {
        task_id: attempt.assignment.task_id.clone(),
        lease_token: attempt.assignment.lease_token.clone(),
        offset: fetched.bytes,
        ..pb::ReadSourceRequest::default()
    };
    let stop = attempt.stop;
    let mut videos = videos(attempt);
    let stopped = || Interrupted::Failed(Failure::Stopped);
    let opening = stop.run_until_cancelled(videos.read_source(request)).await.ok_or_else(stopped)?;
    let mut parts = opening?.into_inner();
    loop {
        let part = stop.run_until_cancelled(parts.message()).await.ok_or_else(stopped)??;
        let Some(part) = part else { break };
        let total = *fetched.total.get_or_insert(part.total_bytes);
        check_part(&part, fetched.bytes, total)?;
        fetched.bytes += i64::try_from(part.chunk.len()).unwrap_or(i64::MAX);
        append(source.to_owned(), part.chunk).await?;
        attempt.report.tell(Stage::default());
    }
    match fetched.total {
        Some(total) if fetched.bytes == total => Ok(()),
        // However well it ended: only the whole counts.
        Some(_) => Err(Status::unavailable("the stream ended early").into()),
        None => Err(Failure::video("the video is empty").into()),
    }
}

/// Fails when a part is not the next one of the same file.
fn check_part(part: &pb::ReadSourceResponse, offset: i64, total: i64) -> Result<(), Failure> {
    if part.total_bytes != total {
        let message = format!("the video was changed while it was fetched: from {total} to {} bytes", part.total_bytes);
        return Err(Failure::Worker(message));
    }
    let end = i64::try_from(part.chunk.len()).ok().and_then(|length| offset.checked_add(length));
    if part.offset != offset || end.is_none_or(|end| end > total) {
        return Err(Failure::worker(format!("the server sent byte {} for byte {offset} of {total}", part.offset)));
    }
    Ok(())
}

async fn append(path: PathBuf, chunk: bytes::Bytes) -> Result<(), Failure> {
    let written = blocking(move || OpenOptions::new().append(true).open(path)?.write_all(&chunk)).await;
    written.map_err(Failure::io("cannot keep the video"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_from_elsewhere_is_no_path() {
        assert_eq!(extension_of("films/a.mkv"), "mkv");
        for odd in ["films/a", "films/a.b-c", "films/a.waytoolong", "films/a."] {
            assert_eq!(extension_of(odd), "video", "{odd}");
        }
    }
}

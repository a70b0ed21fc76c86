//! Looks at a file with ffprobe.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::media::{Media, StreamKind};
use super::process;
use super::profile::file_argument;

/// A report is some kilobytes; one of this size is a file that was made to do harm.
const REPORT_BYTES: usize = 16 << 20;
/// It reads some megabytes at most; a disk that needs longer hangs.
const PROBE_TIMEOUT: Duration = Duration::from_mins(1);
/// Formats that name other files, which are not the library's business.
const LISTS: [&str; 8] = ["applehttp", "concat", "dash", "hls", "imf", "rtsp", "sdp", "webm_dash_manifest"];

/// What is in `file`. Fails when there is no video in it.
pub(super) async fn probe(ffprobe: &Path, file: &Path, stop: &CancellationToken) -> Result<Media, Failure> {
    let options = "-v error -protocol_whitelist file -show_format -show_streams -of json -i";
    let mut arguments: Vec<OsString> = options.split(' ').map(OsString::from).collect();
    arguments.push(file_argument(file));
    let mut report = Vec::new();
    let collect = |bytes: &[u8]| {
        let room = REPORT_BYTES - report.len();
        report.extend_from_slice(&bytes[..bytes.len().min(room)]);
    };
    let ended = timeout(PROBE_TIMEOUT, process::run(ffprobe, &arguments, stop, collect)).await;
    ended.map_err(|_| Failure::worker(format!("ffprobe did not get to the end of {}", file.display())))??;
    let media = Media::parse(&report).map_err(|error| {
        Failure::video(format!("the report of ffprobe on {} makes no sense: {error}", file.display()))
    })?;
    if let Some(list) = media.format.split(',').find(|name| LISTS.contains(name)) {
        return Err(Failure::video(format!("{} is no video, but a list of files ({list})", file.display())));
    }
    if media.of_kind(StreamKind::Video).next().is_none() {
        return Err(Failure::video(format!("there is no video stream in {}", file.display())));
    }
    Ok(media)
}

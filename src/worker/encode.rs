//! Runs ffmpeg on a video, and on its result.

use std::ffi::OsString;
use std::path::Path;

use steward_proto::transcode::v1 as pb;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::failure::Failure;
use super::media::Media;
use super::process;
use super::profile::{Job, command_line};
use super::progress::Parser;
use super::report::{Report, Stage};
use super::verify::{self, Decoding};

/// What a task has come to when only the check of its result is left.
const ENCODED_PERCENT: f64 = 99.0;

/// Makes the result.
pub(super) async fn encode(
    ffmpeg: &Path,
    job: Job<'_>,
    duration: f64,
    stop: &CancellationToken,
    report: &mut Report,
) -> Result<(), Failure> {
    let arguments = job.arguments();
    let command = format!("FFmpeg command: {}", command_line(ffmpeg, &arguments));
    info!("{command}");
    report.log(pb::LogLevel::Info, &command);
    let left_out = job.left_out();
    if !left_out.is_empty() {
        report.log(pb::LogLevel::Warning, &format!("The result leaves out: {}", left_out.join(", ")));
    }
    follow(ffmpeg, &arguments, duration, Phase::Encoding, stop, report).await
}

/// Decodes the result, and fails at its first error.
pub(super) async fn decode(
    ffmpeg: &Path,
    result: &Path,
    media: &Media,
    decoding: Decoding,
    stop: &CancellationToken,
    report: &mut Report,
) -> Result<(), Failure> {
    let Some(arguments) = verify::arguments(result, decoding) else { return Ok(()) };
    let duration = media.duration.unwrap_or(0.0);
    let decoded = follow(ffmpeg, &arguments, duration, Phase::Decoding, stop, report).await;
    decoded.map_err(|failure| match failure {
        Failure::Video(message) => Failure::Video(format!("the result cannot be decoded: {message}")),
        Failure::Stopped | Failure::Worker(_) | Failure::Spent(_) => failure,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Encoding,
    Decoding,
}

async fn follow(
    ffmpeg: &Path,
    arguments: &[OsString],
    duration: f64,
    phase: Phase,
    stop: &CancellationToken,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut parser = Parser::default();
    let before = report.elapsed();
    let mut bytes = 0;
    process::run(ffmpeg, arguments, stop, |output| {
        let Some(snapshot) = parser.push(output) else { return };
        if phase == Phase::Encoding {
            bytes = snapshot.bytes;
        }
        let percent = match phase {
            Phase::Encoding => snapshot.percent(duration),
            Phase::Decoding => ENCODED_PERCENT,
        };
        let remaining = snapshot.remaining(duration, report.elapsed().saturating_sub(before));
        report.tell(Stage { percent, remaining, fps: snapshot.fps, speed: snapshot.speed, bytes });
    })
    .await
}

//! Videos in words, for people.

use std::time::Duration;

use jiff::Timestamp;
use steward_proto::transcode::v1 as pb;

use crate::cli::console::{Console, Tone, field, printable};
use crate::cli::farm::words;
use crate::cli::{duration, size, time};

/// A video as it stands, over several lines.
pub(super) fn video(video: &pb::Video, console: &Console, now: Timestamp) -> String {
    let mut lines = vec![
        console.paint(Tone::Heading, printable(&video.video_path)).to_string(),
        field("id", &video.id.to_string()),
        field("status", &console.paint(words::video_tone(video.transcode_status()), status(video)).to_string()),
        field("attempts", &format!("{}, priority {}", video.attempts, video.priority)),
        field("picture", &format!("{} {}, {:.3} fps", codec(video), resolution(video), video.fps)),
        field("sound", &or_none(&video.audio_codec)),
        field("container", &or_none(&video.container)),
        field("length", &length(video.duration)),
        field("size", &format!("{}, {} kbit/s", size::of_proto(video.size_bytes), video.bitrate_k)),
    ];
    if video.saved_bytes != 0 {
        lines.push(field("saved", &words::saved(video.saved_bytes)));
    }
    for (name, at) in
        [("not before", video.not_before_time), ("file changed", video.modify_time), ("updated", video.update_time)]
    {
        lines.extend(time::from_proto(at).map(|at| field(name, &time::moment(at, now))));
    }
    if video.transcode_task_id != 0 {
        lines.push(field("task", &format!("number {}", video.transcode_task_id)));
    }
    if !video.error_message.is_empty() {
        lines.push(field("last failure", &printable(&video.error_message)));
    }
    lines.join("\n")
}

/// What is to become of a video: `failed, held`.
pub(super) fn status(video: &pb::Video) -> String {
    let status = words::video_status(video.transcode_status());
    if video.held { format!("{status}, held") } else { status }
}

/// `h264`, `hevc VR`.
pub(super) fn codec(video: &pb::Video) -> String {
    let codec = or_none(&video.codec);
    if video.is_vr { format!("{codec} VR") } else { codec }
}

/// `1920x1080`.
pub(super) fn resolution(video: &pb::Video) -> String {
    let pixels = video.resolution.unwrap_or_default();
    format!("{}x{}", pixels.width, pixels.height)
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "none".to_owned() } else { printable(text).into_owned() }
}

fn length(seconds: f64) -> String {
    // Neither negative nor beyond what a duration can have.
    Duration::try_from_secs_f64(seconds).map_or_else(|_| "unknown".to_owned(), duration::text)
}

//! The JSON of `--json`, and of the files that are imported: field names as in the protocol, times in RFC 3339, enums as
//! lowercase words.
//!
//! These types are the promise to scripts; the generated messages may change without it.

use serde::{Deserialize, Serialize};
use steward_proto::transcode::v1 as pb;

use crate::cli::farm::words;
use crate::cli::json::word;
use crate::cli::time;

/// What is listed can be imported, so it is read too.
#[expect(clippy::struct_field_names, reason = "the names are the protocol's")]
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Video {
    id: i32,
    video_path: String,
    codec: String,
    bitrate_k: i32,
    size_bytes: i64,
    fps: f64,
    resolution: Option<Resolution>,
    is_vr: bool,
    /// Nothing: the rules of the library decide.
    transcode_status: Option<String>,
    transcode_task_id: i32,
    update_time: Option<String>,
    duration: f64,
    library: String,
    attempts: i32,
    not_before_time: Option<String>,
    exist: Option<bool>,
    container: String,
    audio_codec: String,
    fingerprint: String,
    modify_time: Option<String>,
    priority: i32,
    error_message: String,
    saved_bytes: i64,
    held: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Resolution {
    width: i32,
    height: i32,
}

#[derive(Debug, Serialize)]
pub(super) struct Watched {
    pub(super) revision: i64,
    pub(super) video: Video,
}

#[derive(Debug, Serialize)]
pub(super) struct Requeued {
    pub(super) requeued: i32,
}

#[derive(Debug, Serialize)]
pub(super) struct Imported {
    pub(super) registered: u64,
    pub(super) added: u64,
    pub(super) failed: u64,
}

impl From<pb::Video> for Video {
    fn from(video: pb::Video) -> Self {
        let status = video.transcode_status();
        let status = (status != pb::VideoStatus::Unspecified).then(|| word(status.as_str_name(), "VIDEO_STATUS_"));
        Video {
            id: video.id,
            video_path: video.video_path,
            codec: video.codec,
            bitrate_k: video.bitrate_k,
            size_bytes: video.size_bytes,
            fps: video.fps,
            resolution: video.resolution.map(|pb::Resolution { width, height }| Resolution { width, height }),
            is_vr: video.is_vr,
            transcode_status: status,
            transcode_task_id: video.transcode_task_id,
            update_time: time::json(video.update_time),
            duration: video.duration,
            library: video.library,
            attempts: video.attempts,
            not_before_time: time::json(video.not_before_time),
            exist: Some(video.exist),
            container: video.container,
            audio_codec: video.audio_codec,
            fingerprint: video.fingerprint,
            modify_time: time::json(video.modify_time),
            priority: video.priority,
            error_message: video.error_message,
            saved_bytes: video.saved_bytes,
            held: video.held,
        }
    }
}

impl Video {
    /// What can be registered of it: ids and times are the server's own. Whatever another master was working on waits.
    pub(super) fn into_registration(self) -> Result<pb::Video, String> {
        if self.video_path.is_empty() {
            return Err("video_path is missing".to_owned());
        }
        Ok(pb::Video {
            transcode_status: self.status()?.into(),
            modify_time: self.modify_time.as_deref().map(parse_time).transpose()?,
            resolution: self.resolution.map(|Resolution { width, height }| pb::Resolution { width, height }),
            video_path: self.video_path,
            codec: self.codec,
            bitrate_k: self.bitrate_k,
            size_bytes: self.size_bytes,
            fps: self.fps,
            is_vr: self.is_vr,
            duration: self.duration,
            library: self.library,
            attempts: self.attempts,
            exist: self.exist.unwrap_or(true),
            container: self.container,
            audio_codec: self.audio_codec,
            fingerprint: self.fingerprint,
            priority: self.priority,
            error_message: self.error_message,
            saved_bytes: self.saved_bytes,
            held: self.held,
            ..pb::Video::default()
        })
    }

    fn status(&self) -> Result<pb::VideoStatus, String> {
        let Some(text) = &self.transcode_status else { return Ok(pb::VideoStatus::Unspecified) };
        let status = words::parse_video_status(text).map_err(|problem| format!("transcode_status: {problem}"))?;
        Ok(match status {
            pb::VideoStatus::Claimed | pb::VideoStatus::Transcoding => pb::VideoStatus::Waiting,
            status => status,
        })
    }
}

fn parse_time(text: &str) -> Result<prost_types::Timestamp, String> {
    let time = text.parse().map_err(|_| "modify_time is no time; write it as 2026-03-01T12:00:00Z")?;
    Ok(time::to_proto(time))
}

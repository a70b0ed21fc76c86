//! Reads the answer of ffprobe.

use std::collections::HashMap;

use serde::Deserialize;

use super::{Probe, ProbeError};

/// The longest name of a codec or container that is kept, in bytes.
const MAX_NAME: usize = 64;
/// The longest duration that is believed, in seconds: some thirty years.
const MAX_DURATION: f64 = 1e9;
/// The most frames a second that are believed.
const MAX_FPS: f64 = 1e6;
/// The greatest width or height that is believed, in pixels: their product fits everywhere.
const MAX_SIDE: i64 = 40_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    streams: Vec<Stream>,
    format: Format,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stream {
    codec_type: String,
    codec_name: String,
    width: i64,
    height: i64,
    avg_frame_rate: String,
    bit_rate: String,
    duration: String,
    tags: HashMap<String, String>,
    disposition: Disposition,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Disposition {
    attached_pic: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Format {
    #[serde(rename = "format_name")]
    name: String,
    duration: String,
    bit_rate: String,
}

/// Reads what ffprobe says of a file of `size` bytes.
pub(super) fn read(answer: &[u8], size: i64) -> Result<Probe, ProbeError> {
    // Tags of old files are in any encoding.
    let answer = String::from_utf8_lossy(answer);
    let answer: Answer = serde_json::from_str(&answer).map_err(|error| ProbeError::Garbled(error.to_string()))?;
    let is_video = |stream: &&Stream| stream.codec_type == "video" && stream.disposition.attached_pic == 0;
    let video = answer.streams.iter().find(is_video).ok_or(ProbeError::NoVideo)?;
    let audio = answer.streams.iter().find(|stream| stream.codec_type == "audio");
    let duration = duration(video, &answer.format);
    Ok(Probe {
        codec: name(&video.codec_name),
        bitrate_k: bitrate_k(video, &answer.format, size, duration),
        fps: fraction(&video.avg_frame_rate).unwrap_or(0.0),
        width: side(video.width),
        height: side(video.height),
        duration,
        container: name(&answer.format.name),
        audio_codec: audio.map(|stream| name(&stream.codec_name)).unwrap_or_default(),
    })
}

fn name(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(MAX_NAME).collect()
}

fn side(pixels: i64) -> i32 {
    i32::try_from(pixels.clamp(0, MAX_SIDE)).expect("at most MAX_SIDE")
}

/// A number that says something: more than nothing, and not without end.
fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0)
}

fn duration(video: &Stream, format: &Format) -> f64 {
    let tag = || video.tags.get("DURATION").and_then(|text| clock_time(text));
    let duration = number(&video.duration).or_else(tag).or_else(|| number(&format.duration));
    duration.unwrap_or(0.0).min(MAX_DURATION)
}

fn bitrate_k(video: &Stream, format: &Format, size: i64, duration: f64) -> i32 {
    let tag = || video.tags.get("BPS").and_then(|text| number(text));
    #[expect(clippy::cast_precision_loss, reason = "a size is exact enough to divide")]
    let mean = || (duration > 0.0).then(|| size as f64 * 8.0 / duration);
    let bits = number(&video.bit_rate).or_else(tag).or_else(|| number(&format.bit_rate)).or_else(mean);
    #[expect(clippy::cast_possible_truncation, reason = "the fraction is cut off, and the cast stops at the greatest")]
    let bitrate_k = (bits.unwrap_or(0.0) / 1000.0) as i32;
    bitrate_k
}

/// `30000/1001`. Nothing when there is no such number, as in `0/0`.
fn fraction(text: &str) -> Option<f64> {
    let (over, under) = text.split_once('/').unwrap_or((text, "1"));
    Some((number(over)? / number(under)?).min(MAX_FPS))
}

/// `01:02:03.5`, in seconds.
fn clock_time(text: &str) -> Option<f64> {
    let mut parts = text.trim().splitn(3, ':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let total = hours * 3600.0 + minutes * 60.0 + seconds;
    (total.is_finite() && total > 0.0).then_some(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(answer: &serde_json::Value, size: i64) -> Probe {
        read(answer.to_string().as_bytes(), size).unwrap()
    }

    #[test]
    fn the_first_video_stream_that_is_no_cover_counts() {
        let probe = of(
            &serde_json::json!({
                "streams": [
                    {"codec_type": "video", "codec_name": "mjpeg", "disposition": {"attached_pic": 1}},
                    {"codec_type": "audio", "codec_name": "aac"},
                    {"codec_type": "video", "codec_name": "h264", "width": 1920, "height": 1080,
                     "avg_frame_rate": "30000/1001", "bit_rate": "3076999", "duration": "12.5"},
                ],
                "format": {"format_name": "mov,mp4", "duration": "13", "bit_rate": "9"},
            }),
            5,
        );
        assert_eq!((probe.codec.as_str(), probe.audio_codec.as_str()), ("h264", "aac"));
        assert_eq!((probe.width, probe.height, probe.bitrate_k), (1920, 1080, 3076));
        assert_eq!((probe.duration, probe.container.as_str()), (12.5, "mov,mp4"));
        assert!((probe.fps - 29.97).abs() < 0.001);
    }

    #[test]
    fn what_the_stream_does_not_say_is_taken_from_its_tags_then_the_container_then_the_size() {
        let video = |extra: serde_json::Value, format: serde_json::Value| {
            let mut stream = serde_json::json!({"codec_type": "video", "avg_frame_rate": "0/0"});
            stream.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let probe = of(&serde_json::json!({"streams": [stream], "format": format}), 1_000_000);
            assert!(probe.fps.abs() < f64::EPSILON);
            (probe.bitrate_k, probe.duration)
        };
        let tags = serde_json::json!({"tags": {"BPS": "2500000", "DURATION": "00:01:40.000000000"}});
        let format = serde_json::json!({"bit_rate": "7000", "duration": "50"});
        assert_eq!(video(tags, format.clone()), (2500, 100.0));
        assert_eq!(video(serde_json::json!({}), format), (7, 50.0));
        assert_eq!(video(serde_json::json!({}), serde_json::json!({"duration": "8"})), (1000, 8.0));
        assert_eq!(video(serde_json::json!({}), serde_json::json!({})), (0, 0.0));
        assert_eq!(video(serde_json::json!({"bit_rate": "1e300"}), serde_json::json!({})), (i32::MAX, 0.0));
    }

    #[test]
    fn a_file_without_pictures_is_no_video() {
        assert!(matches!(read(b"{}", 0), Err(ProbeError::NoVideo)));
        assert!(matches!(read(b"", 0), Err(ProbeError::Garbled(_))));
    }

    proptest! {
        #[test]
        fn whatever_is_said_the_numbers_make_sense(text in "[-0-9a-z.:/]{0,12}", side: i64, size: i64) {
            let answer = serde_json::json!({
                "streams": [{"codec_type": "video", "width": side, "height": side, "avg_frame_rate": text,
                    "bit_rate": text, "duration": text, "tags": {"DURATION": text, "BPS": text}}],
            });
            let probe = read(answer.to_string().as_bytes(), size.max(0)).unwrap();
            prop_assert!((0.0..=MAX_FPS).contains(&probe.fps) && (0.0..=MAX_DURATION).contains(&probe.duration));
            prop_assert!(probe.bitrate_k >= 0 && probe.width >= 0 && probe.width.checked_mul(probe.height).is_some());
        }
    }
}

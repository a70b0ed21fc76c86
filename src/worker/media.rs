//! What ffprobe says of a file.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A file with video.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Media {
    /// Seconds; nothing when the file does not tell.
    pub(super) duration: Option<f64>,
    /// Bits a second of the whole.
    pub(super) bit_rate: Option<u64>,
    /// The names that ffprobe has for the container, between commas.
    pub(super) format: String,
    /// In the order of the file.
    pub(super) streams: Vec<Stream>,
}

/// One of its streams.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stream {
    pub(super) index: u32,
    pub(super) kind: StreamKind,
    /// As ffprobe names it; empty when it knows none.
    pub(super) codec: String,
    /// Where it ends, in seconds from the beginning of the file; nothing when the file does not tell.
    pub(super) end: Option<f64>,
}

/// What is in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamKind {
    Video,
    /// One picture, such as a cover.
    Picture,
    Audio,
    Subtitle,
    /// A file, such as a font.
    Attachment,
    /// Time codes, positions and whatever else.
    Data,
}

impl Media {
    /// Reads the JSON of ffprobe.
    pub(super) fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let report: Report = serde_json::from_slice(json)?;
        let durations = report.streams.iter().map(|stream| stream.duration.as_ref());
        let longest = durations.filter_map(number::<f64>).fold(0.0, f64::max);
        let duration = number(report.format.duration.as_ref()).unwrap_or(longest);
        let start = number(report.format.start_time.as_ref()).unwrap_or(0.0);
        let mut streams: Vec<Stream> = report.streams.into_iter().map(|stream| stream.read(start)).collect();
        tell_pictures(&mut streams);
        Ok(Media {
            duration: Some(duration).filter(|duration| duration.is_finite() && *duration > 0.0),
            bit_rate: number(report.format.bit_rate.as_ref()),
            format: report.format.format_name,
            streams,
        })
    }

    pub(super) fn of_kind(&self, kind: StreamKind) -> impl Iterator<Item = &Stream> {
        self.streams.iter().filter(move |stream| stream.kind == kind)
    }
}

/// Codecs of single pictures.
const PICTURE_CODECS: [&str; 6] = ["bmp", "gif", "mjpeg", "png", "tiff", "webp"];

/// Some containers do not say of a cover that it is one: it looks like a second video.
fn tell_pictures(streams: &mut [Stream]) {
    let is_moving = |stream: &Stream| stream.kind == StreamKind::Video && !PICTURE_CODECS.contains(&&*stream.codec);
    if streams.iter().any(is_moving) {
        for stream in streams.iter_mut().filter(|stream| stream.kind == StreamKind::Video) {
            if PICTURE_CODECS.contains(&&*stream.codec) {
                stream.kind = StreamKind::Picture;
            }
        }
    }
}

fn number<T: std::str::FromStr>(text: Option<&String>) -> Option<T> {
    text?.parse().ok()
}

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    streams: Vec<ReportStream>,
    #[serde(default)]
    format: ReportFormat,
}

#[derive(Default, Deserialize)]
struct ReportFormat {
    duration: Option<String>,
    start_time: Option<String>,
    bit_rate: Option<String>,
    #[serde(default)]
    format_name: String,
}

#[derive(Deserialize)]
struct ReportStream {
    index: u32,
    #[serde(default)]
    codec_type: String,
    #[serde(default)]
    codec_name: String,
    duration: Option<String>,
    start_time: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    tags: BTreeMap<String, serde_json::Value>,
}

#[derive(Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    attached_pic: u8,
}

impl ReportStream {
    /// As of a file whose clock begins at `start`.
    fn read(self, start: f64) -> Stream {
        let kind = match self.codec_type.as_str() {
            "video" if self.disposition.attached_pic != 0 => StreamKind::Picture,
            "video" => StreamKind::Video,
            "audio" => StreamKind::Audio,
            "subtitle" => StreamKind::Subtitle,
            "attachment" => StreamKind::Attachment,
            _ => StreamKind::Data,
        };
        let end = self.end(start);
        Stream { index: self.index, kind, codec: self.codec_name, end }
    }

    fn end(&self, start: f64) -> Option<f64> {
        let own_start = number(self.start_time.as_ref()).unwrap_or(start);
        let by_length = number::<f64>(self.duration.as_ref()).map(|duration| own_start + duration);
        // In Matroska a tag has the time of the end.
        let end = by_length.or_else(|| self.tags.iter().find_map(|(name, value)| tagged_end(name, value.as_str()?)))?;
        Some(end - start).filter(|end| end.is_finite() && *end > 0.0)
    }
}

/// `DURATION`, or `DURATION-eng`, as `00:00:20.023000000`.
fn tagged_end(name: &str, value: &str) -> Option<f64> {
    let name = name.to_ascii_uppercase();
    if name != "DURATION" && !name.starts_with("DURATION-") {
        return None;
    }
    let mut parts = value.splitn(3, ':');
    let mut next = || parts.next()?.trim().parse::<f64>().ok();
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    Some((hours * 60.0 + minutes) * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_apart_and_a_cover_is_no_video() {
        let json = br#"{"streams": [
            {"index": 0, "codec_type": "video", "codec_name": "mjpeg", "disposition": {"attached_pic": 1}},
            {"index": 1, "codec_type": "video", "codec_name": "h264", "disposition": {"attached_pic": 0}},
            {"index": 2, "codec_type": "audio", "codec_name": "aac"},
            {"index": 3, "codec_type": "data"}
        ], "format": {"duration": "12.500000", "bit_rate": "800000"}}"#;
        let media = Media::parse(json).unwrap();
        let kinds: Vec<_> = media.streams.iter().map(|stream| stream.kind).collect();
        assert_eq!(kinds, [StreamKind::Picture, StreamKind::Video, StreamKind::Audio, StreamKind::Data]);
        assert_eq!((media.duration, media.bit_rate), (Some(12.5), Some(800_000)));
    }

    #[test]
    fn a_cover_that_nobody_called_so_is_one_but_the_only_video_is_none() {
        let json = |codecs: [&str; 2]| {
            let stream = |codec| format!(r#"{{"index": 0, "codec_type": "video", "codec_name": "{codec}"}}"#);
            format!(r#"{{"streams": [{}]}}"#, codecs.map(stream).join(","))
        };
        let kinds = |codecs| {
            let media = Media::parse(json(codecs).as_bytes()).unwrap();
            media.streams.into_iter().map(|stream| stream.kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(["h264", "png"]), [StreamKind::Video, StreamKind::Picture]);
        assert_eq!(kinds(["mjpeg", "mjpeg"]), [StreamKind::Video, StreamKind::Video]);
    }

    #[test]
    fn a_duration_comes_from_a_stream_or_is_unknown() {
        let json = br#"{"streams": [{"index": 0, "codec_type": "video", "duration": "3.0"}], "format": {}}"#;
        assert_eq!(Media::parse(json).unwrap().duration, Some(3.0));
        assert_eq!(Media::parse(br#"{"format": {"duration": "N/A"}}"#).unwrap().duration, None);
    }

    #[test]
    fn where_a_stream_ends_is_told_by_its_length_or_by_a_tag() {
        let json = br#"{"streams": [
            {"index": 0, "codec_type": "video", "start_time": "3.5", "duration": "8.0"},
            {"index": 1, "codec_type": "video", "tags": {"DURATION-eng": "00:01:20.500000000", "title": "x"}},
            {"index": 2, "codec_type": "video", "duration": "N/A", "tags": {"DURATION": "soon"}}
        ], "format": {"start_time": "1.5"}}"#;
        let ends: Vec<_> = Media::parse(json).unwrap().streams.iter().map(|stream| stream.end).collect();
        assert_eq!(ends, [Some(10.0), Some(79.0), None]);
    }
}

//! What ffprobe says of a file.

use serde::Deserialize;

/// A file with video.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Media {
    /// Seconds; nothing when the file does not tell.
    pub(super) duration: Option<f64>,
    /// Bits a second of the whole.
    pub(super) bit_rate: Option<u64>,
    /// In the order of the file.
    pub(super) streams: Vec<Stream>,
}

/// One of its streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) index: u32,
    pub(super) kind: StreamKind,
    /// As ffprobe names it; empty when it knows none.
    pub(super) codec: String,
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
        let mut streams: Vec<Stream> = report.streams.into_iter().map(Stream::from).collect();
        tell_pictures(&mut streams);
        Ok(Media {
            duration: Some(duration).filter(|duration| duration.is_finite() && *duration > 0.0),
            bit_rate: number(report.format.bit_rate.as_ref()),
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
    bit_rate: Option<String>,
}

#[derive(Deserialize)]
struct ReportStream {
    index: u32,
    #[serde(default)]
    codec_type: String,
    #[serde(default)]
    codec_name: String,
    duration: Option<String>,
    #[serde(default)]
    disposition: Disposition,
}

#[derive(Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    attached_pic: u8,
}

impl From<ReportStream> for Stream {
    fn from(stream: ReportStream) -> Self {
        let kind = match stream.codec_type.as_str() {
            "video" if stream.disposition.attached_pic != 0 => StreamKind::Picture,
            "video" => StreamKind::Video,
            "audio" => StreamKind::Audio,
            "subtitle" => StreamKind::Subtitle,
            "attachment" => StreamKind::Attachment,
            _ => StreamKind::Data,
        };
        Stream { index: stream.index, kind, codec: stream.codec_name }
    }
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
}

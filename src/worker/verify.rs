//! Whether a result may take the place of its source.

use std::ffi::OsString;
use std::path::Path;

use super::media::{Media, StreamKind};
use super::profile::file_argument;

/// How much of a result is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Decoding {
    /// All of it.
    Full,
    /// Its last ten seconds.
    Quick,
    /// Nothing: its length and size have to do.
    Off,
}

/// Whether a result may be larger than its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    Allowed,
    Refused,
}

/// A file, and how large it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured<'a> {
    pub(super) media: &'a Media,
    pub(super) bytes: u64,
}

/// How far the lengths of source and result may be apart, in seconds.
const TOLERANCE: f64 = 2.0;

/// Says what is wrong with the result, with numbers.
pub(super) fn judge(source: Measured<'_>, result: Measured<'_>, growth: Growth) -> Result<(), String> {
    let codecs: Vec<&str> = result.media.of_kind(StreamKind::Video).map(|stream| &*stream.codec).collect();
    if !codecs.contains(&"hevc") {
        let found = if codecs.is_empty() { "none".to_owned() } else { codecs.join(", ") };
        return Err(format!("the result has no HEVC video stream (video streams: {found})"));
    }
    let audio = |measured: Measured<'_>| measured.media.of_kind(StreamKind::Audio).count();
    if audio(result) != audio(source) {
        return Err(format!("the result has {} audio streams, the source {}", audio(result), audio(source)));
    }
    if let Some(expected) = source.media.duration {
        let Some(actual) = result.media.duration else {
            return Err(format!("the result does not tell how long it is; the source takes {expected:.2} s"));
        };
        if (actual - expected).abs() > TOLERANCE {
            return Err(format!(
                "the result takes {actual:.2} s, the source {expected:.2} s: more than {TOLERANCE} s apart"
            ));
        }
    }
    if growth == Growth::Refused && result.bytes >= source.bytes {
        return Err(format!("the result is not smaller: {} bytes, the source {} bytes", result.bytes, source.bytes));
    }
    Ok(())
}

/// The arguments with which ffmpeg decodes a result and fails at the first error; nothing when it need not.
///
/// The streams that were only copied are left alone: their errors were there before.
pub(super) fn arguments(file: &Path, decoding: Decoding) -> Option<Vec<OsString>> {
    let start = "-hide_banner -nostdin -nostats -progress pipe:1 -v error -xerror -protocol_whitelist file,crypto,data";
    let mut arguments: Vec<OsString> = start.split(' ').map(OsString::from).collect();
    match decoding {
        Decoding::Full => {}
        Decoding::Quick => arguments.extend(["-sseof", "-10"].map(OsString::from)),
        Decoding::Off => return None,
    }
    arguments.push("-i".into());
    arguments.push(file_argument(file));
    arguments.extend("-map 0:V -f null -".split(' ').map(OsString::from));
    Some(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::media::Stream;

    fn media(codec: &str, audio: usize, duration: Option<f64>) -> Media {
        let stream = |kind, codec: &str| Stream { index: 0, kind, codec: codec.to_owned() };
        let mut streams = vec![stream(StreamKind::Video, codec)];
        streams.extend((0..audio).map(|_| stream(StreamKind::Audio, "aac")));
        Media { duration, streams, bit_rate: None }
    }

    fn verdict(result: &Media, bytes: u64, growth: Growth) -> Result<(), String> {
        let source = media("h264", 1, Some(60.0));
        judge(Measured { media: &source, bytes: 1000 }, Measured { media: result, bytes }, growth)
    }

    #[test]
    fn a_good_result_is_accepted() {
        assert_eq!(verdict(&media("hevc", 1, Some(58.5)), 999, Growth::Refused), Ok(()));
    }

    #[test]
    fn each_fault_is_told_with_its_numbers() {
        for (result, bytes, expected) in [
            (media("h264", 1, Some(60.0)), 1, "the result has no HEVC video stream (video streams: h264)"),
            (media("hevc", 0, Some(60.0)), 1, "the result has 0 audio streams, the source 1"),
            (media("hevc", 1, Some(57.9)), 1, "the result takes 57.90 s, the source 60.00 s: more than 2 s apart"),
            (media("hevc", 1, None), 1, "the result does not tell how long it is; the source takes 60.00 s"),
            (media("hevc", 1, Some(60.0)), 1000, "the result is not smaller: 1000 bytes, the source 1000 bytes"),
        ] {
            assert_eq!(verdict(&result, bytes, Growth::Refused).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_larger_result_can_be_allowed() {
        assert_eq!(verdict(&media("hevc", 1, Some(60.0)), 2000, Growth::Allowed), Ok(()));
    }

    #[test]
    fn a_source_without_a_length_has_none_to_compare() {
        let (source, result) = (media("h264", 0, None), media("hevc", 0, Some(1.0)));
        let measured = |media, bytes| Measured { media, bytes };
        assert_eq!(judge(measured(&source, 9), measured(&result, 8), Growth::Refused), Ok(()));
    }
}

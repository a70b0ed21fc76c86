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

/// How far the lengths of source and result may be apart, in seconds, and so where their video streams end.
const TOLERANCE: f64 = 2.0;

/// Says what is wrong with the result, with numbers.
///
/// `scanned` is how long the source takes by what the server knows, for a source that does not tell itself.
pub(super) fn judge(
    source: Measured<'_>,
    result: Measured<'_>,
    scanned: Option<f64>,
    growth: Growth,
) -> Result<(), String> {
    let codecs: Vec<&str> = result.media.of_kind(StreamKind::Video).map(|stream| &*stream.codec).collect();
    if !codecs.contains(&"hevc") {
        let found = if codecs.is_empty() { "none".to_owned() } else { codecs.join(", ") };
        return Err(format!("the result has no HEVC video stream (video streams: {found})"));
    }
    let audio = |measured: Measured<'_>| measured.media.of_kind(StreamKind::Audio).count();
    if audio(result) != audio(source) {
        return Err(format!("the result has {} audio streams, the source {}", audio(result), audio(source)));
    }
    let expected = source.media.duration.or(scanned);
    if let Some(expected) = expected {
        let Some(actual) = result.media.duration else {
            return Err(format!("the result does not tell how long it is; the source takes {expected:.2} s"));
        };
        if (actual - expected).abs() > TOLERANCE {
            return Err(format!(
                "the result takes {actual:.2} s, the source {expected:.2} s: more than {TOLERANCE} s apart"
            ));
        }
    }
    compare_videos(source.media, result.media, expected)?;
    if growth == Growth::Refused && result.bytes >= source.bytes {
        return Err(format!("the result is not smaller: {} bytes, the source {} bytes", result.bytes, source.bytes));
    }
    Ok(())
}

/// Looks where the video streams end, each by itself: ffmpeg ends well when the pictures of a damaged source stop early,
/// and the length of the whole is then that of its sound.
fn compare_videos(source: &Media, result: &Media, whole: Option<f64>) -> Result<(), String> {
    let count = |media: &Media| media.of_kind(StreamKind::Video).count();
    if count(result) != count(source) {
        return Err(format!("the result has {} video streams, the source {}", count(result), count(source)));
    }
    for (before, after) in source.of_kind(StreamKind::Video).zip(result.of_kind(StreamKind::Video)) {
        let Some(expected) = before.end.or(whole) else { continue };
        // Results are of containers that always tell.
        let Some(actual) = after.end else {
            return Err(format!(
                "the result does not tell where its video ends; that of the source, at {expected:.2} s"
            ));
        };
        if (actual - expected).abs() > TOLERANCE {
            return Err(format!(
                "the video of the result ends at {actual:.2} s, that of the source at {expected:.2} s: more than \
                 {TOLERANCE} s apart"
            ));
        }
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
        let stream = |kind, codec: &str| Stream { index: 0, kind, codec: codec.to_owned(), end: duration };
        let mut streams = vec![stream(StreamKind::Video, codec)];
        streams.extend((0..audio).map(|_| stream(StreamKind::Audio, "aac")));
        Media { duration, streams, ..Media::default() }
    }

    fn verdict(result: &Media, bytes: u64, growth: Growth) -> Result<(), String> {
        let source = media("h264", 1, Some(60.0));
        judge(Measured { media: &source, bytes: 1000 }, Measured { media: result, bytes }, None, growth)
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
        let judged = |scanned| judge(measured(&source, 9), measured(&result, 8), scanned, Growth::Refused);
        assert_eq!(judged(None), Ok(()));
        assert!(judged(Some(60.0)).unwrap_err().contains("the source 60.00 s"));
    }

    #[test]
    fn pictures_that_stop_before_the_sound_are_found_out() {
        let mut result = media("hevc", 1, Some(60.0));
        result.streams[0].end = Some(24.1);
        let expected = "the video of the result ends at 24.10 s, that of the source at 60.00 s: more than 2 s apart";
        assert_eq!(verdict(&result, 1, Growth::Refused).unwrap_err(), expected);
        let mut source = media("h264", 1, Some(60.0));
        source.streams[0].end = None;
        let judged = |result: &Media| {
            let measured = |media| Measured { media, bytes: 1 };
            judge(measured(&source), measured(result), None, Growth::Allowed).unwrap_err()
        };
        assert!(judged(&result).contains("ends at 24.10 s"));
        result.streams[0].end = None;
        assert!(judged(&result).contains("not tell"));
    }
}

//! Which container a result has, and what of its source it can hold.

use super::media::{Media, Stream, StreamKind};

/// A container that can hold HEVC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Mp4,
    Mov,
    Matroska,
}

/// What becomes of a stream of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handling {
    /// It is encoded anew, as video.
    Encode,
    Copy,
    /// A subtitle in a form that the container holds, by this encoder.
    Convert(&'static str),
    /// It is left out.
    Drop,
}

const MP4_AUDIO: [&str; 10] = ["aac", "ac3", "alac", "dts", "eac3", "flac", "mp2", "mp3", "opus", "vorbis"];
const TEXT_SUBTITLES: [&str; 9] = ["ass", "eia_608", "microdvd", "mov_text", "ssa", "srt", "subrip", "text", "webvtt"];
const MATROSKA_SUBTITLES: [&str; 7] =
    ["ass", "dvb_subtitle", "dvd_subtitle", "hdmv_pgs_subtitle", "ssa", "subrip", "webvtt"];

impl Container {
    /// That of a file with this ending if it can hold everything that it should, else Matroska.
    pub(super) fn choose(extension: &str, media: &Media, is_audio_copied: bool) -> Self {
        let own = match extension.to_ascii_lowercase().as_str() {
            "mp4" | "m4v" => Container::Mp4,
            "mov" => Container::Mov,
            _ => return Container::Matroska,
        };
        let cannot_hold = |stream: &Stream| match stream.kind {
            StreamKind::Subtitle => own.handling(stream) == Handling::Drop,
            StreamKind::Audio => is_audio_copied && own == Container::Mp4 && !MP4_AUDIO.contains(&&*stream.codec),
            StreamKind::Video | StreamKind::Picture | StreamKind::Attachment | StreamKind::Data => false,
        };
        if media.streams.iter().any(cannot_hold) { Container::Matroska } else { own }
    }

    /// The ending of a result whose source has `extension`.
    pub(super) fn extension(self, extension: &str) -> String {
        let fits = match self {
            Container::Mp4 => ["mp4", "m4v"].iter().any(|own| extension.eq_ignore_ascii_case(own)),
            Container::Mov => extension.eq_ignore_ascii_case("mov"),
            Container::Matroska => extension.eq_ignore_ascii_case("mkv"),
        };
        if fits { extension.to_owned() } else { self.format_extension().to_owned() }
    }

    fn format_extension(self) -> &'static str {
        match self {
            Container::Mp4 => "mp4",
            Container::Mov => "mov",
            Container::Matroska => "mkv",
        }
    }

    /// As ffmpeg names it.
    pub(super) fn format(self) -> &'static str {
        match self {
            Container::Mp4 => "mp4",
            Container::Mov => "mov",
            Container::Matroska => "matroska",
        }
    }

    /// What becomes of a stream in this container.
    pub(super) fn handling(self, stream: &Stream) -> Handling {
        match (stream.kind, self) {
            (StreamKind::Video, _) => Handling::Encode,
            (StreamKind::Audio, _)
            | (StreamKind::Picture, Container::Mp4)
            | (StreamKind::Attachment, Container::Matroska) => Handling::Copy,
            // Matroska would take a cover for a second video; QuickTime has no place for one.
            (StreamKind::Picture | StreamKind::Attachment | StreamKind::Data, _) => Handling::Drop,
            (StreamKind::Subtitle, Container::Matroska) => in_matroska(&stream.codec),
            (StreamKind::Subtitle, Container::Mp4 | Container::Mov) => in_mp4(&stream.codec),
        }
    }
}

fn in_matroska(codec: &str) -> Handling {
    match codec {
        codec if MATROSKA_SUBTITLES.contains(&codec) => Handling::Copy,
        codec if TEXT_SUBTITLES.contains(&codec) => Handling::Convert("srt"),
        "xsub" => Handling::Convert("dvdsub"),
        _ => Handling::Drop,
    }
}

fn in_mp4(codec: &str) -> Handling {
    match codec {
        "mov_text" | "dvd_subtitle" => Handling::Copy,
        codec if TEXT_SUBTITLES.contains(&codec) => Handling::Convert("mov_text"),
        _ => Handling::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(streams: &[(StreamKind, &str)]) -> Media {
        let stream = |(index, (kind, codec)): (usize, &(StreamKind, &str))| Stream {
            index: u32::try_from(index).unwrap(),
            kind: *kind,
            codec: (*codec).to_owned(),
            end: None,
        };
        Media { streams: streams.iter().enumerate().map(stream).collect(), ..Media::default() }
    }

    fn result(extension: &str, streams: &[(StreamKind, &str)]) -> String {
        Container::choose(extension, &media(streams), true).extension(extension)
    }

    #[test]
    fn a_container_that_can_hold_hevc_stays_with_its_ending() {
        for extension in ["mp4", "MP4", "m4v", "mov", "mkv", "MKV"] {
            assert_eq!(result(extension, &[(StreamKind::Video, "h264"), (StreamKind::Audio, "aac")]), extension);
        }
    }

    #[test]
    fn others_become_matroska() {
        for extension in ["avi", "flv", "wmv", "ts", "webm", ""] {
            assert_eq!(result(extension, &[(StreamKind::Video, "h264")]), "mkv", "{extension}");
        }
    }

    #[test]
    fn mp4_gives_way_to_what_it_cannot_hold() {
        assert_eq!(result("mp4", &[(StreamKind::Subtitle, "hdmv_pgs_subtitle")]), "mkv");
        assert_eq!(result("mp4", &[(StreamKind::Audio, "pcm_s16le")]), "mkv");
        assert_eq!(result("mov", &[(StreamKind::Audio, "pcm_s16le")]), "mov");
        let encoded = Container::choose("mp4", &media(&[(StreamKind::Audio, "pcm_s16le")]), false);
        assert_eq!(encoded, Container::Mp4);
    }

    #[test]
    fn subtitles_are_converted_where_they_must_be() {
        let handling =
            |container: Container, codec: &str| container.handling(&media(&[(StreamKind::Subtitle, codec)]).streams[0]);
        assert_eq!(handling(Container::Mp4, "subrip"), Handling::Convert("mov_text"));
        assert_eq!(handling(Container::Mp4, "mov_text"), Handling::Copy);
        assert_eq!(handling(Container::Matroska, "mov_text"), Handling::Convert("srt"));
        assert_eq!(handling(Container::Matroska, "xsub"), Handling::Convert("dvdsub"));
        assert_eq!(handling(Container::Matroska, "ass"), Handling::Copy);
        assert_eq!(handling(Container::Matroska, "dvb_teletext"), Handling::Drop);
    }

    #[test]
    fn covers_stay_in_mp4_and_fonts_in_matroska() {
        let picture =
            media(&[(StreamKind::Picture, "png"), (StreamKind::Attachment, "ttf"), (StreamKind::Data, "bin")]);
        let handling = |container: Container| picture.streams.iter().map(move |stream| container.handling(stream));
        assert!(handling(Container::Mp4).eq([Handling::Copy, Handling::Drop, Handling::Drop]));
        assert!(handling(Container::Matroska).eq([Handling::Drop, Handling::Copy, Handling::Drop]));
    }
}

//! What ffmpeg is told to do.

use std::ffi::OsString;
use std::path::Path;

use super::container::{Container, Handling};
use super::encoder::{Encoder, Quality};
use super::media::{Media, Stream, StreamKind};

/// What the operator wants of the results.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    /// The smaller, the better and larger.
    pub(crate) crf: u8,
    /// As the encoder names it; nothing: a good one.
    pub(crate) preset: Option<String>,
    /// An encoder of ffmpeg, or `copy`.
    pub(crate) audio: String,
}

impl Profile {
    pub(super) fn is_audio_copied(&self) -> bool {
        self.audio == "copy"
    }
}

/// One video to be encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'a> {
    pub(super) source: &'a Path,
    pub(super) result: &'a Path,
    pub(super) media: &'a Media,
    pub(super) container: Container,
    pub(super) encoder: Encoder,
    pub(super) profile: &'a Profile,
    /// Keeps the marks by which players know a VR video.
    pub(super) is_vr: bool,
}

/// Used when the source does not tell its bit rate.
const ASSUMED_BITS: u64 = 4_000_000;

impl Job<'_> {
    /// The arguments of ffmpeg.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut arguments = Arguments::default();
        arguments.words("-hide_banner -nostdin -y -v warning -nostats -progress pipe:1");
        // Files that are lists of addresses must not make ffmpeg go there.
        arguments.words("-protocol_whitelist file,crypto,data -i").path(self.source);
        arguments.words("-map_metadata 0 -map_chapters 0 -max_muxing_queue_size 4096");
        let kept = self.media.streams.iter().filter(|stream| self.container.handling(stream) != Handling::Drop);
        for (number, stream) in kept.enumerate() {
            arguments.words(&format!("-map 0:{}", stream.index));
            self.stream(number, stream, &mut arguments);
        }
        if matches!(self.container, Container::Mp4 | Container::Mov) {
            arguments.words("-movflags +faststart");
            if self.is_vr {
                arguments.words("-strict unofficial");
            }
        }
        arguments.words(&format!("-f {}", self.container.format())).path(self.result);
        arguments.0
    }

    fn stream(&self, number: usize, stream: &Stream, arguments: &mut Arguments) {
        match self.container.handling(stream) {
            Handling::Encode => self.video(number, arguments),
            Handling::Copy if stream.kind == StreamKind::Audio && !self.profile.is_audio_copied() => {
                arguments.option("-c", number, &self.profile.audio);
            }
            Handling::Copy => {
                arguments.option("-c", number, "copy");
                if stream.kind == StreamKind::Picture {
                    arguments.option("-disposition", number, "attached_pic");
                }
            }
            Handling::Convert(encoder) => arguments.option("-c", number, encoder),
            Handling::Drop => {}
        }
    }

    fn video(&self, number: usize, arguments: &mut Arguments) {
        let crf = self.profile.crf.to_string();
        let preset = |usual: &str| self.profile.preset.clone().unwrap_or_else(|| usual.to_owned());
        arguments.option("-c", number, self.encoder.name);
        match self.encoder.quality {
            Quality::X265 => {
                arguments.option("-crf", number, &crf);
                arguments.option("-preset", number, &preset("medium"));
                // Its reports would be the last words of every failure.
                arguments.option("-x265-params", number, "log-level=error");
            }
            Quality::Nvenc => {
                arguments.option("-rc", number, "vbr");
                arguments.option("-cq", number, &crf);
                arguments.option("-b", number, "0");
                arguments.option("-preset", number, &preset("p5"));
            }
            Quality::QuickSync => {
                arguments.option("-global_quality", number, &crf);
                arguments.option("-preset", number, &preset("medium"));
            }
            Quality::Netint => arguments.option("-xcoder-params", number, &format!("crf={crf}")),
            Quality::HalfTheBits => {
                let bits = self.media.bit_rate.unwrap_or(ASSUMED_BITS) / 2;
                arguments.option("-b", number, &bits.to_string());
            }
        }
        if self.container != Container::Matroska {
            // Players of Apple want this name for HEVC.
            arguments.option("-tag", number, "hvc1");
        }
    }

    /// The streams that the result does not have, such as `data (bin_data)`.
    pub(super) fn left_out(&self) -> Vec<String> {
        let dropped = self.media.streams.iter().filter(|stream| self.container.handling(stream) == Handling::Drop);
        dropped.map(|stream| format!("{} ({})", kind_name(stream.kind), stream.codec)).collect()
    }
}

fn kind_name(kind: StreamKind) -> &'static str {
    match kind {
        StreamKind::Video => "video",
        StreamKind::Picture => "cover",
        StreamKind::Audio => "audio",
        StreamKind::Subtitle => "subtitle",
        StreamKind::Attachment => "attachment",
        StreamKind::Data => "data",
    }
}

/// A file as ffmpeg takes it whatever its name.
pub(super) fn file_argument(path: &Path) -> OsString {
    let mut argument = OsString::from("file:");
    argument.push(path);
    argument
}

/// A command as a person would type it.
pub(super) fn command_line(program: &Path, arguments: &[OsString]) -> String {
    let words = std::iter::once(program.as_os_str()).chain(arguments.iter().map(OsString::as_os_str));
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |character: char| character.is_alphanumeric() || "-_./:=,+%@".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[derive(Debug, Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn words(&mut self, words: &str) -> &mut Self {
        self.0.extend(words.split(' ').map(OsString::from));
        self
    }

    fn path(&mut self, path: &Path) {
        self.0.push(file_argument(path));
    }

    /// An option of the stream `number` of the result.
    fn option(&mut self, name: &str, number: usize, value: &str) {
        self.0.push(format!("{name}:{number}").into());
        self.0.push(value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media() -> Media {
        let stream = |index, kind, codec: &str| Stream { index, kind, codec: codec.to_owned(), end: None };
        let streams = vec![
            stream(0, StreamKind::Video, "h264"),
            stream(1, StreamKind::Audio, "aac"),
            stream(2, StreamKind::Data, "bin_data"),
            stream(3, StreamKind::Subtitle, "mov_text"),
            stream(4, StreamKind::Picture, "png"),
        ];
        Media { streams, bit_rate: Some(3_000_000), duration: Some(9.0), ..Media::default() }
    }

    fn line(container: Container, quality: Quality, audio: &str) -> String {
        let profile = Profile { crf: 23, preset: None, audio: audio.to_owned() };
        let media = media();
        let job = Job {
            source: Path::new("/a/-x y.mp4"),
            result: Path::new("/a/r"),
            media: &media,
            container,
            encoder: Encoder { name: "enc", quality },
            profile: &profile,
            is_vr: false,
        };
        command_line(Path::new("ffmpeg"), &job.arguments())
    }

    #[test]
    fn a_file_for_a_processor() {
        assert_eq!(
            line(Container::Mp4, Quality::X265, "copy"),
            "ffmpeg -hide_banner -nostdin -y -v warning -nostats -progress pipe:1 -protocol_whitelist file,crypto,data \
             -i 'file:/a/-x y.mp4' -map_metadata 0 -map_chapters 0 -max_muxing_queue_size 4096 -map 0:0 -c:0 enc \
             -crf:0 23 -preset:0 medium -x265-params:0 log-level=error -tag:0 hvc1 -map 0:1 -c:1 copy -map 0:3 -c:2 \
             copy -map 0:4 -c:3 copy -disposition:3 attached_pic -movflags +faststart -f mp4 file:/a/r"
        );
    }

    #[test]
    fn matroska_gets_its_own_subtitles_and_no_cover() {
        let line = line(Container::Matroska, Quality::X265, "aac");
        assert!(line.contains("-map 0:1 -c:1 aac -map 0:3 -c:2 srt -f matroska file:/a/r"), "{line}");
        assert!(!line.contains("-tag") && !line.contains("0:4"), "{line}");
    }

    #[test]
    fn each_encoder_is_told_the_quality_in_its_own_way() {
        for (quality, expected) in [
            (Quality::Nvenc, "-rc:0 vbr -cq:0 23 -b:0 0 -preset:0 p5"),
            (Quality::QuickSync, "-global_quality:0 23 -preset:0 medium"),
            (Quality::Netint, "-xcoder-params:0 crf=23"),
            (Quality::HalfTheBits, "-b:0 1500000"),
        ] {
            let line = line(Container::Matroska, quality, "copy");
            assert!(line.contains(&format!("-c:0 enc {expected} -map 0:1")), "{line}");
        }
    }

    #[test]
    fn what_is_left_out_is_told() {
        let profile = Profile { crf: 23, preset: None, audio: "copy".to_owned() };
        let (media, path) = (media(), Path::new("x"));
        let encoder = Encoder { name: "enc", quality: Quality::X265 };
        let container = Container::Matroska;
        let job = Job { source: path, result: path, media: &media, container, encoder, profile: &profile, is_vr: true };
        assert_eq!(job.left_out(), ["data (bin_data)", "cover (png)"]);
    }
}

//! What HEVC is encoded with, and whether this machine has it.

use std::collections::BTreeSet;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::process;
use super::settings::Kind;

/// What ffmpeg encodes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoder {
    /// As ffmpeg names it.
    pub(super) name: &'static str,
    /// How it is told which quality is wanted.
    pub(super) quality: Quality,
}

/// The options that carry the wanted quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quality {
    X265,
    Nvenc,
    QuickSync,
    /// Cards of NETINT.
    Netint,
    /// It knows no quality, only a number of bits: half of what the source has.
    HalfTheBits,
}

const X265: Encoder = Encoder { name: "libx265", quality: Quality::X265 };
const NVENC: Encoder = Encoder { name: "hevc_nvenc", quality: Quality::Nvenc };
const QUICK_SYNC: Encoder = Encoder { name: "hevc_qsv", quality: Quality::QuickSync };
/// The best first.
const VPUS: [Encoder; 5] = [
    Encoder { name: "h265_ni_quadra_enc", quality: Quality::Netint },
    Encoder { name: "h265_ni_logan_enc", quality: Quality::Netint },
    Encoder { name: "h265_ni_enc", quality: Quality::Netint },
    Encoder { name: "hevc_rkmpp", quality: Quality::HalfTheBits },
    Encoder { name: "hevc_v4l2m2m", quality: Quality::HalfTheBits },
];

/// The encoder for this kind of worker, once it has encoded a picture.
pub(super) async fn find(kind: Kind, ffmpeg: &Path) -> Result<Encoder, String> {
    let never = CancellationToken::new();
    let mut listed = Vec::new();
    let listing = process::run(ffmpeg, &["-hide_banner", "-encoders"], &never, |bytes| listed.extend_from_slice(bytes));
    listing.await.map_err(text)?;
    let encoder = choose(kind, &names(&String::from_utf8_lossy(&listed)), ffmpeg)?;
    let picture = ["-v", "error", "-nostdin", "-f", "lavfi", "-i", "color=size=320x240:rate=25", "-frames:v", "1"];
    let arguments = [&picture[..], &["-c:v", encoder.name, "-f", "null", "-"]].concat();
    let attempt = process::run(ffmpeg, &arguments, &never, |_| {}).await;
    attempt.map_err(|failure| format!("the encoder {} does not work here: {}", encoder.name, text(failure)))?;
    Ok(encoder)
}

fn text(failure: Failure) -> String {
    match failure {
        Failure::Stopped => "it was stopped".to_owned(),
        Failure::Video(message) | Failure::Worker(message) | Failure::Spent(message) => message,
    }
}

/// The names of encoders in the answer of `ffmpeg -encoders`.
fn names(listed: &str) -> BTreeSet<&str> {
    let video = listed.lines().map(str::trim_start).filter(|line| line.starts_with('V'));
    video.filter_map(|line| line.split_whitespace().nth(1)).collect()
}

fn choose(kind: Kind, available: &BTreeSet<&str>, ffmpeg: &Path) -> Result<Encoder, String> {
    let candidates: &[Encoder] = match kind {
        Kind::Cpu => &[X265],
        Kind::Nvenc => &[NVENC],
        Kind::Qsv => &[QUICK_SYNC],
        Kind::Vpu => &VPUS,
    };
    let found = candidates.iter().find(|encoder| available.contains(encoder.name));
    found.copied().ok_or_else(|| {
        let wanted: Vec<&str> = candidates.iter().map(|encoder| encoder.name).collect();
        let wanted = wanted.join(", ");
        format!("{} has no encoder for --type {}: it would need {wanted}", ffmpeg.display(), kind.name())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::testing;

    const LISTED: &str = "Encoders:\n V..... = Video\n ------\n V....D libx265              libx265 H.265 / HEVC\n \
                          V..... h265_ni_enc          NETINT\n A..... aac   AAC\n";

    #[test]
    fn the_encoder_is_that_of_the_kind() {
        let available = names(LISTED);
        assert_eq!(choose(Kind::Cpu, &available, Path::new("ffmpeg")), Ok(X265));
        assert_eq!(choose(Kind::Vpu, &available, Path::new("ffmpeg")).unwrap().name, "h265_ni_enc");
        assert!(!available.contains("aac"));
    }

    #[test]
    fn a_missing_encoder_is_named() {
        let error = choose(Kind::Nvenc, &names(LISTED), Path::new("/usr/bin/ffmpeg")).unwrap_err();
        assert_eq!(error, "/usr/bin/ffmpeg has no encoder for --type nvenc: it would need hevc_nvenc");
    }

    #[tokio::test]
    async fn this_machine_encodes_with_its_processor() {
        assert_eq!(find(Kind::Cpu, &testing::program("ffmpeg")).await, Ok(X265));
    }

    #[tokio::test]
    async fn an_ffmpeg_that_is_not_there_is_named() {
        let error = find(Kind::Cpu, Path::new("/nowhere/ffmpeg")).await.unwrap_err();
        assert!(error.contains("/nowhere/ffmpeg"), "{error}");
    }
}

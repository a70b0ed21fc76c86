//! Which files of a library are videos, which of those are VR, and which need transcoding.
//!
//! The rules about who works on a video and when (attempts, labels, priority, schedule) are read where work is given
//! out.

#[cfg(test)]
mod tests;

use std::path::Path;

use regex::{RegexSet, RegexSetBuilder};
use steward_proto::transcode::v1 as api;

use super::probe::Probe;

/// The endings of videos.
const EXTENSIONS: [&str; 4] = ["mp4", "mkv", "avi", "flv"];
/// What marks a file that is no video.
const SKIP_NAMES: [&str; 1] = ["-trailer"];
/// The marks of studios on VR videos.
const VR_NAMES: [&str; 9] = ["SIVR", "IPVR", "DSVR", "KAVR", "MDVR", "RSRVR", "SSR", "VR", "FSVSS"];
/// What looks like such a mark and is none.
const NOT_VR_NAMES: [&str; 1] = ["DVRT"];
/// Codecs that are always worth transcoding.
const TRANSCODE_CODECS: [&str; 1] = ["h264"];
/// Codecs that are worth it above a bitrate.
const BITRATE_CODECS: [&str; 2] = ["hevc", "av1"];
/// That bitrate for the reference picture, and the least and the greatest one, in kbit/s.
const BITRATES_K: (i32, i32, i32) = (3500, 2000, 25_000);
/// The reference picture: its pixels, and how many a second.
const REFERENCE: (f64, f64) = (1920.0 * 1080.0, 30.0);

/// How many extensions there may be, and how long one may be, in bytes.
const MAX_EXTENSIONS: (usize, usize) = (32, 16);
/// How many patterns or codecs there may be, and how long one may be, in bytes.
const MAX_PATTERNS: (usize, usize) = (16, 256);
/// What the patterns of one field may need of memory, compiled, in bytes.
const MAX_COMPILED: usize = 1 << 20;
/// The greatest bitrate that can be asked for, in kbit/s.
const MAX_BITRATE_K: i32 = 10_000_000;
/// The greatest height that can be asked for, in pixels.
const MAX_HEIGHT: i32 = 100_000;

/// The rules of a library, ready to be applied.
#[derive(Clone, Debug)]
pub struct Rules {
    /// In lower case.
    extensions: Vec<String>,
    skip_names: RegexSet,
    vr_names: RegexSet,
    not_vr_names: RegexSet,
    transcode_codecs: Vec<String>,
    bitrate_codecs: Vec<String>,
    bitrate_k: i32,
    min_bitrate_k: i32,
    max_bitrate_k: i32,
    /// 0: any height is good.
    max_height: i32,
}

/// Whether a video needs transcoding by itself, whatever was done to it before.
pub fn needs_transcoding(rules: &Rules, probe: &Probe, is_vr: bool) -> bool {
    if rules.max_height > 0 && probe.height > rules.max_height {
        return true;
    }
    if rules.transcode_codecs.contains(&probe.codec) {
        return true;
    }
    !is_vr && rules.bitrate_codecs.contains(&probe.codec) && probe.bitrate_k >= rules.bitrate_limit_k(probe)
}

impl Rules {
    /// Reads rules; everything that is wrong with them is told together.
    pub fn new(rules: &api::Rules) -> Result<Self, Vec<(&'static str, String)>> {
        let mut reader = Reader::default();
        let (bitrate_k, min_bitrate_k, max_bitrate_k) = BITRATES_K;
        let read = Rules {
            extensions: reader.extensions(&rules.extensions),
            skip_names: reader.patterns("library.rules.skip_names", &rules.skip_names, &SKIP_NAMES, Case::Matters),
            vr_names: reader.patterns("library.rules.vr_names", &rules.vr_names, &VR_NAMES, Case::Ignored),
            not_vr_names: reader.patterns(
                "library.rules.not_vr_names",
                &rules.not_vr_names,
                &NOT_VR_NAMES,
                Case::Ignored,
            ),
            transcode_codecs: reader.codecs(
                "library.rules.transcode_codecs",
                &rules.transcode_codecs,
                &TRANSCODE_CODECS,
            ),
            bitrate_codecs: reader.codecs("library.rules.bitrate_codecs", &rules.bitrate_codecs, &BITRATE_CODECS),
            bitrate_k: reader.bitrate("library.rules.bitrate_k", rules.bitrate_k, bitrate_k),
            min_bitrate_k: reader.bitrate("library.rules.min_bitrate_k", rules.min_bitrate_k, min_bitrate_k),
            max_bitrate_k: reader.bitrate("library.rules.max_bitrate_k", rules.max_bitrate_k, max_bitrate_k),
            max_height: rules.max_height.unwrap_or(0),
        };
        if !(0..=MAX_HEIGHT).contains(&read.max_height) {
            reader.reject("library.rules.max_height", format!("has to be between 0 and {MAX_HEIGHT}"));
        }
        if read.min_bitrate_k > read.max_bitrate_k {
            let problem = format!("is more than the greatest bitrate, {}", read.max_bitrate_k);
            reader.reject("library.rules.min_bitrate_k", problem);
        }
        if reader.violations.is_empty() { Ok(read) } else { Err(reader.violations) }
    }

    /// Whether a file of this name is a video.
    pub fn is_video(&self, name: &str) -> bool {
        let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
        let is_known = |extension: &str| self.extensions.iter().any(|known| known.eq_ignore_ascii_case(extension));
        extension.is_some_and(is_known) && !self.skip_names.is_match(name)
    }

    /// Whether a video of this name is VR.
    pub fn is_vr(&self, name: &str) -> bool {
        // Without regard to case, letters that have no single capital are still themselves; in capitals they are not.
        let capitals = name.to_uppercase();
        let is_match = |set: &RegexSet| set.is_match(name) || set.is_match(&capitals);
        is_match(&self.vr_names) && !is_match(&self.not_vr_names)
    }

    /// From which bitrate on a video is worth transcoding, in kbit/s.
    fn bitrate_limit_k(&self, probe: &Probe) -> i32 {
        let pixels = f64::from(probe.width) * f64::from(probe.height);
        let limit = pixels / REFERENCE.0 * probe.fps / REFERENCE.1 * f64::from(self.bitrate_k);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the fraction is cut off, and the clamp takes what is out of range"
        )]
        let limit = limit as i32;
        limit.max(self.min_bitrate_k).min(self.max_bitrate_k)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Rules::new(&api::Rules::default()).expect("the defaults are valid")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Matters,
    Ignored,
}

/// Reads fields and gathers what is wrong with them.
#[derive(Debug, Default)]
struct Reader {
    violations: Vec<(&'static str, String)>,
}

impl Reader {
    fn reject(&mut self, field: &'static str, problem: impl Into<String>) {
        self.violations.push((field, problem.into()));
    }

    /// A list within bounds; the default in the place of an empty one.
    fn list(
        &mut self,
        field: &'static str,
        given: &[String],
        default: &[&str],
        (count, bytes): (usize, usize),
    ) -> Vec<String> {
        if given.is_empty() {
            return default.iter().map(|&text| text.to_owned()).collect();
        }
        if given.len() > count {
            self.reject(field, format!("has {} entries; the limit is {count}", given.len()));
        }
        let kept: Vec<String> =
            given.iter().take(count).filter(|text| (1..=bytes).contains(&text.len())).cloned().collect();
        if kept.len() < given.len().min(count) {
            self.reject(field, format!("has an entry that is empty or has more than {bytes} bytes"));
        }
        kept
    }

    fn extensions(&mut self, given: &[String]) -> Vec<String> {
        let field = "library.rules.extensions";
        let extensions = self.list(field, given, &EXTENSIONS, MAX_EXTENSIONS);
        for extension in &extensions {
            if !extension.chars().all(char::is_alphanumeric) {
                self.reject(field, format!("{extension:?} is not letters and digits; the dot is left out"));
            }
        }
        extensions
    }

    fn codecs(&mut self, field: &'static str, given: &[String], default: &[&str]) -> Vec<String> {
        let codecs = self.list(field, given, default, MAX_PATTERNS);
        codecs.into_iter().map(|codec| codec.to_ascii_lowercase()).collect()
    }

    fn patterns(&mut self, field: &'static str, given: &[String], default: &[&str], case: Case) -> RegexSet {
        let patterns = self.list(field, given, default, MAX_PATTERNS);
        let build = |patterns: &[String]| {
            RegexSetBuilder::new(patterns)
                .case_insensitive(case == Case::Ignored)
                .size_limit(MAX_COMPILED)
                .dfa_size_limit(MAX_COMPILED)
                .build()
        };
        let set = build(&patterns);
        if let Err(error) = &set {
            // One after the other, so that the pattern that is wrong can be named.
            let is_wrong = |pattern: &&String| build(std::slice::from_ref(*pattern)).is_err();
            let problem = match patterns.iter().find(is_wrong) {
                Some(pattern) => format!("{pattern:?} is no regular expression, or too large a one"),
                None => format!("cannot be used: {error}"),
            };
            self.reject(field, problem);
        }
        set.unwrap_or_default()
    }

    fn bitrate(&mut self, field: &'static str, given: Option<i32>, default: i32) -> i32 {
        let bitrate = given.unwrap_or(default);
        if !(0..=MAX_BITRATE_K).contains(&bitrate) {
            self.reject(field, format!("has to be between 0 and {MAX_BITRATE_K}"));
        }
        bitrate
    }
}

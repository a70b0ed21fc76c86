//! The rules by example, and against a second reading of their formula.

use std::sync::LazyLock;

use proptest::prelude::*;
use steward_proto::transcode::v1 as api;

use super::{Rules, needs_transcoding};
use crate::transcode::library::Probe;

/// Compiled once: the property tests ask often.
static DEFAULT: LazyLock<Rules> = LazyLock::new(Rules::default);

fn video(codec: &str, bitrate_k: i32, (width, height): (i32, i32), fps: f64) -> Probe {
    Probe { codec: codec.to_owned(), bitrate_k, width, height, fps, ..Probe::default() }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn videos_are_known_by_their_endings_in_any_case() {
    let rules = Rules::default();
    for name in ["a.mp4", "a.MKV", "a.Avi", "b.c.flv", "-i.mp4", "trailer.mp4", "a-Trailer.mp4"] {
        assert!(rules.is_video(name), "{name}");
    }
    for name in ["a.mp4.bak", "mp4", ".mp4", "a.mov", "a-trailer.mp4", "a-trailers.mkv", "a.mp"] {
        assert!(!rules.is_video(name), "{name}");
    }
}

#[test]
fn vr_is_known_by_the_marks_of_studios() {
    let rules = Rules::default();
    for name in ["SIVR-001.mp4", "my vr.mkv", "xssr-1.mp4", "fsvss.mp4", "avrt.mp4"] {
        assert!(rules.is_vr(name), "{name}");
    }
    for name in ["a.mp4", "DVRT-1.mp4", "dvrt-vr.mp4", "v-r.mp4"] {
        assert!(!rules.is_vr(name), "{name}");
    }
}

#[test]
fn the_defaults_decide_by_codec_and_bitrate() {
    let rules = Rules::default();
    let hd = (1920, 1080);
    assert!(needs_transcoding(&rules, &video("h264", 1, hd, 25.0), false));
    assert!(needs_transcoding(&rules, &video("h264", 1, hd, 25.0), true));
    assert!(needs_transcoding(&rules, &video("hevc", 3500, hd, 30.0), false));
    assert!(!needs_transcoding(&rules, &video("hevc", 3499, hd, 30.0), false));
    assert!(!needs_transcoding(&rules, &video("hevc", 90_000, hd, 30.0), true));
    // The least and the greatest limit.
    assert!(needs_transcoding(&rules, &video("av1", 2000, (640, 360), 25.0), false));
    assert!(!needs_transcoding(&rules, &video("av1", 1999, (0, 0), 0.0), false));
    assert!(needs_transcoding(&rules, &video("av1", 25_000, (7680, 4320), 60.0), false));
    assert!(!needs_transcoding(&rules, &video("av1", 24_999, (7680, 4320), 60.0), false));
    for codec in ["mpeg4", "vc1", "vp9", ""] {
        assert!(!needs_transcoding(&rules, &video(codec, 90_000, hd, 30.0), false), "{codec}");
    }
}

#[test]
fn a_library_can_have_its_own_rules() {
    let rules = api::Rules {
        extensions: texts(&["MOV"]),
        skip_names: texts(&[r"^sample\b"]),
        vr_names: texts(&[r"_180\d*"]),
        transcode_codecs: texts(&["VP9"]),
        max_height: Some(1080),
        ..api::Rules::default()
    };
    let rules = Rules::new(&rules).unwrap();
    assert!(rules.is_video("a.mov") && !rules.is_video("a.mp4") && !rules.is_video("sample 1.mov"));
    assert!(rules.is_vr("x_1801.mov") && !rules.is_vr("vr.mov"));
    assert!(needs_transcoding(&rules, &video("vp9", 0, (10, 10), 1.0), false));
    assert!(!needs_transcoding(&rules, &video("h264", 9000, (10, 10), 1.0), false));
    assert!(needs_transcoding(&rules, &video("mpeg4", 0, (10, 1081), 1.0), true));
    assert!(!needs_transcoding(&rules, &video("mpeg4", 0, (10, 1080), 1.0), false));
}

#[test]
fn every_wrong_field_is_named() {
    let rules = api::Rules {
        extensions: texts(&[".mp4"]),
        skip_names: vec!["x".to_owned(); 17],
        vr_names: texts(&["ok", "(", "x"]),
        not_vr_names: texts(&[r"\w{200}{200}"]),
        bitrate_codecs: texts(&[""]),
        bitrate_k: Some(-1),
        min_bitrate_k: Some(30_000),
        max_height: Some(-5),
        ..api::Rules::default()
    };
    let violations = Rules::new(&rules).unwrap_err();
    let told: Vec<String> = violations.iter().map(|(field, problem)| format!("{field} {problem}")).collect();
    assert_eq!(
        told,
        [
            "library.rules.extensions \".mp4\" is not letters and digits; the dot is left out",
            "library.rules.skip_names has 17 entries; the limit is 16",
            "library.rules.vr_names \"(\" is no regular expression, or too large a one",
            "library.rules.not_vr_names \"\\\\w{200}{200}\" is no regular expression, or too large a one",
            "library.rules.bitrate_codecs has an entry that is empty or has more than 256 bytes",
            "library.rules.bitrate_k has to be between 0 and 10000000",
            "library.rules.max_height has to be between 0 and 100000",
            "library.rules.min_bitrate_k is more than the greatest bitrate, 25000",
        ]
    );
}

proptest! {
    #[test]
    fn any_measure_is_decided_as_the_formula_says(
        bitrate_k: i32,
        width in 0..20_000_i32,
        height in 0..20_000_i32,
        fps in 0.0..1000.0_f64,
        is_vr: bool,
    ) {
        let limit = f64::from(width * height) / 2_073_600.0 * fps / 30.0 * 3500.0;
        let expected = !is_vr && f64::from(bitrate_k) >= limit.floor().clamp(2000.0, 25_000.0);
        let decided = needs_transcoding(&DEFAULT, &video("hevc", bitrate_k, (width, height), fps), is_vr);
        prop_assert_eq!(decided, expected);
    }

    #[test]
    fn any_name_is_vr_if_its_capitals_have_a_mark(name in "[a-zA-Zßſ .-]{0,12}(vr|SSR|ſsr|dvrt|x)?[a-zß]{0,4}") {
        let capitals = name.to_uppercase();
        let marks = ["SIVR", "IPVR", "DSVR", "KAVR", "MDVR", "RSRVR", "SSR", "VR", "FSVSS"];
        let expected = marks.iter().any(|mark| capitals.contains(mark)) && !capitals.contains("DVRT");
        prop_assert_eq!(DEFAULT.is_vr(&name), expected);
    }

    #[test]
    fn no_name_and_no_pattern_breaks_anything(name: String, pattern: String) {
        let rules = api::Rules { vr_names: vec![pattern], ..api::Rules::default() };
        if let Ok(rules) = Rules::new(&rules) {
            rules.is_video(&name);
            rules.is_vr(&name);
        }
    }
}

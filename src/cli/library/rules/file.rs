//! The file itself: TOML with the field names of the protocol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use steward_proto::transcode::v1 as pb;

use crate::cli::console::printable;
use crate::cli::farm::schedule::{self, Window};

/// The rules as they are written. What is absent has its default.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Rules {
    pub(super) extensions: Vec<String>,
    pub(super) skip_names: Vec<String>,
    pub(super) vr_names: Vec<String>,
    pub(super) not_vr_names: Vec<String>,
    pub(super) transcode_codecs: Vec<String>,
    pub(super) bitrate_codecs: Vec<String>,
    pub(super) bitrate_k: Option<i32>,
    pub(super) min_bitrate_k: Option<i32>,
    pub(super) max_bitrate_k: Option<i32>,
    pub(super) max_height: Option<i32>,
    pub(super) max_attempts: Option<i32>,
    pub(super) priority: i32,
    pub(super) allow_larger: bool,
    pub(super) require_labels: BTreeMap<String, String>,
    pub(super) schedule: schedule::Schedule,
}

/// The same as it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    extensions: Vec<String>,
    skip_names: Vec<String>,
    vr_names: Vec<String>,
    not_vr_names: Vec<String>,
    transcode_codecs: Vec<String>,
    bitrate_codecs: Vec<String>,
    bitrate_k: Option<i32>,
    min_bitrate_k: Option<i32>,
    max_bitrate_k: Option<i32>,
    max_height: Option<i32>,
    max_attempts: Option<i32>,
    priority: i32,
    allow_larger: bool,
    require_labels: BTreeMap<String, String>,
    schedule: Option<WrittenSchedule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenSchedule {
    windows: Vec<Window>,
    time_zone: String,
}

/// Reads a file. An error names the line and the field.
pub(crate) fn parse(content: &str) -> Result<pb::Rules, String> {
    toml::from_str::<Written>(content).map(pb::Rules::from).map_err(|error| describe(content, &error))
}

fn describe(content: &str, error: &toml::de::Error) -> String {
    let message = printable(error.message());
    let Some(span) = error.span() else { return message.into_owned() };
    // The span may begin at the end of the file, or within a character that is no text.
    let before = content.get(..span.start).unwrap_or(content);
    let line = before.matches('\n').count() + 1;
    match field(content, line) {
        Some(field) => format!("line {line}, {}: {message}", printable(field)),
        None => format!("line {line}: {message}"),
    }
}

/// The field that a line belongs to: what it sets, or what the list that goes over it is for.
fn field(content: &str, line: usize) -> Option<&str> {
    let lines: Vec<_> = content.lines().take(line).collect();
    let stands_for_itself = |line: &&str| line.trim_start().starts_with('[') && line.trim_end().ends_with(']');
    if let Some(table) = lines.last().copied().filter(stands_for_itself) {
        return Some(table.trim());
    }
    lines.iter().copied().rev().find_map(set_by)
}

/// The field that a line sets.
fn set_by(line: &str) -> Option<&str> {
    let name = line.split_once('=')?.0.trim();
    let is_bare = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    (is_bare && !name.is_empty()).then_some(name)
}

impl From<Written> for pb::Rules {
    fn from(rules: Written) -> Self {
        pb::Rules {
            extensions: rules.extensions,
            skip_names: rules.skip_names,
            vr_names: rules.vr_names,
            not_vr_names: rules.not_vr_names,
            transcode_codecs: rules.transcode_codecs,
            bitrate_codecs: rules.bitrate_codecs,
            bitrate_k: rules.bitrate_k,
            min_bitrate_k: rules.min_bitrate_k,
            max_bitrate_k: rules.max_bitrate_k,
            max_height: rules.max_height,
            max_attempts: rules.max_attempts,
            require_labels: rules.require_labels.into_iter().collect(),
            priority: rules.priority,
            schedule: rules.schedule.map(|WrittenSchedule { windows, time_zone }| pb::Schedule {
                windows: windows.into_iter().map(|Window(window)| window).collect(),
                time_zone,
            }),
            allow_larger: rules.allow_larger,
        }
    }
}

impl From<pb::Rules> for Rules {
    fn from(rules: pb::Rules) -> Self {
        Rules {
            extensions: rules.extensions,
            skip_names: rules.skip_names,
            vr_names: rules.vr_names,
            not_vr_names: rules.not_vr_names,
            transcode_codecs: rules.transcode_codecs,
            bitrate_codecs: rules.bitrate_codecs,
            bitrate_k: rules.bitrate_k,
            min_bitrate_k: rules.min_bitrate_k,
            max_bitrate_k: rules.max_bitrate_k,
            max_height: rules.max_height,
            max_attempts: rules.max_attempts,
            priority: rules.priority,
            allow_larger: rules.allow_larger,
            require_labels: rules.require_labels.into_iter().collect(),
            schedule: rules.schedule.map(schedule::Schedule::from).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(content: &str) -> String {
        parse(content).unwrap_err()
    }

    #[test]
    fn a_file_is_read_with_its_windows() {
        let rules = parse(
            "extensions = [\"mkv\"]\nmax_height = 1080\nallow_larger = true\n\n[require_labels]\ngpu = \"a2000\"\n\n\
             [schedule]\nwindows = [\"mon-fri 22:00-06:00\", \"sat,sun\"]\ntime_zone = \"Europe/Berlin\"\n",
        )
        .unwrap();
        assert_eq!(
            (rules.extensions, rules.max_height, rules.allow_larger),
            (vec!["mkv".to_owned()], Some(1080), true)
        );
        assert_eq!(rules.require_labels["gpu"], "a2000");
        let schedule = rules.schedule.unwrap();
        assert_eq!((schedule.windows.len(), schedule.windows[1].days), (2, 0b110_0000));
        assert_eq!(parse("").unwrap(), pb::Rules::default());
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let text = problem("# rules\nbitrate = 5\n");
        assert!(text.starts_with("line 2, bitrate: unknown field `bitrate`, expected one of"), "{text}");
        let text = problem("[schedule]\nzone = \"UTC\"\n");
        assert!(text.starts_with("line 2, zone: unknown field `zone`"), "{text}");
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_line_and_field() {
        let text = problem("bitrate_k = 3500\nmax_height = \"high\"\n");
        assert!(text.starts_with("line 2, max_height: invalid type: string \"high\""), "{text}");
        let text = problem("[schedule]\nwindows = [\n  \"sat\",\n  \"monday\",\n]\n");
        assert!(text.starts_with("line 2, windows: in \"monday\": \"monday\" is no day"), "{text}");
        let text = problem("priority = 99999999999\n");
        assert!(text.starts_with("line 1, priority: "), "{text}");
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_line() {
        let text = problem("extensions = [\"mkv\"]\nbitrate_k = \n");
        assert!(text.starts_with("line 2, bitrate_k: "), "{text}");
        assert!(problem("\u{1b}").starts_with("line 1: "));
    }
}

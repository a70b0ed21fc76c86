//! The file with a comment above every field, so that it explains itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use steward_proto::transcode::v1 as pb;
use toml::Value;

use super::file::Rules;
use crate::cli::farm::schedule;

/// The whole file. A field that has its default is commented out.
pub(super) fn text(rules: pb::Rules) -> String {
    let windows = rules.schedule.iter().flat_map(|schedule| &schedule.windows);
    let windows: Vec<_> = windows.map(schedule::text).collect();
    let zone = rules.schedule.as_ref().map(|schedule| schedule.time_zone.clone()).unwrap_or_default();
    let rules = Rules::from(rules);
    let mut file = File("# The rules of a library. A field that is commented out has its default.\n".to_owned());
    names(&mut file, &rules);
    codecs(&mut file, &rules);
    work(&mut file, &rules);
    file.table("require_labels", "Labels that a worker needs.", "gpu = \"a2000\"", &rules.require_labels);
    let _ = write!(file.0, "\n[schedule]");
    file.list(
        "windows",
        &["At any of these times its videos are given out: days, times or both. Empty: always."],
        windows,
        &[],
    );
    file.0.push_str("# windows = [\"mon-fri 22:00-06:00\", \"sat,sun\"]\n");
    file.value(
        "time_zone",
        &["The time zone of the windows, such as Europe/Berlin."],
        Some(zone).filter(|zone| !zone.is_empty()),
        "UTC",
    );
    file.0
}

/// What is a video, and which is VR.
fn names(file: &mut File, rules: &Rules) {
    file.list(
        "extensions",
        &["Endings of names, without the dot, in any case."],
        rules.extensions.clone(),
        &["mp4", "mkv", "avi", "flv"],
    );
    let skip = "Regular expressions; a file whose name matches one is no video.";
    file.list("skip_names", &[skip], rules.skip_names.clone(), &["-trailer"]);
    let vr = [
        "Regular expressions on the name without regard to case; a file that matches one is VR. Without any, the",
        "studios' marks that the documentation names.",
    ];
    file.list("vr_names", &vr, rules.vr_names.clone(), &[]);
    let not_vr = "Regular expressions that take a match of vr_names back.";
    file.list("not_vr_names", &[not_vr], rules.not_vr_names.clone(), &["DVRT"]);
}

/// What needs transcoding.
fn codecs(file: &mut File, rules: &Rules) {
    let always = "Codecs that always need transcoding.";
    file.list("transcode_codecs", &[always], rules.transcode_codecs.clone(), &["h264"]);
    let above = "Codecs that need it above a bitrate, unless they are VR.";
    file.list("bitrate_codecs", &[above], rules.bitrate_codecs.clone(), &["hevc", "av1"]);
    let bitrate = [
        "The bitrate for bitrate_codecs, for 1920 by 1080 pixels at 30 frames a second, in kbit/s; in proportion for",
        "others.",
    ];
    file.value("bitrate_k", &bitrate, rules.bitrate_k, 3500);
    file.value("min_bitrate_k", &["The least such bitrate, in kbit/s."], rules.min_bitrate_k, 2000);
    file.value("max_bitrate_k", &["The greatest such bitrate, in kbit/s."], rules.max_bitrate_k, 25_000);
    let height = "Above this height, in pixels, a video needs transcoding whatever its codec. 0: no height does.";
    file.value("max_height", &[height], rules.max_height, 0);
}

/// How it is worked on.
fn work(file: &mut File, rules: &Rules) {
    file.comment(&["How many attempts a video has. Without it: as many as the server says."]);
    match rules.max_attempts {
        Some(attempts) => file.line("", "max_attempts", attempts),
        None => file.line("# ", "max_attempts", 3),
    }
    let priority = Some(rules.priority).filter(|priority| *priority != 0);
    file.value(
        "priority",
        &["The priority of its videos, -1000 to 1000; higher ones are given out first."],
        priority,
        0,
    );
    let larger = "A result that is not smaller than its source is as good.";
    file.value("allow_larger", &[larger], Some(true).filter(|_| rules.allow_larger), false);
}

struct File(String);

impl File {
    /// A field that is set, or its default as a comment.
    fn value<T: Into<Value>>(&mut self, name: &str, comment: &[&str], value: Option<T>, default: impl Into<Value>) {
        self.comment(comment);
        match value {
            Some(value) => self.line("", name, value),
            None => self.line("# ", name, default),
        }
    }

    fn list(&mut self, name: &str, comment: &[&str], values: Vec<String>, default: &[&str]) {
        self.value(name, comment, Some(values).filter(|values| !values.is_empty()), default.to_vec());
    }

    fn table(&mut self, name: &str, comment: &str, example: &str, values: &BTreeMap<String, String>) {
        self.comment(&[comment]);
        let _ = writeln!(self.0, "[{name}]");
        if values.is_empty() {
            let _ = writeln!(self.0, "# {example}");
        }
        let table: toml::Table = values.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        self.0.push_str(&table.to_string());
    }

    fn comment(&mut self, lines: &[&str]) {
        self.0.push('\n');
        for line in lines {
            let _ = writeln!(self.0, "# {line}");
        }
    }

    fn line(&mut self, mark: &str, name: &str, value: impl Into<Value>) {
        let _ = writeln!(self.0, "{mark}{name} = {}", value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn what_is_printed_is_read_as_the_same_rules() {
        let rules = file::parse(
            "extensions = [\"mkv\", \"m\\\"4\"]\nvr_names = ['VR\\d+']\nmax_height = 0\nmax_attempts = 5\npriority = -7\n\
             allow_larger = true\n[require_labels]\n\"gpu.kind\" = \"a\\n\"\n[schedule]\nwindows = [\"sat,sun 01:00-02:00\"]\n\
             time_zone = \"UTC\"\n",
        )
        .unwrap();
        let text = text(rules.clone());
        assert_eq!(file::parse(&text).unwrap(), rules, "{text}");
    }

    #[test]
    fn the_defaults_are_comments_that_are_rules_themselves() {
        let text = text(pb::Rules::default());
        let rules = pb::Rules { schedule: Some(pb::Schedule::default()), ..pb::Rules::default() };
        assert_eq!(file::parse(&text).unwrap(), rules, "{text}");
        for line in
            ["# extensions = [\"mp4\", \"mkv\", \"avi\", \"flv\"]", "# bitrate_k = 3500", "# time_zone = \"UTC\""]
        {
            assert!(text.contains(line), "{text}");
        }
        let uncommented: Vec<_> = text
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|line| line.contains(" = ")).unwrap_or(line))
            .filter(|line| !line.starts_with("windows = []") && !line.starts_with("vr_names"))
            .collect();
        let rules = file::parse(&uncommented.join("\n")).unwrap();
        assert_eq!((rules.bitrate_codecs.len(), rules.schedule.unwrap().windows.len()), (2, 2));
    }
}

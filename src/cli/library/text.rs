//! Libraries in words, for people.

use jiff::Timestamp;
use steward_proto::transcode::v1 as pb;

use super::json;
use crate::cli::console::{Console, Format, Tone, field, printable};
use crate::cli::error::Error;
use crate::cli::farm::schedule;
use crate::cli::{duration, time};

/// Shows a library over several lines, or as JSON.
pub(super) fn show(library: pb::Library, console: &mut Console) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&json::Library::from(library)),
        Format::Text => console.line(lines(&library, console, time::now())),
    }
}

/// `ready`, `paused` or what went wrong.
pub(super) fn state(library: &pb::Library) -> String {
    match (library.scan_error.as_str(), library.paused) {
        ("", false) => "ready".to_owned(),
        ("", true) => "paused".to_owned(),
        (error, _) => printable(error).into_owned(),
    }
}

/// How often a library is scanned: `30m`, `never`, or `as the server says`.
pub(super) fn interval(library: &pb::Library) -> String {
    match library.scan_interval.and_then(duration::from_proto) {
        None => "as the server says".to_owned(),
        Some(interval) if interval.is_zero() => "never".to_owned(),
        Some(interval) => duration::text(interval),
    }
}

fn lines(library: &pb::Library, console: &Console, now: Timestamp) -> String {
    let tone = match (library.scan_error.is_empty(), library.paused) {
        (false, _) => Tone::Bad,
        (true, true) => Tone::Waiting,
        (true, false) => Tone::Good,
    };
    let scanned = time::from_proto(library.scan_time);
    let scanned = scanned.map_or_else(|| "never".to_owned(), |time| time::moment(time, now));
    let rules = library.rules.clone().unwrap_or_default();
    [
        console.paint(Tone::Heading, printable(&library.name)).to_string(),
        field("path", &printable(&library.path)),
        field("state", &console.paint(tone, state(library)).to_string()),
        field("videos", &library.video_count.to_string()),
        field("scanned", &scanned),
        field("interval", &interval(library)),
        field("schedule", &printable(&schedule::line(rules.schedule.as_ref()))),
        field("priority", &rules.priority.to_string()),
    ]
    .join("\n")
}

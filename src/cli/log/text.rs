//! Log entries in words, for people.

use steward_proto::transcode::v1 as pb;

use crate::cli::console::{Console, Tone, printable};
use crate::cli::farm::{which, words};
use crate::cli::time;

/// `2026-11-21T03:13:00Z  warning  a1b2c3d4  its heartbeats stopped`.
pub(super) fn line(entry: &pb::LogEntry, console: &Console) -> String {
    let at = time::from_proto(entry.log_time).map_or_else(|| "-".to_owned(), time::text);
    let level = format!("{:<7}", words::level(entry.log_level()));
    let level = console.paint(words::level_tone(entry.log_level()), level);
    let task = if entry.task_id.is_empty() { "-".to_owned() } else { which::short(&entry.task_id) };
    let task = console.paint(Tone::Quiet, format!("{task:<8}"));
    format!("{at}  {level}  {task}  {}", printable(&entry.log_message))
}

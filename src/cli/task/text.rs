//! Tasks in words, for people.

use std::time::Duration;

use jiff::Timestamp;
use steward_proto::transcode::v1 as pb;

use crate::cli::console::{Console, Tone, field, printable};
use crate::cli::farm::{which, words};
use crate::cli::{duration, size, time};

/// A task as it stands, over several lines.
pub(super) fn task(task: &pb::Task, console: &Console, now: Timestamp) -> String {
    let status = words::task_status(task.status());
    let status = console.paint(words::task_tone(task.status()), status);
    let asked = if task.cancel_requested && task.end_time.is_none() { ", told to stop" } else { "" };
    let mut lines = vec![
        console.paint(Tone::Heading, printable(&task.task_id)).to_string(),
        field("number", &task.id.to_string()),
        field("status", &format!("{status}, {}{asked}", percent(task))),
        field("video", &format!("{} (id {})", printable(&task.video_path), task.video_id)),
        field("worker", &format!("{} (id {})", printable(&task.worker_name), task.worker_id)),
        field("attempt", &format!("{}, priority {}", task.attempt, task.priority)),
    ];
    for (name, at) in [("started", task.start_time), ("last heard of", task.last_update_time), ("ended", task.end_time)]
    {
        lines.extend(time::from_proto(at).map(|at| field(name, &time::moment(at, now))));
    }
    lines.push(field("took", &seconds(task.elapsed_time)));
    if task.end_time.is_none() {
        lines.push(field("left", &left(task)));
        lines.push(field("speed", &format!("{:.1} fps, {:.2} times real time", task.fps, task.speed)));
    }
    lines.push(field("size", &sizes(task)));
    lines.extend(task.dest_path.as_deref().map(|path| field("goes to", &printable(path))));
    if !task.error_message.is_empty() {
        lines.push(field("error", &printable(&task.error_message)));
    }
    lines.join("\n")
}

/// A change in a line: `2026-11-21T03:13:00Z  running    a1b2c3d4  42.0%  …  w1  films/a.mkv`.
pub(super) fn change(task: &pb::Task, console: &Console, now: Timestamp) -> String {
    let at = task.end_time.or(task.last_update_time).or(task.start_time);
    let at = time::text(time::from_proto(at).unwrap_or(now));
    let status = format!("{:<9}", words::task_status(task.status()));
    let status = console.paint(words::task_tone(task.status()), status);
    let line = format!("{at}  {status}  {}  {:>6}", which::short(&task.task_id), percent(task));
    let names = format!("{}  {}", printable(&task.worker_name), printable(&task.video_path));
    match task.status() {
        pb::TaskStatus::Running => {
            format!("{line}  {:.1} fps  {:.2}x  {} left  {names}", task.fps, task.speed, left(task))
        }
        pb::TaskStatus::Completed => format!("{line}  {}  {names}", sizes(task)),
        _ if task.error_message.is_empty() => format!("{line}  {names}"),
        _ => format!("{line}  {names}: {}", printable(&task.error_message)),
    }
}

/// `42.0%`.
pub(super) fn percent(task: &pb::Task) -> String {
    format!("{:.1}%", task.progress.clamp(0.0, 100.0))
}

/// `3m 2s`, or `-` when nobody knows.
pub(super) fn left(task: &pb::Task) -> String {
    task.remaining_time.map_or_else(|| "-".to_owned(), seconds)
}

/// `1m 5s`.
pub(super) fn seconds(seconds: i32) -> String {
    match u64::try_from(seconds) {
        Ok(seconds @ 1..) => duration::text(Duration::from_secs(seconds)),
        _ => "0s".to_owned(),
    }
}

/// `1.5 GiB → 512.0 MiB (33%)`.
fn sizes(task: &pb::Task) -> String {
    let source = size::of_proto(task.source_bytes);
    match (u64::try_from(task.output_bytes), u64::try_from(task.source_bytes)) {
        (Ok(output @ 1..), Ok(whole @ 1..)) => {
            let share = u128::from(output) * 100 / u128::from(whole);
            format!("{source} → {} ({share}%)", size::text(output))
        }
        _ => source,
    }
}

//! Workers in words, for people.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use steward_proto::transcode::v1 as pb;

use super::json;
use crate::cli::console::{Console, Format, Tone, field, printable};
use crate::cli::error::Error;
use crate::cli::farm::{schedule, which, words};
use crate::cli::time;

/// Shows a worker over several lines, or as JSON.
pub(super) fn show(worker: pb::Worker, console: &mut Console) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&json::Worker::from(worker)),
        Format::Text => console.line(lines(&worker, console, time::now())),
    }
}

/// Tells what was done to a worker: `nodea: deleted`.
pub(super) fn done(worker: pb::Worker, done: &'static str, console: &mut Console) -> Result<(), Error> {
    match console.format() {
        Format::Json => console.object(&json::Outcome::new(worker, done)),
        Format::Text => console.line(format_args!("{}: {done}", printable(&worker.worker_name))),
    }
}

/// What a worker is doing: `draining, ends at … (in 5m)`.
pub(super) fn state(worker: &pb::Worker) -> String {
    let state = words::worker_state(worker.state());
    match worker.offline_action() {
        pb::OfflineAction::Unspecified => state,
        pb::OfflineAction::Offline => format!("{state}, then ends"),
        pb::OfflineAction::Shutdown => format!("{state}, then shuts down"),
    }
}

/// What it encodes with: `nvenc`, `cpu for VR`.
pub(super) fn kind(worker: &pb::Worker) -> String {
    let kind = words::worker_type(worker.worker_type());
    if worker.support_vr { format!("{kind} for VR") } else { kind }
}

/// `gpu=a2000, rack=3`.
pub(super) fn labels(labels: &HashMap<String, String>) -> String {
    let sorted: BTreeMap<_, _> = labels.iter().collect();
    let labels: Vec<_> = sorted.iter().map(|(key, value)| format!("{}={}", printable(key), printable(value))).collect();
    labels.join(", ")
}

fn lines(worker: &pb::Worker, console: &Console, now: Timestamp) -> String {
    let state = console.paint(words::worker_tone(worker.state()), state(worker));
    let mut lines = vec![
        console.paint(Tone::Heading, printable(&worker.worker_name)).to_string(),
        field("id", &worker.worker_id.to_string()),
        field("state", &state.to_string()),
        field("type", &kind(worker)),
    ];
    for (name, at) in [
        ("last heartbeat", worker.last_heartbeat_time),
        ("offline since", worker.offline_time),
        ("deadline", worker.drain_deadline_time),
    ] {
        lines.extend(time::from_proto(at).map(|at| field(name, &time::moment(at, now))));
    }
    let tasks: Vec<_> = worker.task_ids.iter().map(|id| which::short(id)).collect();
    let tasks = if tasks.is_empty() { "none".to_owned() } else { tasks.join(", ") };
    lines.push(field("tasks", &format!("{tasks} (at most {})", worker.max_concurrent)));
    lines.push(field("schedule", &printable(&schedule::line(worker.schedule.as_ref()))));
    lines.push(field("takes", &takes(worker.constraints.as_ref())));
    if !worker.labels.is_empty() {
        lines.push(field("labels", &labels(&worker.labels)));
    }
    if !worker.version.is_empty() {
        lines.push(field("version", &printable(&worker.version)));
    }
    lines.join("\n")
}

/// `up to 1080 lines, codecs h264, libraries films`.
fn takes(constraints: Option<&pb::Constraints>) -> String {
    let Some(constraints) = constraints else { return "everything".to_owned() };
    let mut parts = Vec::new();
    if constraints.max_height > 0 {
        parts.push(format!("up to {} lines", constraints.max_height));
    }
    for (noun, names) in [("codecs", &constraints.codecs), ("libraries", &constraints.libraries)] {
        if !names.is_empty() {
            parts.push(format!("{noun} {}", printable(&names.join(", "))));
        }
    }
    if parts.is_empty() { "everything".to_owned() } else { parts.join("; ") }
}

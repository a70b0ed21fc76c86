//! Tasks and runs in words, for people.

use jiff::Timestamp;
use steward_proto::replication::v1 as pb;

use super::session::Session;
use crate::cli::console::{Console, Painted, Tone, field, printable};
use crate::cli::json::word;
use crate::cli::{duration, size, time};

/// `p1/images/mirror`.
pub(super) fn task_name(config: &pb::Config) -> String {
    printable(&format!("{}/{}/{}", config.project, config.repository, config.name)).into_owned()
}

/// Where a task copies to: a URL, or `west:p9/images`.
pub(super) async fn target(config: &pb::Config, session: &Session<'_>) -> String {
    let target = match config.target.as_ref().and_then(|target| target.target.as_ref()) {
        Some(pb::target::Target::Registry(registry)) => registry.registry.clone(),
        Some(pb::target::Target::Cluster(cluster)) => {
            let name = session.cluster_name(&cluster.cluster_id).await;
            format!("{name}:{}/{}", cluster.remote_project_id, cluster.remote_repo_name)
        }
        None => "?".to_owned(),
    };
    printable(&target).into_owned()
}

/// `real-time`, `scheduled`, `run-once`.
pub(super) fn replica_type(config: &pb::Config) -> &'static str {
    match config.replica_type() {
        pb::ReplicaType::Scheduled => "scheduled",
        pb::ReplicaType::Unspecified | pb::ReplicaType::RealTime => "real-time",
        pb::ReplicaType::RunOnce => "run-once",
    }
}

/// When a scheduled task runs; empty for others.
pub(super) fn schedule(config: &pb::Config) -> String {
    if config.replica_type() != pb::ReplicaType::Scheduled {
        return String::new();
    }
    let schedule = config.settings.as_ref().and_then(|settings| settings.schedule.clone()).unwrap_or_default();
    let zone = if schedule.time_zone.is_empty() { String::new() } else { format!(" ({})", schedule.time_zone) };
    let text = match schedule.when {
        Some(pb::schedule::When::Cron(cron)) => format!("{cron}{zone}"),
        Some(pb::schedule::When::At(at)) => time::from_proto(Some(at)).map(time::text).unwrap_or_default(),
        Some(pb::schedule::When::Immediately(_)) | None => "at once".to_owned(),
    };
    printable(&text).into_owned()
}

/// The word for how a run stands.
pub(super) fn status(status: pb::ExecutionStatus) -> String {
    match status {
        pb::ExecutionStatus::Unspecified => "never ran".to_owned(),
        status => word(status.as_str_name(), "EXECUTION_STATUS_"),
    }
}

pub(super) fn status_tone(status: pb::ExecutionStatus) -> Tone {
    match status {
        pb::ExecutionStatus::Unspecified => Tone::Quiet,
        pb::ExecutionStatus::Queued | pb::ExecutionStatus::Running => Tone::Waiting,
        pb::ExecutionStatus::Success => Tone::Good,
        pb::ExecutionStatus::Failed | pb::ExecutionStatus::Cancelled => Tone::Bad,
    }
}

/// The word for what became of an artifact.
pub(super) fn outcome(outcome: pb::ArtifactOutcome) -> &'static str {
    match outcome {
        pb::ArtifactOutcome::Unspecified => "under way",
        pb::ArtifactOutcome::Copied => "copied",
        pb::ArtifactOutcome::Unchanged => "unchanged",
        pb::ArtifactOutcome::SkippedConflict => "skipped",
        pb::ArtifactOutcome::Failed => "failed",
        pb::ArtifactOutcome::Deleted => "deleted",
    }
}

pub(super) fn painted_outcome(made: pb::ArtifactOutcome, console: &Console) -> Painted<String> {
    let tone = match made {
        pb::ArtifactOutcome::Copied | pb::ArtifactOutcome::Deleted => Tone::Good,
        pb::ArtifactOutcome::Unspecified | pb::ArtifactOutcome::SkippedConflict => Tone::Waiting,
        pb::ArtifactOutcome::Unchanged => Tone::Quiet,
        pb::ArtifactOutcome::Failed => Tone::Bad,
    };
    console.paint(tone, format!("{:<9}", outcome(made)))
}

/// `docker://nginx:1.1`, with what it is called at the target: `docker://nginx:1.1 as 1.2, 1.3`.
pub(super) fn artifact(name: &str, version: &str, target_versions: &[String]) -> String {
    let mut text = name.to_owned();
    if !version.is_empty() {
        text = format!("{text}:{version}");
    }
    if !target_versions.is_empty() && target_versions != [version] {
        text = format!("{text} as {}", target_versions.join(", "));
    }
    printable(&text).into_owned()
}

/// Whether a run has come to its end.
pub(super) fn has_ended(status: pb::ExecutionStatus) -> bool {
    match status {
        pb::ExecutionStatus::Success | pb::ExecutionStatus::Failed | pb::ExecutionStatus::Cancelled => true,
        pb::ExecutionStatus::Unspecified | pb::ExecutionStatus::Queued | pb::ExecutionStatus::Running => false,
    }
}

/// A run over several lines.
pub(super) fn execution(execution: &pb::Execution, console: &Console, now: Timestamp) -> String {
    let mut lines = vec![console.paint(Tone::Heading, printable(&execution.task_name)).to_string()];
    let painted = console.paint(status_tone(execution.status()), status(execution.status()));
    let percent = percent(execution).map(|percent| format!(", {percent:.0}%")).unwrap_or_default();
    lines.push(field("run", &printable(&execution.id)));
    lines.push(field("status", &format!("{painted}{percent}")));
    let attempt = if execution.attempt > 1 { format!(", begun {} times", execution.attempt) } else { String::new() };
    lines.push(field("made to run by", &format!("{}{attempt}", printable(&execution.trigger))));
    for (name, at) in [("queued", execution.start_time), ("ended", execution.end_time)] {
        lines.extend(time::from_proto(at).map(|at| field(name, &time::moment(at, now))));
    }
    lines.extend(took(execution).map(|took| field("took", &took)));
    lines.push(field("bytes", &bytes(execution)));
    let pb::Overview { success, failed, conflict, file_success, file_failed } = execution.overview.unwrap_or_default();
    for (name, there, missing) in [("versions", success, failed), ("files", file_success, file_failed)] {
        if there + missing > 0 {
            lines.push(field(name, &format!("{there} at the target, {missing} not")));
        }
    }
    if conflict > 0 {
        lines.push(field("conflicts", &conflict.to_string()));
    }
    if !execution.error_reason.is_empty() {
        lines.push(field("error", &printable(&execution.error_reason)));
    }
    lines.join("\n")
}

/// How a run ended, in a line.
pub(super) fn end(execution: &pb::Execution, console: &Console) -> String {
    let name = printable(&execution.task_name);
    let painted = console.paint(status_tone(execution.status()), status(execution.status()));
    let overview = execution.overview.unwrap_or_default();
    let there = overview.success + overview.file_success;
    let missing = overview.failed + overview.file_failed;
    let mut line = format!("{name}: {painted}, {there} at the target, {missing} not, {}", bytes(execution));
    if let Some(took) = took(execution) {
        line = format!("{line}, in {took}");
    }
    if !execution.error_reason.is_empty() {
        line = format!("{line}: {}", printable(&execution.error_reason));
    }
    line
}

/// `1.2 GiB of 3.0 GiB, 900.0 MiB sent`.
pub(super) fn bytes(execution: &pb::Execution) -> String {
    let sent = size::of_proto(execution.sent_bytes);
    let done = size::of_proto(execution.replicated_bytes);
    match u64::try_from(execution.total_bytes) {
        Ok(total) => format!("{done} of {}, {sent} sent", size::text(total)),
        Err(_) => format!("{done}, {sent} sent"),
    }
}

/// How far a run is; nothing as long as that is not known.
pub(super) fn percent(execution: &pb::Execution) -> Option<f64> {
    part(execution.replicated_bytes, execution.total_bytes)
}

/// How much `done` is of `total`, in percent.
#[expect(clippy::cast_precision_loss, reason = "nobody sees the difference in a bar")]
pub(super) fn part(done: i64, total: i64) -> Option<f64> {
    (total > 0).then(|| (done as f64 / total as f64 * 100.0).clamp(0.0, 100.0))
}

pub(super) fn took(execution: &pb::Execution) -> Option<String> {
    let (start, end) = (time::from_proto(execution.start_time)?, time::from_proto(execution.end_time)?);
    Some(duration::text(end.duration_since(start).unsigned_abs()))
}

/// `3h ago`, `in 5m`, or `-`.
pub(super) fn when(at: Option<prost_types::Timestamp>, now: Timestamp) -> String {
    time::from_proto(at).map_or_else(|| "-".to_owned(), |at| time::relative(at, now))
}

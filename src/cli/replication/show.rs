//! `steward replication show`: a task as it stands.

use clap::Args;
use jiff::Timestamp;
use steward_proto::replication::v1 as pb;

use super::name::TaskName;
use super::session::Session;
use super::{json, text};
use crate::cli::console::{Console, Format, Tone, field, printable};
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::json::word;
use crate::cli::{size, time};

/// Shows a task. With --json it can be kept in a file and created again with `create --from-file`.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// Which one.
    #[arg(value_name = "TASK")]
    task: TaskName,
}

pub(super) async fn run(args: ShowArgs, session: &Session<'_>, console: &mut Console) -> Result<Exit, Error> {
    task(session.task(args.task).await?, session, console).await?;
    Ok(Exit::DONE)
}

/// Shows a task over several lines, or as JSON.
pub(super) async fn task(task: pb::Task, session: &Session<'_>, console: &mut Console) -> Result<(), Error> {
    if console.format() == Format::Json {
        return console.object(&json::Task::from(task));
    }
    let config = task.config.clone().unwrap_or_default();
    let target = text::target(&config, session).await;
    let fields = fields(&task, &config, target, console, time::now());
    let mut lines = vec![console.paint(Tone::Heading, text::task_name(&config)).to_string()];
    lines.extend(fields.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| field(name, value)));
    console.line(lines.join("\n"))
}

fn fields(
    task: &pb::Task,
    config: &pb::Config,
    target: String,
    console: &Console,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let moment = |at| time::from_proto(at).map(|at| time::moment(at, now)).unwrap_or_default();
    let is_enabled = config.enabled != Some(false);
    let status = console.paint(text::status_tone(task.last_status()), text::status(task.last_status()));
    let mut fields = vec![
        ("copies to", target),
        ("logs in as", login(task, config)),
        ("type", text::replica_type(config).to_owned()),
        ("schedule", text::schedule(config)),
        ("enabled", if is_enabled { "yes" } else { "no" }.to_owned()),
    ];
    fields.extend(config.package_constraints.iter().map(|constraint| ("packages", package(constraint))));
    fields.extend(config.path_constraints.iter().map(|constraint| ("paths", path(constraint))));
    if config.package_constraints.is_empty() && config.path_constraints.is_empty() {
        fields.push(("copies", "the whole repository".to_owned()));
    }
    fields.extend(settings(config));
    fields.extend([
        ("description", printable(&config.description).into_owned()),
        ("status", status.to_string()),
        ("latest run", printable(&task.last_execution_id).into_owned()),
        ("last success", moment(task.last_success_time)),
        ("next run", moment(task.next_time)),
        ("created", moment(task.create_time)),
        ("changed", moment(task.modify_time)),
    ]);
    fields
}

fn login(task: &pb::Task, config: &pb::Config) -> String {
    let Some(pb::target::Target::Registry(registry)) = config.target.as_ref().and_then(|target| target.target.as_ref())
    else {
        return String::new();
    };
    match (registry.username.as_str(), task.has_password) {
        ("", _) => "nobody".to_owned(),
        (user, true) => format!("{}, with a password", printable(user)),
        (user, false) => format!("{}, without a password", printable(user)),
    }
}

/// `docker://nginx: 1.1 as 1.2, 1.3`.
fn package(constraint: &pb::PackageConstraint) -> String {
    let mut parts = vec![constraint.package_key.clone()];
    parts.extend(constraint.package_regex.iter().map(|regex| format!("matching {regex}")));
    parts.extend((!constraint.versions.is_empty()).then(|| constraint.versions.join(", ")));
    parts.extend(
        (!constraint.target_versions.is_empty()).then(|| format!("as {}", constraint.target_versions.join(", "))),
    );
    parts.extend(constraint.version_regex.iter().map(|regex| format!("versions matching {regex}")));
    parts.extend((!constraint.semver_range.is_empty()).then(|| constraint.semver_range.clone()));
    parts.extend((constraint.newest > 0).then(|| format!("the newest {}", constraint.newest)));
    parts.retain(|part| !part.is_empty());
    printable(&parts.join("  ")).into_owned()
}

fn path(constraint: &pb::PathConstraint) -> String {
    let mut parts = vec![constraint.path.clone()];
    parts.extend(constraint.path_regex.iter().map(|regex| format!("matching {regex}")));
    printable(&parts.join("  ")).into_owned()
}

fn settings(config: &pb::Config) -> Vec<(&'static str, String)> {
    let settings = config.settings.clone().unwrap_or_default();
    let left_out: Vec<_> = [(settings.include_metadata, "metadata"), (settings.include_referrers, "referrers")]
        .into_iter()
        .filter_map(|(included, what)| (included == Some(false)).then_some(what))
        .collect();
    let rate = (settings.rate_limit > 0).then(|| format!("{}/s", size::of_proto(settings.rate_limit)));
    let max_deletes = if settings.max_deletes == 0 { 100 } else { settings.max_deletes };
    let deletes = settings.propagate_deletes.then(|| format!("go along, at most {max_deletes} a run"));
    let parallelism = (settings.parallelism > 0).then(|| settings.parallelism.to_string());
    vec![
        ("rate", rate.unwrap_or_default()),
        ("conflicts", word(settings.conflict_strategy().as_str_name(), "CONFLICT_STRATEGY_")),
        ("failures", word(settings.error_strategy().as_str_name(), "ERROR_STRATEGY_")),
        ("deletions", deletes.unwrap_or_default()),
        ("left out", left_out.join(", ")),
        ("blobs at a time", parallelism.unwrap_or_default()),
    ]
}

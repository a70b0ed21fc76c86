//! What is copied, when, and how.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use steward_proto::replication::v1 as pb;

use crate::cli::error::Error;
use crate::cli::replication::rate;
use crate::cli::time;

/// What is copied.
#[derive(Args, Debug)]
pub(super) struct Selection {
    /// Only these packages, as often as needed: `docker://nginx`, `nginx`, or a glob such as `team/*`.
    #[arg(long = "package", value_name = "KEY", id = "packages")]
    packages: Vec<String>,

    /// Of them only these versions, as often as needed.
    #[arg(long = "version", value_name = "TAG", requires = "packages")]
    versions: Vec<String>,

    /// What the one version is called at the target, as often as needed.
    #[arg(long = "target-version", value_name = "TAG", requires = "versions")]
    target_versions: Vec<String>,

    /// Of them only versions in this range, such as '>=1.2, <2'.
    #[arg(long, value_name = "RANGE", requires = "packages", default_value = "", hide_default_value = true)]
    semver: String,

    /// Of these only the newest so many.
    #[arg(long, value_name = "N", requires = "packages", default_value_t = 0, hide_default_value = true)]
    newest: u32,

    /// Only these files, as often as needed: a file, a folder, or a glob such as '/dir/**/*.txt'.
    #[arg(long = "path", value_name = "GLOB", id = "paths")]
    paths: Vec<String>,
}

/// When it is copied.
#[derive(Args, Debug)]
pub(super) struct When {
    /// When the task runs.
    #[arg(long = "type", value_name = "TYPE", value_enum, id = "kind")]
    kind: Option<Kind>,

    /// Run again and again: five fields of cron, or Quartz's six or seven.
    #[arg(long, value_name = "EXPR", conflicts_with = "at")]
    cron: Option<String>,

    /// Run once at this time: 2026-03-01T12:00:00Z, or without a zone in that of this machine.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<Timestamp>,

    /// The time zone of --cron, such as Europe/Berlin. Default: the server's.
    #[arg(long, value_name = "ZONE", requires = "cron", default_value = "", hide_default_value = true)]
    time_zone: String,
}

/// How it is copied.
#[derive(Args, Debug)]
pub(super) struct CopyOptions {
    /// At most so many bytes a second for the whole task, such as 10M/s.
    #[arg(long, value_name = "RATE", value_parser = rate::parse)]
    rate: Option<i64>,

    /// What becomes of an artifact that the target has with other bytes. Default: it is skipped; of a task that runs once,
    /// overwritten.
    #[arg(long, value_name = "WHAT", value_enum)]
    conflict: Option<Conflict>,

    /// What becomes of the others when an artifact fails. Default: they are tried all the same; of a task that runs once,
    /// the run ends.
    #[arg(long, value_name = "WHAT", value_enum)]
    on_error: Option<OnError>,

    /// Delete at the target what is deleted here.
    #[arg(long)]
    propagate_deletes: bool,

    /// Delete nothing if a run would delete more than this. Default: 100.
    #[arg(
        long,
        value_name = "N",
        requires = "propagate_deletes",
        default_value_t = 0,
        hide_default_value = true,
        value_parser = clap::value_parser!(u32)
    )]
    max_deletes: u32,

    /// Leave out what refers to images: signatures, bills of materials.
    #[arg(long)]
    no_referrers: bool,

    /// Leave out the metadata of files and versions.
    #[arg(long)]
    no_metadata: bool,

    /// How many blobs are under way at a time. Default: 4.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    parallelism: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Whenever something changes.
    RealTime,
    /// As --cron or --at say; without them once, at once.
    Scheduled,
    /// When it is told to.
    RunOnce,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Conflict {
    /// It stays as it is there.
    Skip,
    /// It is replaced.
    Overwrite,
    /// It stays, and the artifact has failed.
    Fail,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnError {
    /// They are tried all the same.
    Continue,
    /// The run ends.
    Fail,
}

impl Selection {
    pub(super) fn packages(&self) -> Vec<pb::PackageConstraint> {
        let constraint = |key: &String| pb::PackageConstraint {
            package_key: key.clone(),
            versions: self.versions.clone(),
            target_versions: self.target_versions.clone(),
            semver_range: self.semver.clone(),
            newest: self.newest,
            ..pb::PackageConstraint::default()
        };
        self.packages.iter().map(constraint).collect()
    }

    pub(super) fn paths(&self) -> Vec<pb::PathConstraint> {
        self.paths.iter().map(|path| pb::PathConstraint { path: path.clone(), path_regex: Vec::new() }).collect()
    }
}

impl When {
    pub(super) fn replica_type(&self) -> pb::ReplicaType {
        match self.kind {
            Some(Kind::RunOnce) => pb::ReplicaType::RunOnce,
            Some(Kind::Scheduled) => pb::ReplicaType::Scheduled,
            None if self.cron.is_some() || self.at.is_some() => pb::ReplicaType::Scheduled,
            Some(Kind::RealTime) | None => pb::ReplicaType::RealTime,
        }
    }

    /// Nothing for a task that has none.
    pub(super) fn schedule(&self) -> Result<Option<pb::Schedule>, Error> {
        let when = match (&self.cron, self.at) {
            (Some(cron), _) => Some(pb::schedule::When::Cron(cron.clone())),
            (None, Some(at)) => Some(pb::schedule::When::At(time::to_proto(at))),
            (None, None) => None,
        };
        if self.replica_type() != pb::ReplicaType::Scheduled {
            return match when {
                Some(_) => Err(Error::Local("--cron and --at are for --type scheduled".to_owned())),
                None => Ok(None),
            };
        }
        let when = when.unwrap_or(pb::schedule::When::Immediately(pb::Immediately {}));
        Ok(Some(pb::Schedule { when: Some(when), time_zone: self.time_zone.clone() }))
    }
}

impl CopyOptions {
    pub(super) fn settings(&self, schedule: Option<pb::Schedule>) -> pb::Settings {
        let conflict = match self.conflict {
            None => pb::ConflictStrategy::Unspecified,
            Some(Conflict::Skip) => pb::ConflictStrategy::Skip,
            Some(Conflict::Overwrite) => pb::ConflictStrategy::Overwrite,
            Some(Conflict::Fail) => pb::ConflictStrategy::FastFail,
        };
        let on_error = match self.on_error {
            None => pb::ErrorStrategy::Unspecified,
            Some(OnError::Continue) => pb::ErrorStrategy::Continue,
            Some(OnError::Fail) => pb::ErrorStrategy::FastFail,
        };
        pb::Settings {
            rate_limit: self.rate.unwrap_or_default(),
            include_metadata: Some(!self.no_metadata),
            conflict_strategy: conflict.into(),
            error_strategy: on_error.into(),
            schedule,
            include_referrers: Some(!self.no_referrers),
            propagate_deletes: self.propagate_deletes,
            max_deletes: self.max_deletes,
            parallelism: self.parallelism.unwrap_or_default(),
            ..pb::Settings::default()
        }
    }
}

/// Parses a point in time; one without a zone is in that of this machine.
fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let wrong = "not a time; write it as 2026-03-01T12:00:00Z or 2026-03-01T12:00";
    let local: DateTime = text.parse().map_err(|_| wrong)?;
    let zone = TimeZone::try_system().map_err(|_| "write the time with its zone, as in 2026-03-01T12:00:00Z")?;
    local.to_zoned(zone).map(|time| time.timestamp()).map_err(|_| wrong.to_owned())
}

//! What a task is to do, which `show --json` writes and `create --from-file` reads.

use serde::{Deserialize, Serialize};
use steward_proto::replication::v1 as pb;

use crate::cli::json::word;
use crate::cli::time;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::cli::replication) struct Config {
    project: String,
    repository: String,
    name: String,
    target: Option<Target>,
    package_constraints: Vec<Selected>,
    path_constraints: Vec<Files>,
    object_type: String,
    replica_type: String,
    settings: Settings,
    enabled: Option<bool>,
    description: String,
}

/// A password is no part of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    Registry(ToRegistry),
    Cluster(ToCluster),
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct ToRegistry {
    registry: String,
    username: String,
    certificate: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct ToCluster {
    cluster_id: String,
    remote_project_id: String,
    remote_repo_name: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Selected {
    package_key: String,
    versions: Vec<String>,
    target_versions: Vec<String>,
    version_regex: Vec<String>,
    semver_range: String,
    newest: u32,
    package_regex: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Files {
    path: String,
    path_regex: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    rate_limit: i64,
    include_metadata: Option<bool>,
    conflict_strategy: String,
    error_strategy: String,
    schedule: Option<Schedule>,
    include_referrers: Option<bool>,
    propagate_deletes: bool,
    max_deletes: u32,
    parallelism: u32,
    automatic_create_remote_repo: Option<bool>,
    storage_consistency_check: bool,
}

/// With neither `at` nor `cron`: at once.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Schedule {
    at: Option<String>,
    cron: Option<String>,
    time_zone: String,
}

impl From<pb::Config> for Config {
    fn from(config: pb::Config) -> Self {
        Config {
            object_type: word(config.object_type().as_str_name(), "REPLICA_OBJECT_TYPE_"),
            replica_type: word(config.replica_type().as_str_name(), "REPLICA_TYPE_"),
            project: config.project,
            repository: config.repository,
            name: config.name,
            target: config.target.and_then(|target| target.target).map(Target::from),
            package_constraints: config.package_constraints.into_iter().map(Selected::from).collect(),
            path_constraints: config
                .path_constraints
                .into_iter()
                .map(|path| Files { path: path.path, path_regex: path.path_regex })
                .collect(),
            settings: Settings::from(config.settings.unwrap_or_default()),
            enabled: config.enabled,
            description: config.description,
        }
    }
}

impl Config {
    /// As the protocol has it. The error names the field that makes no sense.
    pub(in crate::cli::replication) fn into_proto(self) -> Result<pb::Config, String> {
        let object_type = number("object_type", &self.object_type, "REPLICA_OBJECT_TYPE_", |name| {
            pb::ReplicaObjectType::from_str_name(name).map(i32::from)
        })?;
        let replica_type = number("replica_type", &self.replica_type, "REPLICA_TYPE_", |name| {
            pb::ReplicaType::from_str_name(name).map(i32::from)
        })?;
        Ok(pb::Config {
            project: self.project,
            repository: self.repository,
            name: self.name,
            target: self.target.map(|target| pb::Target { target: Some(target.into()) }),
            package_constraints: self.package_constraints.into_iter().map(pb::PackageConstraint::from).collect(),
            path_constraints: self
                .path_constraints
                .into_iter()
                .map(|path| pb::PathConstraint { path: path.path, path_regex: path.path_regex })
                .collect(),
            object_type,
            replica_type,
            settings: Some(self.settings.to_proto()?),
            enabled: self.enabled,
            description: self.description,
        })
    }
}

impl From<pb::target::Target> for Target {
    fn from(target: pb::target::Target) -> Self {
        match target {
            pb::target::Target::Registry(registry) => Target::Registry(ToRegistry {
                registry: registry.registry,
                username: registry.username,
                certificate: registry.certificate,
            }),
            pb::target::Target::Cluster(cluster) => Target::Cluster(ToCluster {
                cluster_id: cluster.cluster_id,
                remote_project_id: cluster.remote_project_id,
                remote_repo_name: cluster.remote_repo_name,
            }),
        }
    }
}

impl From<Target> for pb::target::Target {
    fn from(target: Target) -> Self {
        match target {
            Target::Registry(ToRegistry { registry, username, certificate }) => {
                pb::target::Target::Registry(pb::RegistryTarget { registry, username, password: None, certificate })
            }
            Target::Cluster(ToCluster { cluster_id, remote_project_id, remote_repo_name }) => {
                pb::target::Target::Cluster(pb::ClusterTarget { cluster_id, remote_project_id, remote_repo_name })
            }
        }
    }
}

impl From<pb::PackageConstraint> for Selected {
    fn from(constraint: pb::PackageConstraint) -> Self {
        let pb::PackageConstraint {
            package_key,
            versions,
            target_versions,
            version_regex,
            semver_range,
            newest,
            package_regex,
        } = constraint;
        Selected { package_key, versions, target_versions, version_regex, semver_range, newest, package_regex }
    }
}

impl From<Selected> for pb::PackageConstraint {
    fn from(package: Selected) -> Self {
        let Selected { package_key, versions, target_versions, version_regex, semver_range, newest, package_regex } =
            package;
        pb::PackageConstraint {
            package_key,
            versions,
            target_versions,
            version_regex,
            semver_range,
            newest,
            package_regex,
        }
    }
}

impl From<pb::Settings> for Settings {
    fn from(settings: pb::Settings) -> Self {
        Settings {
            rate_limit: settings.rate_limit,
            include_metadata: settings.include_metadata,
            conflict_strategy: word(settings.conflict_strategy().as_str_name(), "CONFLICT_STRATEGY_"),
            error_strategy: word(settings.error_strategy().as_str_name(), "ERROR_STRATEGY_"),
            schedule: settings.schedule.map(Schedule::from),
            include_referrers: settings.include_referrers,
            propagate_deletes: settings.propagate_deletes,
            max_deletes: settings.max_deletes,
            parallelism: settings.parallelism,
            automatic_create_remote_repo: settings.automatic_create_remote_repo,
            storage_consistency_check: settings.storage_consistency_check,
        }
    }
}

impl Settings {
    fn to_proto(&self) -> Result<pb::Settings, String> {
        let conflict_strategy = number("conflict_strategy", &self.conflict_strategy, "CONFLICT_STRATEGY_", |name| {
            pb::ConflictStrategy::from_str_name(name).map(i32::from)
        })?;
        let error_strategy = number("error_strategy", &self.error_strategy, "ERROR_STRATEGY_", |name| {
            pb::ErrorStrategy::from_str_name(name).map(i32::from)
        })?;
        Ok(pb::Settings {
            rate_limit: self.rate_limit,
            include_metadata: self.include_metadata,
            conflict_strategy,
            error_strategy,
            schedule: self.schedule.as_ref().map(Schedule::to_proto).transpose()?,
            include_referrers: self.include_referrers,
            propagate_deletes: self.propagate_deletes,
            max_deletes: self.max_deletes,
            parallelism: self.parallelism,
            automatic_create_remote_repo: self.automatic_create_remote_repo,
            storage_consistency_check: self.storage_consistency_check,
        })
    }
}

impl From<pb::Schedule> for Schedule {
    fn from(schedule: pb::Schedule) -> Self {
        let (at, cron) = match schedule.when {
            Some(pb::schedule::When::At(at)) => (time::json(Some(at)), None),
            Some(pb::schedule::When::Cron(cron)) => (None, Some(cron)),
            Some(pb::schedule::When::Immediately(_)) | None => (None, None),
        };
        Schedule { at, cron, time_zone: schedule.time_zone }
    }
}

impl Schedule {
    fn to_proto(&self) -> Result<pb::Schedule, String> {
        let when = match (&self.at, &self.cron) {
            (Some(_), Some(_)) => return Err("schedule: has both `at` and `cron`".to_owned()),
            (Some(at), None) => {
                let at = at.parse().map_err(|_| "schedule.at: not a time; write it as 2026-03-01T12:00:00Z")?;
                pb::schedule::When::At(time::to_proto(at))
            }
            (None, Some(cron)) => pb::schedule::When::Cron(cron.clone()),
            (None, None) => pb::schedule::When::Immediately(pb::Immediately {}),
        };
        Ok(pb::Schedule { when: Some(when), time_zone: self.time_zone.clone() })
    }
}

/// The number of a word; nothing said is `unspecified`.
fn number(field: &str, word: &str, prefix: &str, parse: impl Fn(&str) -> Option<i32>) -> Result<i32, String> {
    if word.is_empty() {
        return Ok(0);
    }
    let name = format!("{prefix}{}", word.to_ascii_uppercase().replace('-', "_"));
    parse(&name).ok_or_else(|| format!("{field}: {word:?} is none"))
}

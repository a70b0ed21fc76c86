//! A task as JSON.

use serde::{Deserialize, Serialize};
use steward_proto::replication::v1 as pb;
use steward_proto::replication::v1::target::Target;

use super::secret::Secret;
use super::setting::{Setting, ShownSetting};
use crate::envelope::{Code, LocalTimes, Refusal, never_null, null_as_default};

/// What a task is to do, as a client writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Config {
    #[serde(deserialize_with = "never_null")]
    name: Option<String>,
    #[serde(flatten)]
    target: TargetFields,
    package_constraints: Option<Vec<PackageConstraint>>,
    path_constraints: Option<Vec<PathConstraint>>,
    #[serde(deserialize_with = "never_null")]
    replica_type: Option<ReplicaType>,
    replica_object_type: Option<ObjectType>,
    #[serde(deserialize_with = "never_null")]
    setting: Option<Setting>,
    description: Option<String>,
    #[serde(deserialize_with = "null_as_default")]
    enable: Option<bool>,
}

/// Where to: flat, one of two kinds.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TargetFields {
    cluster_id: Option<String>,
    registry: Option<String>,
    username: Option<String>,
    password: Option<Secret>,
    certificate: Option<String>,
    remote_project_id: Option<String>,
    remote_repo_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PackageConstraint {
    package_key: Option<String>,
    versions: Option<Vec<String>>,
    target_versions: Option<Vec<String>>,
    package_regex: Option<Vec<String>>,
    version_regex: Option<Vec<String>>,
    semver_range: Option<String>,
    newest: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PathConstraint {
    path: Option<String>,
    path_regex: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ReplicaType {
    Scheduled,
    RealTime,
    RunOnce,
    EdgePull,
    Federation,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ObjectType {
    Repository,
    Package,
    Path,
}

impl From<ObjectType> for pb::ReplicaObjectType {
    fn from(of: ObjectType) -> Self {
        match of {
            ObjectType::Repository => Self::Repository,
            ObjectType::Package => Self::Package,
            ObjectType::Path => Self::Path,
        }
    }
}

impl TargetFields {
    /// As the service takes it: exactly one of the two kinds.
    pub(super) fn into_proto(self) -> Result<pb::Target, Refusal> {
        let cluster_id = self.cluster_id.unwrap_or_default();
        let registry = self.registry.unwrap_or_default();
        let target = match (cluster_id.is_empty(), registry.is_empty()) {
            (false, true) => Target::Cluster(pb::ClusterTarget {
                cluster_id,
                remote_project_id: self.remote_project_id.unwrap_or_default(),
                remote_repo_name: self.remote_repo_name.unwrap_or_default(),
            }),
            (true, false) => Target::Registry(pb::RegistryTarget {
                registry,
                username: self.username.unwrap_or_default(),
                password: self.password.map(Secret::reveal),
                certificate: self.certificate.unwrap_or_default(),
            }),
            _ => return Err(Refusal::new(&Code::PARAMETER_INVALID, "registry")),
        };
        Ok(pb::Target { target: Some(target) })
    }
}

impl Config {
    /// The name, which a new one needs.
    pub(super) fn take_name(&mut self) -> Result<String, Refusal> {
        self.name.take().ok_or_else(|| Refusal::plain(&Code::REQUEST_CONTENT_INVALID))
    }

    /// As the service takes it.
    pub(super) fn into_proto(
        self,
        (project, repository, name): (String, String, String),
        times: &LocalTimes,
    ) -> Result<pb::Config, Refusal> {
        let replica_type = match self.replica_type {
            None | Some(ReplicaType::RealTime) => pb::ReplicaType::RealTime,
            Some(ReplicaType::Scheduled) => pb::ReplicaType::Scheduled,
            Some(ReplicaType::RunOnce | ReplicaType::EdgePull | ReplicaType::Federation) => {
                return Err(Refusal::new(&Code::PARAMETER_INVALID, "replicaType"));
            }
        };
        let object_type = self.replica_object_type.map_or(pb::ReplicaObjectType::Unspecified, Into::into);
        Ok(pb::Config {
            project,
            repository,
            name,
            target: Some(self.target.into_proto()?),
            package_constraints: self.package_constraints.into_iter().flatten().map(Into::into).collect(),
            path_constraints: self.path_constraints.into_iter().flatten().map(Into::into).collect(),
            object_type: object_type.into(),
            replica_type: replica_type.into(),
            settings: Some(self.setting.unwrap_or_default().to_proto(false, times)?),
            enabled: Some(self.enable.unwrap_or(true)),
            description: self.description.unwrap_or_default(),
        })
    }
}

impl From<PackageConstraint> for pb::PackageConstraint {
    fn from(constraint: PackageConstraint) -> Self {
        pb::PackageConstraint {
            package_key: constraint.package_key.unwrap_or_default(),
            versions: constraint.versions.unwrap_or_default(),
            target_versions: constraint.target_versions.unwrap_or_default(),
            version_regex: constraint.version_regex.unwrap_or_default(),
            semver_range: constraint.semver_range.unwrap_or_default(),
            newest: constraint.newest.unwrap_or_default(),
            package_regex: constraint.package_regex.unwrap_or_default(),
        }
    }
}

impl From<PathConstraint> for pb::PathConstraint {
    fn from(constraint: PathConstraint) -> Self {
        pb::PathConstraint {
            path: constraint.path.unwrap_or_default(),
            path_regex: constraint.path_regex.unwrap_or_default(),
        }
    }
}

/// A task, as a client reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownTask {
    project_id: String,
    repo_name: String,
    name: String,
    registry: Option<String>,
    certificate: Option<String>,
    username: Option<String>,
    /// Always null.
    password: Option<String>,
    package_constraints: Option<Vec<ShownPackages>>,
    path_constraints: Option<Vec<ShownPath>>,
    replica_type: &'static str,
    setting: ShownSetting,
    description: Option<String>,
    enable: bool,
    cluster_id: Option<String>,
    remote_project_id: Option<String>,
    remote_repo_name: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownPackages {
    package_key: Option<String>,
    versions: Option<Vec<String>>,
    target_versions: Option<Vec<String>>,
    package_regex: Option<Vec<String>>,
    version_regex: Option<Vec<String>>,
    deleted_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    semver_range: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<u32>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownPath {
    path: Option<String>,
    path_regex: Option<Vec<String>>,
    deleted_date: Option<String>,
}

/// Nothing for what is empty.
pub(super) fn some_text(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn some_list<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

impl ShownTask {
    pub(super) fn of(task: pb::Task, times: &LocalTimes) -> Self {
        let config = task.config.unwrap_or_default();
        let replica_type = match config.replica_type() {
            pb::ReplicaType::Unspecified | pb::ReplicaType::RealTime => "REAL_TIME",
            pb::ReplicaType::Scheduled => "SCHEDULED",
            pb::ReplicaType::RunOnce => "RUN_ONCE",
        };
        let (registry, cluster) = match config.target.and_then(|target| target.target) {
            Some(Target::Registry(registry)) => (registry, pb::ClusterTarget::default()),
            Some(Target::Cluster(cluster)) => (pb::RegistryTarget::default(), cluster),
            None => (pb::RegistryTarget::default(), pb::ClusterTarget::default()),
        };
        let packages = config.package_constraints.into_iter().map(ShownPackages::from).collect();
        let paths = config.path_constraints.into_iter().map(ShownPath::from).collect();
        ShownTask {
            project_id: config.project,
            repo_name: config.repository,
            name: config.name,
            registry: some_text(registry.registry),
            certificate: some_text(registry.certificate),
            username: some_text(registry.username),
            password: None,
            package_constraints: some_list(packages),
            path_constraints: some_list(paths),
            replica_type,
            setting: ShownSetting::of(config.settings.unwrap_or_default(), times),
            description: some_text(config.description),
            enable: config.enabled.unwrap_or(true),
            cluster_id: some_text(cluster.cluster_id),
            remote_project_id: some_text(cluster.remote_project_id),
            remote_repo_name: some_text(cluster.remote_repo_name),
        }
    }
}

impl From<pb::PackageConstraint> for ShownPackages {
    fn from(constraint: pb::PackageConstraint) -> Self {
        ShownPackages {
            package_key: some_text(constraint.package_key),
            versions: some_list(constraint.versions),
            target_versions: some_list(constraint.target_versions),
            package_regex: some_list(constraint.package_regex),
            version_regex: some_list(constraint.version_regex),
            deleted_date: None,
            semver_range: some_text(constraint.semver_range),
            newest: Some(constraint.newest).filter(|count| *count != 0),
        }
    }
}

impl From<pb::PathConstraint> for ShownPath {
    fn from(constraint: pb::PathConstraint) -> Self {
        ShownPath { path: some_text(constraint.path), path_regex: some_list(constraint.path_regex), deleted_date: None }
    }
}

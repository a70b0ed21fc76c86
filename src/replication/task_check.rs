//! What a task has to be, in the order in which the older API finds out: its name, its target, whether that is there, and
//! only then what is to be copied, and when.

use std::collections::HashSet;

use steward_proto::replication::v1::{ClusterTarget, ClusterType, Config, RegistryTarget, ReplicaType, target};
use steward_proto::store::v1::ReplicaTaskRecord;

use super::error::Error;
use super::parts::Replication;
use super::queue::TaskId;
use super::reach::{Peer, refusal};
use super::task_validate::{self as validate, Plan, Purpose};
use super::url::{TargetUrl, has_no_scheme};
use crate::glob::is_glob;

/// How long a name on the whole server may be.
const MAX_FULL_NAME_BYTES: usize = 256;
const MAX_REMOTE_NAME_BYTES: usize = 100;

/// A task that is as it has to be. It cannot be shown: it has a password.
#[derive(Clone)]
pub(super) struct Checked {
    pub(super) task: TaskId,
    /// Without its password.
    pub(super) config: Config,
    /// The type that it is to have; nothing: as before.
    pub(super) replica_type: Option<ReplicaType>,
    pub(super) password: Option<String>,
    /// Of a registry.
    pub(super) url: Option<TargetUrl>,
    pub(super) plan: Plan,
}

/// Which targets have answered during a request.
#[derive(Default)]
pub(super) struct Answered(HashSet<(Peer, String, String)>);

impl Replication {
    /// Checks a task that is to be created or changed. `before` is the one that has the name.
    pub(super) async fn check_task(
        &self,
        task: TaskId,
        mut config: Config,
        purpose: Purpose,
        before: Option<&ReplicaTaskRecord>,
        answered: &mut Answered,
    ) -> Result<Checked, Error> {
        validate::name(&task.name)?;
        let replica_type = validate::replica_type(&config, purpose)?;
        let is_run_once = match purpose {
            Purpose::Create => before.map_or(replica_type, type_of) == Some(ReplicaType::RunOnce),
            Purpose::CreateRunOnce => true,
            Purpose::Update => replica_type.or(before.and_then(type_of)) == Some(ReplicaType::RunOnce),
        };
        let target = config.target.as_mut().and_then(|target| target.target.as_mut());
        let (password, url, cluster) = match target {
            Some(target::Target::Registry(registry)) if !registry.registry.is_empty() => {
                let url = self.check_registry(&task, registry, answered).await?;
                (registry.password.take(), Some(url), None)
            }
            Some(target::Target::Cluster(cluster)) if !cluster.cluster_id.is_empty() => {
                (None, None, Some(self.check_cluster_target(cluster).await?))
            }
            _ => return Err(Error::invalid("registry", "either a registry or a cluster has to be named")),
        };
        validate::constraints(&mut config, is_run_once, url.is_some())?;
        validate::settings(&mut config, is_run_once)?;
        let known_us = before.map_or(0, |before| before.at_us);
        let plan = validate::plan(&config, &self.settings.time_zone, self.now_us(), known_us)?;
        if let Some(Cluster { name, url, certificate }) = cluster {
            self.ask(answered, Peer::Steward, &url, &certificate, &name).await?;
        }
        if is_run_once {
            self.check_versions(&task, &config).await?;
        }
        let (project, repository, name) = (task.project.clone(), task.repository.clone(), task.name.clone());
        let config = Config { project, repository, name, ..config };
        Ok(Checked { task, config, replica_type, password, url, plan })
    }

    /// Checks a registry, and finds out how it is spoken to if it does not say.
    async fn check_registry(
        &self,
        task: &TaskId,
        registry: &mut RegistryTarget,
        answered: &mut Answered,
    ) -> Result<TargetUrl, Error> {
        let name = task.to_string();
        if name.len() > MAX_FULL_NAME_BYTES {
            return Err(Error::invalid(
                "name",
                format!("has more than {MAX_FULL_NAME_BYTES} bytes with its repository"),
            ));
        }
        let is_open = has_no_scheme(&registry.registry);
        if is_open {
            registry.registry.insert_str(0, "https://");
        }
        let mut url = self.target_url(&registry.registry)?;
        validate::registry(registry)?;
        let reached = self.ask(answered, Peer::Registry, &registry.registry, &registry.certificate, &name).await;
        match reached {
            // A certificate that is not trusted is no reason to go without one.
            Err(Error::Unreachable { .. }) if is_open => {
                registry.registry = registry.registry.replacen("https://", "http://", 1);
                url = self.target_url(&registry.registry)?;
                self.ask(answered, Peer::Registry, &registry.registry, &registry.certificate, &name).await?;
            }
            reached => reached?,
        }
        Ok(url)
    }

    async fn check_cluster_target(&self, target: &ClusterTarget) -> Result<Cluster, Error> {
        let (record, certificate) = self.cluster(&target.cluster_id).await?;
        if record.r#type != i32::from(ClusterType::Standalone) {
            return Err(Error::invalid("clusterId", format!("{:?} is not another Steward", record.name)));
        }
        for (field, value) in
            [("remoteProjectId", &target.remote_project_id), ("remoteRepoName", &target.remote_repo_name)]
        {
            if value.trim().is_empty() {
                return Err(Error::Missing(field));
            }
            validate::line(field, value, MAX_REMOTE_NAME_BYTES)?;
        }
        Ok(Cluster { url: self.target_url(&record.url)?.origin(), name: record.name, certificate })
    }

    /// Asks whether a target is there, once in a request.
    pub(super) async fn ask(
        &self,
        answered: &mut Answered,
        peer: Peer,
        url: &str,
        certificate: &str,
        name: &str,
    ) -> Result<(), Error> {
        let which = (peer, url.to_owned(), certificate.to_owned());
        if answered.0.contains(&which) {
            return Ok(());
        }
        let asked = self.reach.reach(peer, url, certificate);
        let reached = tokio::select! {
            reached = asked => reached,
            () = self.shutdown.cancelled() => return Err(Error::ShuttingDown),
        };
        reached.map_err(|error| refusal(name, error))?;
        answered.0.insert(which);
        Ok(())
    }

    /// What a task that runs once names has to be there.
    async fn check_versions(&self, task: &TaskId, config: &Config) -> Result<(), Error> {
        for constraint in config.package_constraints.iter().filter(|package| names_one(&package.package_key)) {
            for version in &constraint.versions {
                self.check_version(task, &constraint.package_key, version).await?;
            }
        }
        Ok(())
    }
}

fn names_one(package: &str) -> bool {
    !package.is_empty() && !is_glob(package)
}

/// The type of a task as it is stored.
pub(super) fn type_of(record: &ReplicaTaskRecord) -> Option<ReplicaType> {
    ReplicaType::try_from(record.replica_type).ok()
}

/// A cluster that is to be asked whether it is there.
struct Cluster {
    name: String,
    url: String,
    certificate: String,
}

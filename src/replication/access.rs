//! Who may do what with tasks, runs and clusters.
//!
//! A task works with the rights of its *maker*, who said last what it is to do: every run asks anew whether the maker
//! still has them.

use async_trait::async_trait;
use steward_proto::replication::v1::{Cluster, Config, target};
use steward_proto::store::v1::{ClusterRecord, ExecutionRecord, ReplicaTaskRecord};

use super::error::Error;
use super::keys;
use super::parts::Replication;
use super::queue::TaskId;
use super::retention::read_run;
use crate::auth::rights::{Area, Right};
use crate::auth::{Authenticator, Grants, Identity};
use crate::error::Failure;
use crate::store::tx;

/// Says what somebody may do who is not calling at the moment.
#[async_trait]
pub(super) trait Makers: Send + Sync {
    /// What a user may do that was in these groups.
    async fn grants(&self, user: &str, groups: &[String]) -> Grants;
}

/// Everybody may do everything.
pub(super) struct Anybody;

#[async_trait]
impl Makers for Anybody {
    async fn grants(&self, _user: &str, _groups: &[String]) -> Grants {
        Grants::everything()
    }
}

#[async_trait]
impl Makers for Authenticator {
    async fn grants(&self, user: &str, groups: &[String]) -> Grants {
        let maker = Identity { user: Some(user.to_owned()), groups: groups.to_vec(), ..Identity::default() };
        Authenticator::grants(self, maker).await
    }
}

/// Who a task works for.
#[derive(Clone, Debug, Default)]
pub(super) struct Maker {
    pub(super) user: String,
    pub(super) groups: Vec<String>,
}

impl Maker {
    pub(super) fn of(grants: &Grants) -> Self {
        let Identity { user, groups, .. } = grants.caller().clone();
        Maker { user: user.unwrap_or_default(), groups }
    }

    #[cfg(test)]
    pub(super) fn named(user: &str) -> Self {
        Maker { user: user.to_owned(), groups: Vec::new() }
    }
}

impl TaskId {
    fn repository(&self) -> String {
        format!("{}/{}", self.project, self.repository)
    }

    /// Whether somebody may read the task.
    pub(super) fn is_seen(&self, grants: &Grants) -> bool {
        grants.are_everything() || grants.allow(Area::Replication, Right::Read, &self.to_string())
    }
}

fn cluster_resource(name: &str) -> String {
    format!("cluster/{name}")
}

/// Whether somebody may read a cluster.
pub(super) fn is_cluster_seen(grants: &Grants, name: &str) -> bool {
    grants.are_everything() || grants.allow(Area::Replication, Right::Read, &cluster_resource(name))
}

impl Replication {
    /// A run that somebody may read; others are not there.
    pub(super) async fn seen_run(&self, id: &str, grants: &Grants) -> Result<ExecutionRecord, Error> {
        let record = read_run(self, id).await?;
        if TaskId::of_run(&record).is_seen(grants) {
            return Ok(record);
        }
        Err(Error::ExecutionNotFound(id.chars().take(64).collect()))
    }

    /// A run that somebody may stop.
    pub(super) async fn own_run(&self, id: &str, grants: &Grants) -> Result<ExecutionRecord, Error> {
        let record = self.seen_run(id, grants).await?;
        grants.require(Area::Replication, Right::Write, &TaskId::of_run(&record).to_string())?;
        Ok(record)
    }

    /// A cluster that somebody may read; others are not there.
    pub(super) fn seen_cluster(cluster: Cluster, grants: &Grants, asked: &str) -> Result<Cluster, Error> {
        let is_seen = is_cluster_seen(grants, &cluster.name);
        if is_seen { Ok(cluster) } else { Err(Error::ClusterNotFound(asked.to_owned())) }
    }

    /// Refuses a cluster that somebody may not delete; one that may not be read is not there.
    pub(super) async fn may_delete_cluster(&self, id: &str, grants: &Grants) -> Result<(), Error> {
        self.require_cluster(id, Right::Admin, grants).await
    }

    async fn require_cluster(&self, id: &str, right: Right, grants: &Grants) -> Result<(), Error> {
        if grants.are_everything() {
            return Ok(());
        }
        let record: Option<ClusterRecord> = tx::read(&*self.store, &keys::cluster(id)).await?;
        let missing = || Error::ClusterNotFound(id.to_owned());
        let name = record.filter(|record| is_cluster_seen(grants, &record.name)).ok_or_else(missing)?.name;
        Ok(grants.require(Area::Replication, right, &cluster_resource(&name))?)
    }

    /// Refuses what a task is to do if somebody may not have it done: read what is copied, and use the password of the
    /// cluster that it is copied to.
    pub(super) async fn may_copy(&self, task: &TaskId, config: &Config, grants: &Grants) -> Result<(), Error> {
        grants.require(Area::Replication, Right::Write, &task.to_string())?;
        self.may_read(task, config, grants).await
    }

    /// The same for somebody who wants to know what would be done.
    pub(super) async fn may_read(&self, task: &TaskId, config: &Config, grants: &Grants) -> Result<(), Error> {
        grants.require(Area::Artifact, Right::Read, &task.repository())?;
        match config.target.as_ref().and_then(|target| target.target.as_ref()) {
            Some(target::Target::Cluster(cluster)) => {
                self.require_cluster(&cluster.cluster_id, Right::Write, grants).await
            }
            Some(target::Target::Registry(_)) | None => Ok(()),
        }
    }

    /// The same for the task of a name, if it is there.
    pub(super) async fn may_run(&self, task: &TaskId, grants: &Grants) -> Result<(), Error> {
        if grants.are_everything() {
            return Ok(());
        }
        match self.task_and_config(task).await? {
            Some((_, config)) => self.may_copy(task, &config, grants).await,
            None => Ok(grants.require(Area::Artifact, Right::Read, &task.repository())?),
        }
    }

    /// The same for its plan.
    pub(super) async fn may_plan(&self, task: &TaskId, grants: &Grants) -> Result<(), Error> {
        match self.task_and_config(task).await? {
            Some((_, config)) => self.may_read(task, &config, grants).await,
            None => Ok(()),
        }
    }

    /// Why a task may not run: its maker has lost a right. Nothing: it may.
    pub(super) async fn is_refused(&self, task: &ReplicaTaskRecord, config: &Config) -> Result<Option<String>, Error> {
        // Without a maker it comes from a time at which nobody was asked.
        let maker = if task.maker.is_empty() { &task.created_by } else { &task.maker };
        if maker.is_empty() {
            return Ok(None);
        }
        let grants = self.makers.grants(maker, &task.maker_groups).await;
        match self.may_copy(&TaskId::of(task), config, &grants).await {
            Ok(()) => Ok(None),
            Err(Error::Denied(failure)) => Ok(Some(format!("it works for {maker}: {}", told(*failure)))),
            Err(error @ Error::ClusterNotFound(_)) => Ok(Some(format!("it works for {maker}: {error}"))),
            Err(error) => Err(error),
        }
    }
}

fn told(failure: Failure) -> String {
    tonic::Status::from(failure).message().to_owned()
}

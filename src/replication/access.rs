//! Who may do what with tasks, runs and clusters.
//!
//! A task works with the rights of its *maker*, who said last what it is to do: every run asks anew whether the maker
//! still has them.

use std::time::Duration;

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
    /// What the maker of a task may do.
    async fn grants(&self, maker: &Maker) -> Grants;
}

/// Everybody may do everything.
pub(super) struct Anybody;

#[async_trait]
impl Makers for Anybody {
    async fn grants(&self, _maker: &Maker) -> Grants {
        Grants::everything()
    }
}

#[async_trait]
impl Makers for Authenticator {
    async fn grants(&self, maker: &Maker) -> Grants {
        Authenticator::grants(self, maker.identity()).await
    }
}

/// Who a task works for.
#[derive(Clone, Debug, Default)]
pub(super) struct Maker {
    /// Empty: nobody was asked, or it is anonymous.
    pub(super) user: String,
    pub(super) is_anonymous: bool,
    pub(super) groups: Vec<String>,
}

impl Maker {
    pub(super) fn of(grants: &Grants) -> Self {
        let Identity { user, groups, .. } = grants.caller().clone();
        let is_anonymous = user.is_none() && !grants.are_everything();
        Maker { user: user.unwrap_or_default(), is_anonymous, groups }
    }

    /// The maker of a task. Its groups count for so long: who issued the token that told them is not asked again.
    /// Nothing: the task comes from a time at which nobody was asked.
    fn of_task(task: &ReplicaTaskRecord, now_us: u64, groups_for: Duration) -> Option<Self> {
        // Earlier versions did not tell whether somebody else had changed it.
        let is_old = task.maker_us == 0 && task.maker.is_empty();
        let user = if is_old { &task.created_by } else { &task.maker };
        if user.is_empty() && !task.maker_is_anonymous {
            return None;
        }
        let since_us = if task.maker_us == 0 { task.modify_us } else { task.maker_us };
        let are_fresh = u128::from(now_us.saturating_sub(since_us)) <= groups_for.as_micros();
        let groups = if are_fresh { task.maker_groups.clone() } else { Vec::new() };
        Some(Maker { user: user.clone(), is_anonymous: task.maker_is_anonymous, groups })
    }

    /// Notes in the record of a task that this is its maker.
    pub(super) fn note(&self, task: &mut ReplicaTaskRecord, now_us: u64) {
        (task.maker_is_anonymous, task.maker_us) = (self.is_anonymous, now_us);
        task.maker.clone_from(&self.user);
        task.maker_groups.clone_from(&self.groups);
    }

    /// As the table of rights knows it.
    pub(super) fn identity(&self) -> Identity {
        let user = (!self.is_anonymous).then(|| self.user.clone());
        Identity { user, groups: self.groups.clone(), ..Identity::default() }
    }

    fn told(&self) -> &str {
        if self.is_anonymous { "anonymous" } else { &self.user }
    }

    #[cfg(test)]
    pub(super) fn named(user: &str) -> Self {
        Maker { user: user.to_owned(), ..Maker::default() }
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

    /// Knows the groups of the maker of a task anew, who has it done.
    pub(super) async fn renew_maker(&self, task: &TaskId, maker: &Maker) -> Result<(), Error> {
        if maker.groups.is_empty() {
            return Ok(());
        }
        let renewed = self.decide("a task", |mut tx| async move {
            let mut record = tx.task(task).await?;
            if record.maker == maker.user {
                maker.note(&mut record, self.now_us());
                tx.put(task.key(), &record);
            }
            Ok::<_, Error>(tx.answer(()))
        });
        renewed.await.map(|_| ())
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
        let Some(maker) = Maker::of_task(task, self.now_us(), self.settings.maker_groups_for) else { return Ok(None) };
        let grants = self.makers.grants(&maker).await;
        let maker = maker.told();
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::rights::Table;

    const LIFE: Duration = Duration::from_secs(10);

    fn grants(user: Option<&str>, groups: &[&str], table: &str) -> Grants {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let caller = Identity { user: user.map(str::to_owned), groups, ..Identity::default() };
        Grants::new(caller, Arc::new(Table::parse(table).expect("a table")))
    }

    /// Who a task works for, `pass` after a maker changed it that `alice` has created.
    fn after(maker: &Maker, pass: Duration) -> Option<(String, bool, usize)> {
        let mut task = ReplicaTaskRecord { created_by: "alice".to_owned(), ..ReplicaTaskRecord::default() };
        maker.note(&mut task, 1_000_000);
        let now_us = 1_000_000 + u64::try_from(pass.as_micros()).unwrap();
        let maker = Maker::of_task(&task, now_us, LIFE)?;
        Some((maker.user.clone(), maker.is_anonymous, maker.groups.len()))
    }

    #[test]
    fn what_nobody_in_particular_changed_does_not_work_for_who_created_it() {
        let anonymous = Maker::of(&grants(None, &[], "anonymous replication * write"));
        assert_eq!(after(&anonymous, Duration::ZERO), Some((String::new(), true, 0)));
        assert_eq!(after(&Maker::of(&Grants::everything()), Duration::ZERO), None, "nobody was asked");
        let bob = Maker::of(&grants(Some("bob"), &[], ""));
        assert_eq!(after(&bob, Duration::ZERO), Some(("bob".to_owned(), false, 0)));
    }

    #[test]
    fn tasks_of_earlier_versions_work_for_who_created_them() {
        let mut task = ReplicaTaskRecord { created_by: "alice".to_owned(), ..ReplicaTaskRecord::default() };
        assert_eq!(Maker::of_task(&task, 0, LIFE).map(|maker| maker.user).as_deref(), Some("alice"));
        task.created_by.clear();
        assert!(Maker::of_task(&task, 0, LIFE).is_none());
    }

    #[test]
    fn groups_count_for_a_while() {
        let carol = Maker::of(&grants(Some("carol"), &["ops"], ""));
        assert_eq!(after(&carol, LIFE), Some(("carol".to_owned(), false, 1)));
        assert_eq!(after(&carol, LIFE + Duration::from_secs(1)), Some(("carol".to_owned(), false, 0)));
    }
}

//! Passwords of targets. One is sealed for a task or cluster and for the place that it is sent to: when the URL changes
//! to another scheme, host or port, it is of no use any more, and has to be said again.

use steward_proto::replication::v1::{Config, target};
use steward_proto::store::v1::{ClusterRecord, ReplicaTaskRecord};

use super::address_policy::AddressPolicy;
use super::error::Error;
use super::parts::Replication;
use super::target::ClusterAddress;
use super::url::TargetUrl;

/// Whose password it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner<'a> {
    Task(&'a str),
    Cluster(&'a str),
}

impl Owner<'_> {
    fn context(self, url: &TargetUrl) -> String {
        self.context_at(&url.place())
    }

    pub(super) fn context_at(self, place: &str) -> String {
        match self {
            Owner::Task(key) => format!("task {key} at {place}"),
            Owner::Cluster(id) => format!("cluster {id} at {place}"),
        }
    }
}

impl Replication {
    /// Reads the URL of a target, and checks that this server goes there.
    pub(super) fn target_url(&self, text: &str) -> Result<TargetUrl, Error> {
        TargetUrl::parse(text, &AddressPolicy::from(&self.settings), self.settings.private_targets)
    }

    pub(super) fn seal_password(&self, owner: Owner<'_>, url: &TargetUrl, password: &str) -> Result<Vec<u8>, Error> {
        let sealed = self.secrets.seal(&owner.context(url), password);
        sealed.map_err(|error| Error::Internal(format!("a password cannot be encrypted: {error}")))
    }

    /// What becomes of a stored password when this one is wanted: nothing keeps it, `""` takes it away.
    pub(super) fn next_password(
        &self,
        owner: Owner<'_>,
        url: &TargetUrl,
        wanted: Option<&str>,
        stored: &[u8],
    ) -> Result<Vec<u8>, Error> {
        match wanted {
            Some("") => Ok(Vec::new()),
            Some(password) => self.seal_password(owner, url, password),
            None if stored.is_empty() => Ok(Vec::new()),
            // It was for another place, whose owner alone was to get it.
            None if self.secrets.open_sealed(&owner.context(url), stored).is_err() => Err(Error::Missing("password")),
            None => Ok(stored.to_vec()),
        }
    }

    /// The password of the registry of a task.
    pub(super) fn task_password(&self, task: &ReplicaTaskRecord, config: &Config) -> Result<Option<String>, Error> {
        let target = config.target.as_ref().and_then(|target| target.target.as_ref());
        let Some(target::Target::Registry(registry)) = target else { return Ok(None) };
        self.opened(Owner::Task(&task.key), &registry.registry, &task.sealed_password)
    }

    /// How to speak to a cluster.
    pub(super) fn address_of(&self, cluster: &ClusterRecord, certificate: String) -> Result<ClusterAddress, Error> {
        Ok(ClusterAddress {
            url: self.target_url(&cluster.url)?.origin(),
            username: cluster.username.clone(),
            password: self
                .opened(Owner::Cluster(&cluster.id), &cluster.url, &cluster.sealed_password)?
                .unwrap_or_default(),
            certificate,
        })
    }

    fn opened(&self, owner: Owner<'_>, url: &str, sealed: &[u8]) -> Result<Option<String>, Error> {
        if sealed.is_empty() {
            return Ok(None);
        }
        let context = owner.context(&self.target_url(url)?);
        let opened = self.secrets.open_sealed(&context, sealed);
        opened.map(Some).map_err(|error| Error::Internal(error.to_string()))
    }
}

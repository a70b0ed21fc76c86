//! Where runs get their targets from.

use std::sync::Arc;

use async_trait::async_trait;
use steward_proto::artifact::v1::RepositoryType;
use steward_proto::replication::v1::Config;

use super::reach::{Peer, Reach};
use super::target::{ClusterAddress, Target, TargetError, TargetFactory};

/// Makes the targets of tasks.
#[async_trait]
pub(super) trait Targets: Send + Sync {
    /// The target of a task: `password` is that of its registry, `cluster` where its Steward is; `kind` is what the
    /// repository holds that is copied. Nothing is asked of the target yet.
    async fn target(
        &self,
        config: &Config,
        password: Option<String>,
        cluster: Option<ClusterAddress>,
        kind: RepositoryType,
    ) -> Result<Arc<dyn Target>, TargetError>;
}

#[async_trait]
impl Targets for TargetFactory {
    async fn target(
        &self,
        config: &Config,
        password: Option<String>,
        cluster: Option<ClusterAddress>,
        kind: RepositoryType,
    ) -> Result<Arc<dyn Target>, TargetError> {
        TargetFactory::target(self, config, password, cluster, kind).await
    }
}

#[async_trait]
impl Reach for TargetFactory {
    async fn reach(&self, peer: Peer, url: &str, certificate: &str) -> Result<(), TargetError> {
        match peer {
            Peer::Registry => TargetFactory::reach(self, url, certificate).await,
            Peer::Steward => {
                let (url, certificate) = (url.to_owned(), certificate.to_owned());
                let address = ClusterAddress { url, certificate, ..ClusterAddress::default() };
                match self.reach_cluster(&address).await {
                    // It answers; whom it lets in is another question.
                    Err(TargetError::Denied(_)) => Ok(()),
                    answered => answered,
                }
            }
        }
    }
}

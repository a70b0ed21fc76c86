//! Where runs get their targets from.

use std::sync::Arc;

use async_trait::async_trait;
use steward_proto::replication::v1::Config;

use super::target::{Target, TargetError};

/// Makes the targets of tasks.
#[async_trait]
pub(super) trait Targets: Send + Sync {
    /// The target of a task, with the password of its registry. Nothing is asked of it yet.
    async fn target(&self, config: &Config, password: Option<String>) -> Result<Arc<dyn Target>, TargetError>;
}

/// Has none.
pub(super) struct NoTargets;

#[async_trait]
impl Targets for NoTargets {
    async fn target(&self, _config: &Config, _password: Option<String>) -> Result<Arc<dyn Target>, TargetError> {
        Err(TargetError::Refused("this server has no targets".to_owned()))
    }
}

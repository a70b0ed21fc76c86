//! Snapshot policies: when to make snapshots, and which of them to keep.

use steward_proto::store::v1::SnapshotPolicyRecord;

use super::error::Error;
use super::keys;
use super::tx::Tx;

impl Tx<'_> {
    /// The record of a policy.
    pub(super) async fn policy(&mut self, name: &str) -> Result<Option<SnapshotPolicyRecord>, Error> {
        self.get(&keys::policy(name)).await
    }

    /// Makes a volume one of those that follow a policy.
    pub(super) async fn join_policy(&mut self, name: &str, volume: u64) -> Result<(), Error> {
        let policy = self.policy(name).await?.ok_or_else(|| Error::NotFound(format!("policy {name:?}")))?;
        // Written as it is: whoever removes the policy at this moment has to look at who follows it again.
        self.put(keys::policy(name), &policy);
        self.put_bytes(keys::policy_member(name, volume), Vec::new());
        Ok(())
    }
}

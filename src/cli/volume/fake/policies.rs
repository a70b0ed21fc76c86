//! Policies and quotas.

use steward_proto::volume::v1 as pb;
use steward_proto::volume::v1::policy_service_server::PolicyService;
use tonic::{Request, Response};

use super::{Service, not_found};
use crate::cli::testing::Answer;

#[tonic::async_trait]
impl PolicyService for Service {
    async fn set_snapshot_policy(
        &self,
        request: Request<pb::SetSnapshotPolicyRequest>,
    ) -> Answer<pb::SetSnapshotPolicyResponse> {
        let request = request.into_inner();
        let policy = request.policy.clone().unwrap();
        self.take(&request, |state| state.policies.insert(policy.name.clone(), policy.clone()));
        Ok(Response::new(pb::SetSnapshotPolicyResponse { policy: Some(policy) }))
    }

    async fn get_snapshot_policy(
        &self,
        request: Request<pb::GetSnapshotPolicyRequest>,
    ) -> Answer<pb::GetSnapshotPolicyResponse> {
        let request = request.into_inner();
        let policy = self.take(&request, |state| state.policies.get(&request.name).cloned());
        Ok(Response::new(pb::GetSnapshotPolicyResponse { policy: Some(policy.ok_or_else(not_found)?) }))
    }

    async fn list_snapshot_policies(
        &self,
        request: Request<pb::ListSnapshotPoliciesRequest>,
    ) -> Answer<pb::ListSnapshotPoliciesResponse> {
        let policies = self.take(&request.into_inner(), |state| state.policies.values().cloned().collect());
        Ok(Response::new(pb::ListSnapshotPoliciesResponse { policies, ..Default::default() }))
    }

    async fn delete_snapshot_policy(
        &self,
        request: Request<pb::DeleteSnapshotPolicyRequest>,
    ) -> Answer<pb::DeleteSnapshotPolicyResponse> {
        let request = request.into_inner();
        self.take(&request, |state| state.policies.remove(&request.name));
        Ok(Response::new(pb::DeleteSnapshotPolicyResponse {}))
    }

    async fn set_quota(&self, request: Request<pb::SetQuotaRequest>) -> Answer<pb::SetQuotaResponse> {
        let request = request.into_inner();
        self.take(&request, |_| ());
        Ok(Response::new(pb::SetQuotaResponse { quota: request.quota }))
    }

    async fn get_usage(&self, request: Request<pb::GetUsageRequest>) -> Answer<pb::GetUsageResponse> {
        let usages = self.take(&request.into_inner(), |state| state.usages.clone());
        Ok(Response::new(pb::GetUsageResponse { usages, free_bytes: 1 << 30 }))
    }
}

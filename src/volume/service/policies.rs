//! `PolicyService`.

use steward_proto::store::v1::{SnapshotPolicyRecord, VolumeUserRecord};
use steward_proto::volume::v1 as api;
use steward_proto::volume::v1::policy_service_server::PolicyService;
use tonic::{Request, Response, Status};

use super::{VolumeServer, answer, fields};
use crate::auth::rights::Right;
use crate::error::Failure;
use crate::fields::Fields;
use crate::volume::convert::when;
use crate::volume::namespace::User;
use crate::volume::policies::SetPolicy;
use crate::volume::retention::Retention;
use crate::volume::usage::{Quota, UserUsage};

/// The most snapshots that one rule keeps.
const MAX_KEPT: u32 = 10_000;

impl VolumeServer {
    async fn handle_set_policy(
        &self,
        request: Request<api::SetSnapshotPolicyRequest>,
    ) -> Result<api::SetSnapshotPolicyResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let mut fields = Fields::default();
        let what = fields.policy(request.into_inner().policy.unwrap_or_default());
        fields.check()?;
        asker.require_all(Right::Admin)?;
        let record = self.catalog.set_policy(&asker.user, &what).await?;
        Ok(api::SetSnapshotPolicyResponse { policy: Some(policy(record)) })
    }

    async fn handle_get_policy(
        &self,
        request: Request<api::GetSnapshotPolicyRequest>,
    ) -> Result<api::GetSnapshotPolicyResponse, Failure> {
        self.asker(&request, &request.get_ref().user)?.require_all(Right::Read)?;
        let name = policy_name(request.into_inner().name)?;
        let record = self.catalog.get_policy(&name).await?;
        Ok(api::GetSnapshotPolicyResponse { policy: Some(policy(record)) })
    }

    async fn handle_list_policies(
        &self,
        request: Request<api::ListSnapshotPoliciesRequest>,
    ) -> Result<api::ListSnapshotPoliciesResponse, Failure> {
        self.asker(&request, &request.get_ref().user)?.require_all(Right::Read)?;
        let request = request.into_inner();
        let mut fields = Fields::default();
        let after = fields.volume_page_token(&request.page_token);
        fields.check()?;
        let size = Fields::volume_page_size(request.page_size);
        let all = self.catalog.list_policies().await?;
        let total_size = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let mut rest = all.into_iter().filter(|record| after.as_ref().is_none_or(|after| record.name > *after));
        let policies: Vec<_> = rest.by_ref().take(size).map(policy).collect();
        let has_more = rest.next().is_some();
        let last = policies.last().filter(|_| has_more);
        let next_page_token = last.map_or_else(String::new, |last| fields::page_token(&last.name));
        Ok(api::ListSnapshotPoliciesResponse { policies, next_page_token, total_size })
    }

    async fn handle_delete_policy(
        &self,
        request: Request<api::DeleteSnapshotPolicyRequest>,
    ) -> Result<api::DeleteSnapshotPolicyResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let name = policy_name(request.into_inner().name)?;
        asker.require_all(Right::Admin)?;
        self.catalog.delete_policy(&asker.user, &name).await?;
        Ok(api::DeleteSnapshotPolicyResponse {})
    }

    async fn handle_set_quota(&self, request: Request<api::SetQuotaRequest>) -> Result<api::SetQuotaResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let asked = request.into_inner().quota.unwrap_or_default();
        fields::user_name("quota.user", &asked.user)?;
        let wanted =
            Quota { max_bytes: asked.max_bytes, max_volumes: asked.max_volumes, max_snapshots: asked.max_snapshots };
        asker.require_all(Right::Admin)?;
        let record = self.catalog.set_quota(&asker.user, &asked.user, wanted).await?;
        Ok(api::SetQuotaResponse { quota: Some(quota(&record)) })
    }

    async fn handle_usage(&self, request: Request<api::GetUsageRequest>) -> Result<api::GetUsageResponse, Failure> {
        let asker = self.asker(&request, &request.get_ref().user)?;
        let of_user = request.into_inner().of_user;
        if !of_user.is_empty() {
            fields::user_name("of_user", &of_user)?;
        }
        let of_user = (!of_user.is_empty()).then_some(of_user.as_str());
        // What somebody has is told to whoever may act as that, and not because of a right for some volume.
        let is_of_another = of_user.is_some_and(|of_user| of_user != asker.user.0);
        if asker.user.is_root() || is_of_another || !asker.reach.is_owner(Right::Read) {
            asker.require_all(Right::Read)?;
        }
        let (usages, free_bytes) = self.catalog.usage(&asker.user, of_user).await?;
        Ok(api::GetUsageResponse { usages: usages.into_iter().map(usage).collect(), free_bytes })
    }
}

impl Fields {
    fn policy(&mut self, policy: api::SnapshotPolicy) -> SetPolicy {
        self.policy_name("policy.name", &policy.name);
        if !policy.owner.is_empty() {
            self.volume_user("policy.owner", &policy.owner);
        }
        let keep = policy.retention.unwrap_or_default();
        let rules = [keep.last, keep.hourly, keep.daily, keep.weekly, keep.monthly];
        if rules.into_iter().any(|rule| rule > MAX_KEPT) {
            self.reject("policy.retention", format!("keeps more than {MAX_KEPT} by one rule"));
        }
        let [last, hourly, daily, weekly, monthly] = rules;
        SetPolicy {
            name: policy.name,
            owner: (!policy.owner.is_empty()).then_some(User(policy.owner)),
            schedule: policy.schedule,
            time_zone: policy.time_zone,
            retention: Retention { last, hourly, daily, weekly, monthly },
            paused: policy.paused,
        }
    }
}

fn policy_name(name: String) -> Result<String, Failure> {
    let mut fields = Fields::default();
    fields.policy_name("name", &name);
    fields.check()?;
    Ok(name)
}

fn policy(record: SnapshotPolicyRecord) -> api::SnapshotPolicy {
    let Retention { last, hourly, daily, weekly, monthly } = Retention::of(&record);
    api::SnapshotPolicy {
        name: record.name,
        owner: record.owner,
        schedule: record.schedule,
        time_zone: record.time_zone,
        retention: Some(api::Retention { last, hourly, daily, weekly, monthly }),
        paused: record.paused,
        next_time: when(record.next_us),
        last_time: when(record.last_us),
        last_error: record.last_error,
    }
}

fn quota(record: &VolumeUserRecord) -> api::Quota {
    api::Quota {
        user: record.user.clone(),
        max_bytes: record.max_bytes,
        max_volumes: record.max_volumes,
        max_snapshots: record.max_snapshots,
    }
}

fn usage(usage: UserUsage) -> api::Usage {
    let UserUsage { record, space } = usage;
    api::Usage {
        quota: Some(quota(&record)),
        user: record.user,
        logical_bytes: record.logical_bytes,
        volumes: record.volumes,
        snapshots: record.snapshots,
        used_bytes: space.used_bytes(),
        unique_bytes: space.unique_bytes,
        shared_bytes: space.shared_bytes,
    }
}

#[tonic::async_trait]
impl PolicyService for VolumeServer {
    async fn set_snapshot_policy(
        &self,
        request: Request<api::SetSnapshotPolicyRequest>,
    ) -> Result<Response<api::SetSnapshotPolicyResponse>, Status> {
        answer(self.handle_set_policy(request).await)
    }

    async fn get_snapshot_policy(
        &self,
        request: Request<api::GetSnapshotPolicyRequest>,
    ) -> Result<Response<api::GetSnapshotPolicyResponse>, Status> {
        answer(self.handle_get_policy(request).await)
    }

    async fn list_snapshot_policies(
        &self,
        request: Request<api::ListSnapshotPoliciesRequest>,
    ) -> Result<Response<api::ListSnapshotPoliciesResponse>, Status> {
        answer(self.handle_list_policies(request).await)
    }

    async fn delete_snapshot_policy(
        &self,
        request: Request<api::DeleteSnapshotPolicyRequest>,
    ) -> Result<Response<api::DeleteSnapshotPolicyResponse>, Status> {
        answer(self.handle_delete_policy(request).await)
    }

    async fn set_quota(
        &self,
        request: Request<api::SetQuotaRequest>,
    ) -> Result<Response<api::SetQuotaResponse>, Status> {
        answer(self.handle_set_quota(request).await)
    }

    async fn get_usage(
        &self,
        request: Request<api::GetUsageRequest>,
    ) -> Result<Response<api::GetUsageResponse>, Status> {
        answer(self.handle_usage(request).await)
    }
}

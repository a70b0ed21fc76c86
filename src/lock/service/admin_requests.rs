//! The calls about leases, and those for operators.

use prost::Message as _;
use steward_proto::lock::v1 as api;

use super::LockServer;
use super::convert;
use super::page::{self, MAX_TOTAL};
use super::validate::{LIFETIME, TTL, cut};
use crate::auth::Grants;
use crate::auth::rights::{Area, Right};
use crate::error::{Category, Failure};
use crate::fields::Fields;
use crate::lock::admin::Act;
use crate::lock::error::Error;
use crate::lock::leases::NewLease;
use crate::lock::locks::lease_expired;
use crate::lock::model::{LeaseId, LockKey};
use crate::store::{self, Table};

/// The longest owner of a lease, in bytes.
const MAX_OWNER_BYTES: usize = 1024;
/// The longest reason of an operator, in bytes.
const MAX_REASON_BYTES: usize = 512;
/// The longest name of an operator, in bytes.
const MAX_ACTOR_BYTES: usize = 256;
/// The locks that are shown of a lease.
const MAX_LEASE_LOCKS: usize = 1000;

impl LockServer {
    pub(super) async fn handle_create_lease(
        &self,
        request: api::CreateLeaseRequest,
        grants: &Grants,
    ) -> Result<api::CreateLeaseResponse, Failure> {
        let mut fields = Fields::default();
        if request.ttl.is_none() {
            fields.reject("ttl", "is required");
        }
        let ttl = fields.duration("ttl", request.ttl, TTL).unwrap_or_default();
        let max_lifetime = fields.duration("max_lifetime", request.max_lifetime, LIFETIME);
        fields.text("owner", &request.owner, MAX_OWNER_BYTES);
        fields.check()?;
        // One of nobody would be nobody's to extend and to revoke.
        let owner = Some(request.owner).filter(|owner| !owner.is_empty());
        let owner = owner.or_else(|| grants.caller().user.clone()).unwrap_or_default();
        if !grants.allow_owner(Area::Lock, Right::Write, &owner) {
            return Err(grants.refusal(Area::Lock, Right::Write, "", &owner));
        }
        let (id, lease) = self.locks.create_lease(&NewLease { owner, ttl, max_lifetime }).await?;
        Ok(api::CreateLeaseResponse { lease: Some(convert::lease(id, &lease)) })
    }

    pub(super) async fn handle_get_lease(
        &self,
        request: api::GetLeaseRequest,
        grants: &Grants,
    ) -> Result<api::GetLeaseResponse, Failure> {
        let id = required_lease_id(&request.lease_id)?;
        self.require_lease(id, Right::Read, grants).await?;
        let (lease, locks) = self.locks.lease(id, MAX_LEASE_LOCKS).await?;
        let may_see = |key: &&LockKey| grants.allow(Area::Lock, Right::Read, &key.access_resource());
        Ok(api::GetLeaseResponse {
            lease: Some(convert::lease(id, &lease)),
            keys: locks.iter().filter(may_see).map(api::LockKey::from).collect(),
        })
    }

    /// Whether a lease is one that the caller may do something with: one of somebody as whom it may act. What is done
    /// to a lease is done to all that is tied to it, so to change it takes the right to write to each of these locks.
    pub(super) async fn is_for(&self, id: LeaseId, right: Right, grants: &Grants) -> Result<bool, Failure> {
        match self.require_lease(id, right, grants).await {
            Ok(()) => Ok(true),
            Err(failure) if matches!(failure.category(), Category::NotFound | Category::PermissionDenied) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// The same, with the answer for the caller: as for a lease that is not there when it is somebody else's.
    pub(super) async fn require_lease(&self, id: LeaseId, right: Right, grants: &Grants) -> Result<(), Failure> {
        if grants.are_everything() {
            return Ok(());
        }
        let (lease, _) = self.locks.lease(id, 0).await?;
        if !grants.allow_owner(Area::Lock, right, &lease.owner) {
            return Err(lease_expired(id).into());
        }
        if right == Right::Read || grants.allow(Area::Lock, Right::Admin, "") {
            return Ok(());
        }
        let may_change = |key: &LockKey| grants.allow(Area::Lock, right, &key.access_resource());
        if self.locks.is_true_of_lease(id, may_change).await? {
            return Ok(());
        }
        let why = "the lease has locks that may not be changed";
        Err(grants.refusal(Area::Lock, right, "", "").because(why))
    }

    pub(super) async fn handle_list_leases(
        &self,
        request: api::ListLeasesRequest,
        grants: &Grants,
    ) -> Result<api::ListLeasesResponse, Failure> {
        let mut fields = Fields::default();
        let page = fields.page(request.page_size, &request.page_token, Table::Lease);
        let owner = fields.optional_name("owner", request.owner);
        fields.check()?;
        let is_wanted = |lease: &crate::lock::lease::Lease| {
            owner.as_ref().is_none_or(|owner| *owner == lease.owner)
                && grants.allow_owner(Area::Lock, Right::Read, &lease.owner)
        };
        let (leases, next) = self.locks.leases(page.after.as_ref(), page.size, is_wanted).await?;
        let total = match (&page.after, &next) {
            (Some(_), _) => 0,
            (None, None) => leases.len(),
            (None, Some(_)) => self.locks.leases(None, MAX_TOTAL, is_wanted).await?.0.len(),
        };
        Ok(api::ListLeasesResponse {
            leases: leases.iter().map(|(id, lease)| convert::lease(*id, lease)).collect(),
            next_page_token: next.map(|last| page::token(&last)).unwrap_or_default(),
            total_size: page::total(total),
        })
    }

    pub(super) async fn handle_revoke_lease(
        &self,
        request: api::RevokeLeaseRequest,
        grants: &Grants,
    ) -> Result<api::RevokeLeaseResponse, Failure> {
        let id = required_lease_id(&request.lease_id)?;
        self.require_lease(id, Right::Write, grants).await?;
        let released = self.locks.revoke_lease(id).await?;
        Ok(api::RevokeLeaseResponse { released_count: i32::try_from(released).unwrap_or(i32::MAX) })
    }

    pub(super) async fn handle_force_release(
        &self,
        request: api::ForceReleaseRequest,
        request_id: String,
        grants: &Grants,
    ) -> Result<api::ForceReleaseResponse, Failure> {
        let mut fields = Fields::default();
        let key = fields.key(request.key);
        let owner = fields.optional_name("owner", request.owner);
        let act = fields.act(request.actor, request.reason, request_id, grants);
        fields.check()?;
        let released = self.locks.force_release(&key, owner.as_deref(), &act).await?;
        tracing::warn!(%key, actor = %act.actor, reason = %act.reason, count = released.count, "lock force-released");
        Ok(api::ForceReleaseResponse {
            released_count: i32::try_from(released.count).unwrap_or(i32::MAX),
            next_owner: released.next_owner.unwrap_or_default(),
        })
    }

    pub(super) async fn handle_delete_completion(
        &self,
        request: api::DeleteCompletionRequest,
        request_id: String,
        grants: &Grants,
    ) -> Result<api::DeleteCompletionResponse, Failure> {
        let mut fields = Fields::default();
        let key = fields.key(request.key);
        let act = fields.act(request.actor, request.reason, request_id, grants);
        fields.check()?;
        let completion = self.locks.delete_completion(&key, &act).await?;
        Ok(api::DeleteCompletionResponse { completion: Some(convert::completion(&key, &completion)) })
    }

    pub(super) async fn handle_list_audit_records(
        &self,
        request: api::ListAuditRecordsRequest,
    ) -> Result<api::ListAuditRecordsResponse, Failure> {
        let mut fields = Fields::default();
        let page = fields.page(request.page_size, &request.page_token, Table::LockAudit);
        fields.check()?;
        let kept = self.locks.audit_page(page.after.as_ref(), page.size).await?;
        let mut records = Vec::new();
        for (key, record) in &kept.records {
            let record = api::AuditRecord::decode(record.value.clone())
                .map_err(|error| store::Error::Damaged { key: key.to_string(), reason: error.to_string() })?;
            records.push(record);
        }
        let total = match (&page.after, kept.has_more) {
            (Some(_), _) => 0,
            (None, false) => records.len(),
            (None, true) => self.locks.audit_page(None, MAX_TOTAL).await?.records.len(),
        };
        let last = kept.records.last().filter(|_| kept.has_more).map(|(key, _)| page::token(key));
        Ok(api::ListAuditRecordsResponse {
            records,
            next_page_token: last.unwrap_or_default(),
            total_size: page::total(total),
        })
    }
}

impl Fields {
    fn act(&mut self, actor: String, reason: String, request_id: String, grants: &Grants) -> Act {
        self.required_text("reason", &reason, MAX_REASON_BYTES);
        self.text("actor", &actor, MAX_ACTOR_BYTES);
        Act { actor: actor_of(grants.caller().user.as_deref(), actor), reason, request_id }
    }
}

/// Who steps in: the user who has signed in, whatever it says to be called, which follows as far as there is room.
fn actor_of(user: Option<&str>, said: String) -> String {
    match user {
        None => said,
        Some(user) if said.is_empty() || said == user => user.to_owned(),
        Some(user) => cut(format!("{user} ({said})"), MAX_ACTOR_BYTES),
    }
}

fn required_lease_id(id: &str) -> Result<LeaseId, Failure> {
    let mut fields = Fields::default();
    let Some(lease) = fields.lease_id(id) else {
        if id.is_empty() {
            fields.reject("lease_id", "is required");
        }
        fields.check()?;
        return Err(Failure::from(Error::LeaseExpired { lease_id: id.to_owned() }));
    };
    Ok(lease)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_signed_in_is_named_before_what_is_said() {
        for (user, said, actor) in [
            (None, "alice", "alice"),
            (Some("bob"), "", "bob"),
            (Some("bob"), "bob", "bob"),
            (Some("bob"), "alice", "bob (alice)"),
        ] {
            assert_eq!(actor_of(user, said.to_owned()), actor);
        }
        let long = "u".repeat(255);
        assert!(actor_of(Some(&long), "alice".to_owned()).starts_with(&long));
        assert!(actor_of(Some("bob"), "é".repeat(128)).len() <= MAX_ACTOR_BYTES);
    }
}

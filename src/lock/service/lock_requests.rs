//! The calls that take, hold, give back and look at locks.

use steward_proto::lock::v1 as api;

use super::LockServer;
use super::convert::{self, Secrets, revision};
use super::page::{self, MAX_TOTAL};
use super::validate::{LIFETIME, TTL, WAIT, cut_error};
use crate::auth::Grants;
use crate::auth::rights::{Area, Right};
use crate::error::Failure;
use crate::fields::Fields;
use crate::lock::acquire::{Acquire, OnCompleted, Policy};
use crate::lock::keys;
use crate::lock::model::{Lifetime, LockKey, Mode, Outcome, Token};
use crate::lock::query::Filter;
use crate::lock::release::{Cancelled, HolderRef, Release};
use crate::lock::renew::Renew;
use crate::lock::wait::Waited;
use crate::store::Table;

impl LockServer {
    pub(super) async fn handle_acquire(
        &self,
        request: api::AcquireRequest,
        grants: &Grants,
    ) -> Result<api::AcquireResponse, Failure> {
        let mut fields = Fields::default();
        let policy: api::WaitPolicy = fields.known("policy", request.policy);
        let wait_timeout = fields.duration("wait_timeout", request.wait_timeout, WAIT);
        if wait_timeout.is_some() && policy != api::WaitPolicy::Block {
            fields.reject("wait_timeout", "is only for the policy block");
        }
        let command = self.acquire_command(request, policy, &mut fields);
        fields.check()?;
        if let Some(lease) = command.lifetime.lease {
            self.require_lease(lease, Right::Write, grants).await?;
        }
        if policy != api::WaitPolicy::Block {
            let (acquired, at) = self.locks.acquire_now(&command).await?;
            return Ok(convert::acquired(&command.key, &acquired, at));
        }
        let key = command.key.clone();
        let (waited, at) = self.locks.acquire_waiting(command, wait_timeout, &self.around).await?;
        Ok(match waited {
            Waited::Answered(acquired) => convert::acquired(&key, &acquired, at),
            Waited::TimedOut => api::AcquireResponse {
                status: api::AcquireStatus::TimedOut.into(),
                revision: revision(at),
                ..api::AcquireResponse::default()
            },
        })
    }

    fn acquire_command(&self, request: api::AcquireRequest, policy: api::WaitPolicy, fields: &mut Fields) -> Acquire {
        let lock_mode = fields.known("mode", request.mode);
        let (mode, capacity) = fields.mode(lock_mode, request.capacity, request.permits);
        let completion_policy: api::CompletionPolicy = fields.known("completion_policy", request.completion_policy);
        fields.name("owner", &request.owner);
        let lease = fields.lease_id(&request.lease_id);
        let ttl = fields.duration("ttl", request.ttl, TTL);
        if lease.is_some() && ttl.is_some() {
            fields.reject("ttl", "does not go with a lease");
        }
        Acquire {
            key: fields.key(request.key),
            owner: request.owner,
            mode,
            capacity,
            policy: match policy {
                api::WaitPolicy::Unspecified | api::WaitPolicy::Try => Policy::Try,
                api::WaitPolicy::Enqueue | api::WaitPolicy::Block => Policy::Enqueue,
            },
            lifetime: Lifetime {
                ttl: ttl.or(self.locks.settings.default_ttl.filter(|_| lease.is_none())),
                max: fields.duration("max_lifetime", request.max_lifetime, LIFETIME),
                lease,
            },
            on_completed: match completion_policy {
                api::CompletionPolicy::Unspecified | api::CompletionPolicy::Skip => OnCompleted::Skip,
                api::CompletionPolicy::Ignore => OnCompleted::Ignore,
            },
            request_id: fields.request_id(request.request_id),
        }
    }

    pub(super) async fn handle_release(&self, request: api::ReleaseRequest) -> Result<api::ReleaseResponse, Failure> {
        let mut fields = Fields::default();
        let outcome: api::Outcome = fields.known("outcome", request.outcome);
        let holder = match request.holder {
            Some(api::release_request::Holder::GrantId(id)) => HolderRef::Grant(fields.grant_id(&id)),
            Some(api::release_request::Holder::Owner(owner)) => {
                fields.name("owner", &owner);
                HolderRef::Owner(owner)
            }
            None => {
                fields.reject("holder", "either grant_id or owner is required");
                HolderRef::Owner(String::new())
            }
        };
        let command = Release {
            key: fields.key(request.key),
            holder,
            outcome: match outcome {
                api::Outcome::Succeeded => Outcome::Succeeded,
                api::Outcome::Failed => Outcome::Failed,
                api::Outcome::Unspecified | api::Outcome::Released => Outcome::Released,
            },
            error: cut_error(request.error),
            request_id: fields.request_id(request.request_id),
        };
        fields.check()?;
        let (released, at) = self.locks.release(&command).await?;
        Ok(api::ReleaseResponse {
            next_owner: released.next_owner.unwrap_or_default(),
            completion: released.completion.as_ref().map(|done| convert::completion(&command.key, done)),
            revision: revision(at),
        })
    }

    pub(super) async fn handle_renew(&self, request: api::RenewRequest) -> Result<api::RenewResponse, Failure> {
        let mut fields = Fields::default();
        let command = Renew {
            key: fields.key(request.key),
            grant: fields.grant_id(&request.grant_id),
            ttl: fields.duration("ttl", request.ttl, TTL),
        };
        fields.check()?;
        let (grant, at) = self.locks.renew(&command).await?;
        Ok(api::RenewResponse {
            grant: Some(convert::grant(&command.key, &grant, Secrets::Shown)),
            revision: revision(at),
        })
    }

    pub(super) async fn handle_cancel_wait(
        &self,
        request: api::CancelWaitRequest,
    ) -> Result<api::CancelWaitResponse, Failure> {
        let mut fields = Fields::default();
        let key = fields.key(request.key);
        fields.name("owner", &request.owner);
        fields.check()?;
        let (cancelled, at) = self.locks.cancel_wait(&key, &request.owner).await?;
        Ok(api::CancelWaitResponse {
            is_cancelled: cancelled == Cancelled::Yes,
            is_holder: cancelled == Cancelled::IsHolder,
            revision: revision(at),
        })
    }

    pub(super) async fn handle_get(
        &self,
        request: api::GetRequest,
        grants: &Grants,
    ) -> Result<api::GetResponse, Failure> {
        let mut fields = Fields::default();
        let key = fields.key(request.key);
        let claimant = fields.optional_name("claim_as", request.claim_as);
        fields.check()?;
        if let Some(claimant) = &claimant {
            // To claim is to change something.
            grants.require_as(Area::Lock, Right::Write, &key.access_resource(), claimant)?;
        }
        let mut view = self.locks.view(&key).await?;
        let assigned = view.holders.iter().find(|grant| grant.is_unclaimed && claimant.as_ref() == Some(&grant.owner));
        if let Some(grant) = assigned {
            grants.note_change()?;
            self.claim(&key, grant.owner.clone(), grant.mode, view.head.capacity).await?;
            view = self.locks.view(&key).await?;
        }
        Ok(api::GetResponse { lock: Some(convert::lock(&view)) })
    }

    /// Claims what an owner was handed, as its next request for the lock would.
    async fn claim(&self, key: &LockKey, owner: String, mode: Mode, capacity: u32) -> Result<(), Failure> {
        let command = Acquire {
            key: key.clone(),
            owner,
            mode,
            capacity,
            policy: Policy::Try,
            lifetime: Lifetime::default(),
            on_completed: OnCompleted::Skip,
            request_id: String::new(),
        };
        // Whether it came too late is seen in the view that follows.
        self.locks.acquire_now(&command).await?;
        Ok(())
    }

    pub(super) async fn handle_list(
        &self,
        request: api::ListRequest,
        grants: Grants,
    ) -> Result<api::ListResponse, Failure> {
        let mut fields = Fields::default();
        let page = fields.page(request.page_size, &request.page_token, Table::Lock);
        let filter = Filter {
            grants,
            lock_type: fields.optional_name("type", request.r#type),
            resource_id_prefix: fields
                .optional_name("resource_id_prefix", request.resource_id_prefix)
                .unwrap_or_default(),
            owner: fields.optional_name("owner", request.owner),
            held_only: request.held_only,
        };
        fields.type_for_prefix(&filter);
        fields.check()?;
        let (views, has_more) = self.locks.list(&filter, page.after.as_ref(), page.size).await?;
        let total = match (&page.after, has_more) {
            (Some(_), _) => 0,
            (None, false) => views.len(),
            (None, true) => self.locks.count(&filter, MAX_TOTAL).await?,
        };
        let last = views.last().filter(|_| has_more).map(|view| page::token(&keys::head(&view.key)));
        Ok(api::ListResponse {
            locks: views.iter().map(convert::lock).collect(),
            next_page_token: last.unwrap_or_default(),
            total_size: page::total(total),
        })
    }

    pub(super) async fn handle_check_fencing_token(
        &self,
        request: api::CheckFencingTokenRequest,
    ) -> Result<api::CheckFencingTokenResponse, Failure> {
        let mut fields = Fields::default();
        let key = fields.key(request.key);
        if request.fencing_token <= 0 {
            fields.reject("fencing_token", "is not a token that was ever given out");
        }
        fields.check()?;
        let (newest, is_alive) = self.locks.newest_token(&key).await?;
        Ok(api::CheckFencingTokenResponse {
            is_current: is_alive && newest == Some(Token::Is(request.fencing_token)),
            newest_fencing_token: newest.map_or(0, convert::token),
        })
    }
}

impl Fields {
    pub(super) fn type_for_prefix(&mut self, filter: &Filter) {
        if filter.lock_type.is_none() && !filter.resource_id_prefix.is_empty() {
            self.reject("resource_id_prefix", "needs a type");
        }
    }
}

//! What operators may do to a lock, each act with a record of it in the same transaction.

use prost::Message as _;
use steward_proto::lock::v1 as api;

use super::error::Error;
use super::event::{Event, Kind};
use super::keys;
use super::load::{Loaded, Who};
use super::locks::{Effect, Locks, random};
use super::model::{Completion, Grant, LockKey, Shown, Token};
use super::records;
use super::state::{Context, LockState};
use crate::clock::Timestamp;
use crate::store::{Key, KeyRange, Page, Revision, Step, Table};

/// Holders that one commit takes a lock from.
const BATCH: usize = 12;
/// The most bytes of owner names in one audit record: with the other texts it has to fit into a record.
const AUDITED_NAMES_BYTES: usize = 768;

/// Who does it, and why.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) actor: String,
    pub(crate) reason: String,
    /// The request, for the audit log.
    pub(crate) request_id: String,
}

/// What taking a lock away came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ForceReleased {
    pub(crate) count: u32,
    pub(crate) next_owner: Option<String>,
}

/// Takes a lock from holders that were loaded.
fn force_release(state: &mut LockState, holders: &[Grant], reason: &str, cx: &mut Context<'_>) -> Option<String> {
    for grant in holders {
        state.end_grant(grant);
        let mut event = Event::of_grant(Kind::ForceReleased, grant, cx.now);
        reason.clone_into(&mut event.error);
        state.emit(event);
    }
    state.serve_queue(cx);
    state.assigned().map(str::to_owned)
}

impl Locks {
    /// Takes a lock from one holder, or from all that held it when this was asked.
    pub(crate) async fn force_release(
        &self,
        key: &LockKey,
        owner: Option<&str>,
        act: &Act,
    ) -> Result<ForceReleased, Error> {
        // Who is served from here on is not meant: its token is the revision of a later commit.
        let began = self.store.revision();
        let mut total = ForceReleased::default();
        loop {
            let ((count, next_owner), _) = self.run(key, || self.try_force_release(key, owner, began, act)).await?;
            total.count += count;
            total.next_owner = total.next_owner.or(next_owner);
            if count == 0 && total.count == 0 {
                return Err(Error::NotFound(match owner {
                    Some(owner) => format!("lock {key} is not held by \"{}\"", Shown(owner)),
                    None => format!("lock {key} is not held by anybody"),
                }));
            }
            if (count as usize) < BATCH {
                return Ok(total);
            }
        }
    }

    async fn try_force_release(
        &self,
        key: &LockKey,
        owner: Option<&str>,
        began: Revision,
        act: &Act,
    ) -> Result<Step<((u32, Option<String>), Effect)>, Error> {
        let loaded = self.load_settled(key, owner.map_or(Who::Nobody, Who::Owner)).await?;
        let holders = self.some_holders(&loaded, owner, Token::Is(records::revision_token(began))).await?;
        if holders.is_empty() {
            return Ok(Step::Answer(((0, None), Effect::default())));
        }
        let owners: Vec<&str> = holders.iter().map(|grant| grant.owner.as_str()).collect();
        let (audit_key, audit) = audit(api::AuditAction::ForceRelease, key, act, &owners, loaded.now);
        let count = u32::try_from(holders.len()).unwrap_or(u32::MAX);
        let mut step = self.decide(loaded, |state, cx| Ok((count, force_release(state, &holders, &act.reason, cx))))?;
        if let Step::Commit(txn, _) = &mut step {
            txn.put(audit_key, audit);
        }
        Ok(step)
    }

    /// Up to a batch of holders with tokens up to `newest`.
    async fn some_holders(&self, loaded: &Loaded, owner: Option<&str>, newest: Token) -> Result<Vec<Grant>, Error> {
        let mut holders: Vec<Grant> = match owner {
            Some(owner) => loaded.state.grant_of(owner).cloned().into_iter().collect(),
            None => loaded.state.head.exclusive.iter().cloned().collect(),
        };
        holders.retain(|grant| grant.token <= newest);
        if owner.is_none() {
            let is_meant = |grant: &Grant| grant.token <= newest;
            holders.extend(self.shared_holders(&loaded.state, BATCH, is_meant).await?);
        }
        Ok(holders)
    }

    /// Forgets that the work was done.
    pub(crate) async fn delete_completion(&self, key: &LockKey, act: &Act) -> Result<Completion, Error> {
        Ok(self.run(key, || self.try_delete_completion(key, act)).await?.0)
    }

    async fn try_delete_completion(&self, key: &LockKey, act: &Act) -> Result<Step<(Completion, Effect)>, Error> {
        let loaded = self.load_settled(key, Who::Nobody).await?;
        let now = loaded.now;
        let mut step = self.decide(loaded, |state, cx| {
            state.drop_completion(cx.now).ok_or_else(|| Error::NotFound(format!("lock {key} has no completion record")))
        })?;
        if let Step::Commit(txn, (completion, _)) = &mut step {
            let (audit_key, audit) = audit(api::AuditAction::DeleteCompletion, key, act, &[&completion.owner], now);
            txn.put(audit_key, audit);
        }
        Ok(step)
    }

    /// Reads a page of what operators did, the newest first.
    pub(crate) async fn audit_page(&self, after: Option<&Key>, limit: usize) -> Result<Page, Error> {
        let mut range = KeyRange::prefix(&Key::table(Table::LockAudit));
        if let Some(after) = after {
            range = range.after(after);
        }
        let page = self.store.scan(range, limit).await?;
        self.store.settled().await?;
        Ok(page)
    }
}

fn audit(action: api::AuditAction, key: &LockKey, act: &Act, owners: &[&str], now: Timestamp) -> (Key, Vec<u8>) {
    let mut room = AUDITED_NAMES_BYTES;
    let mut named = Vec::new();
    for owner in owners {
        let Some(left) = room.checked_sub(owner.len()) else { break };
        room = left;
        named.push((*owner).to_owned());
    }
    let record = api::AuditRecord {
        action: action.into(),
        key: Some(key.into()),
        actor: act.actor.clone(),
        reason: act.reason.clone(),
        owners: named,
        event_time: Some(now.into()),
        request_id: act.request_id.clone(),
    };
    (keys::audit(now, random()), record.encode_to_vec())
}

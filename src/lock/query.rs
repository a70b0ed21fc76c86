//! Reading locks: what people and programs see of them.

use prost::Message as _;
use steward_proto::store::v1 as pb;

use super::error::Error;
use super::keys::{self, LockDigest};
use super::load::{SCAN_PAGE, Who};
use super::locks::Locks;
use super::model::{Grant, Head, LockKey, Token, Waiter};
use super::records;
use super::state::LockState;
use crate::auth::Grants;
use crate::auth::rights::{Area, Right};
use crate::clock::Timestamp;
use crate::store::{Key, KeyRange, Revision, Table};

/// The most holders and the most waiters that a view shows.
pub(crate) const MAX_SHOWN: usize = 100;

/// About the most bytes of one page: clients refuse messages over 4 MiB.
const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;
/// What a lock or a holder takes besides its names.
const VIEW_OVERHEAD_BYTES: usize = 150;

/// A lock as it is shown: nothing in it that is over.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) key: LockKey,
    pub(crate) head: Head,
    pub(crate) holders: Vec<Grant>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) revision: Revision,
}

impl View {
    /// About how large it is in an answer.
    fn bytes(&self) -> usize {
        let name = self.key.lock_type.len() + self.key.resource_id.len() + VIEW_OVERHEAD_BYTES;
        name + self.holders.iter().map(|grant| name + grant.owner.len()).sum::<usize>()
    }
}

/// Which locks are listed.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// What who asks may see.
    pub(crate) grants: Grants,
    pub(crate) lock_type: Option<String>,
    pub(crate) resource_id_prefix: String,
    pub(crate) owner: Option<String>,
    pub(crate) held_only: bool,
}

impl Filter {
    /// Of all locks.
    pub(crate) fn everything(grants: Grants) -> Self {
        Filter { grants, lock_type: None, resource_id_prefix: String::new(), owner: None, held_only: false }
    }

    /// Whether a lock of this key may be listed.
    pub(crate) fn names(&self, key: &LockKey) -> bool {
        (self.grants.are_everything() || self.grants.allow(Area::Lock, Right::Read, &key.access_resource()))
            && self.lock_type.as_ref().is_none_or(|lock_type| *lock_type == key.lock_type)
            && key.resource_id.starts_with(&self.resource_id_prefix)
    }

    /// The part of a table in which they all are.
    pub(crate) fn prefix(&self, table: Table) -> Key {
        keys::name_prefix(table, self.lock_type.as_deref(), &self.resource_id_prefix)
    }
}

impl Locks {
    /// Reads one lock with its holders and waiters.
    pub(crate) async fn view(&self, key: &LockKey) -> Result<View, Error> {
        let seen = self.store.revision();
        let loaded = self.load(key, Who::Nobody).await?;
        let revision = loaded.revision().unwrap_or(seen);
        let waiters = self.waiters(&loaded.state).await?;
        let mut view = self.shown(key.clone(), loaded.state.head, loaded.now).await?;
        view.waiters = waiters;
        view.revision = revision;
        self.store.settled().await?;
        Ok(view)
    }

    async fn shown(&self, key: LockKey, mut head: Head, now: Timestamp) -> Result<View, Error> {
        let loader = self.loader();
        if let Some(grant) = &mut head.exclusive {
            loader.ask_lease(grant).await?;
        }
        head.exclusive = head.exclusive.filter(|grant| !grant.is_expired(now));
        head.completion = head.completion.filter(|completion| completion.expires > now);
        let mut holders: Vec<Grant> = head.exclusive.iter().cloned().collect();
        if head.shared_count > 0 {
            let state = LockState::new(key.clone(), head.clone());
            let shared = self.shared_holders(&state, MAX_SHOWN, |_| true).await?;
            let is_over = |grant: &Grant| grant.is_expired(now);
            let over = u32::try_from(shared.iter().filter(|grant| is_over(grant)).count()).unwrap_or(u32::MAX);
            head.shared_count = head.shared_count.saturating_sub(over);
            holders.extend(shared.into_iter().filter(|grant| !is_over(grant)));
        }
        Ok(View { key, head, holders, waiters: Vec::new(), revision: Revision::default() })
    }

    /// The first `limit` shared or semaphore holders that are wanted.
    pub(super) async fn shared_holders(
        &self,
        state: &LockState,
        limit: usize,
        is_wanted: impl Fn(&Grant) -> bool + Send,
    ) -> Result<Vec<Grant>, Error> {
        let mut holders = Vec::new();
        if state.head.shared_count == 0 {
            return Ok(holders);
        }
        let loader = self.loader();
        let mut range = KeyRange::prefix(&keys::holders(LockDigest::of(&state.key)));
        loop {
            let page = self.store.scan(range.clone(), limit.clamp(1, SCAN_PAGE)).await?;
            for (key, record) in &page.records {
                let grant = loader.holder(key, record).await?;
                if is_wanted(&grant) {
                    holders.push(grant);
                }
                if holders.len() == limit {
                    return Ok(holders);
                }
            }
            match page.records.last() {
                Some((last, _)) if page.has_more => range = range.after(last),
                _ => return Ok(holders),
            }
            tokio::task::yield_now().await;
        }
    }

    /// The newest token of a lock, and whether the grant that has it lives and is claimed.
    pub(crate) async fn newest_token(&self, key: &LockKey) -> Result<(Option<Token>, bool), Error> {
        let loaded = self.load(key, Who::Nobody).await?;
        let (newest, now) = (loaded.state.head.last_token, loaded.now);
        let lives = |grant: &Grant| Some(grant.token) == newest && !grant.is_unclaimed && !grant.is_expired(now);
        let is_alive = loaded.state.head.exclusive.as_ref().is_some_and(lives)
            || !self.shared_holders(&loaded.state, 1, lives).await?.is_empty();
        self.store.settled().await?;
        Ok((newest, is_alive))
    }

    async fn waiters(&self, state: &LockState) -> Result<Vec<Waiter>, Error> {
        let mut waiters = Vec::new();
        if let Some(epoch) = state.head.epoch.filter(|_| state.head.waiter_count > 0) {
            let range = KeyRange::prefix(&keys::waiters(LockDigest::of(&state.key), epoch));
            for (key, record) in &self.store.scan(range, MAX_SHOWN).await?.records {
                waiters.push(records::waiter(key, record)?);
            }
        }
        Ok(waiters)
    }

    /// Reads up to `limit` locks behind `after`, in order, and whether there are more. Fewer, where they are large.
    pub(crate) async fn list(
        &self,
        filter: &Filter,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<(Vec<View>, bool), Error> {
        let (mut views, mut bytes) = (Vec::new(), 0);
        let has_more = self
            .each_lock(filter, after, |view| {
                bytes += view.bytes();
                if views.len() == limit || (bytes > MAX_PAGE_BYTES && !views.is_empty()) {
                    return false;
                }
                views.push(view);
                true
            })
            .await?;
        self.store.settled().await?;
        Ok((views, has_more))
    }

    /// Counts the locks that are listed, up to `limit`.
    pub(crate) async fn count(&self, filter: &Filter, limit: usize) -> Result<usize, Error> {
        let mut count = 0;
        self.each_lock(filter, None, |_| {
            count += 1;
            count < limit
        })
        .await?;
        Ok(count)
    }

    /// Visits locks until `visit` says that it is enough. Says whether it did.
    async fn each_lock(
        &self,
        filter: &Filter,
        after: Option<&Key>,
        mut visit: impl FnMut(View) -> bool + Send,
    ) -> Result<bool, Error> {
        let now = self.clock.now();
        let mut range = KeyRange::prefix(&filter.prefix(Table::Lock));
        if let Some(after) = after {
            range = range.after(after);
        }
        loop {
            let page = self.store.scan(range.clone(), SCAN_PAGE).await?;
            for (key, record) in &page.records {
                let (name, head) = records::head(key, record)?;
                if !filter.names(&name) {
                    continue;
                }
                let mut view = self.shown(name, head, now).await?;
                view.revision = record.revision;
                if self.is_listed(filter, &view).await? && !visit(view) {
                    return Ok(true);
                }
            }
            match page.records.last() {
                Some((last, _)) if page.has_more => range = range.after(last),
                _ => return Ok(false),
            }
            tokio::task::yield_now().await;
        }
    }

    async fn is_listed(&self, filter: &Filter, view: &View) -> Result<bool, Error> {
        let is_held = view.head.holder_count() > 0;
        if view.head.is_idle() || (filter.held_only && !is_held) {
            return Ok(false);
        }
        let Some(owner) = &filter.owner else { return Ok(true) };
        if view.holders.iter().any(|grant| grant.owner == *owner) {
            return Ok(true);
        }
        if view.head.shared_count == 0 {
            return Ok(false);
        }
        // More hold it than are shown.
        let key = keys::holder(LockDigest::of(&view.key), owner);
        let Some(record) = self.store.get(&key).await? else { return Ok(false) };
        let loader = self.loader();
        Ok(!loader.holder(&key, &record).await?.is_expired(loader.now))
    }

    /// Counts what is held and waited for, for the gauges; also checks that every head can be read.
    pub(crate) async fn count_all(&self) -> Result<(), Error> {
        let (mut held, mut waiting) = (0, 0);
        let mut range = KeyRange::prefix(&Key::table(Table::Lock));
        loop {
            let page = self.store.scan(range.clone(), SCAN_PAGE).await?;
            for (key, record) in &page.records {
                let head = pb::LockRecord::decode(record.value.clone()).map_err(|error| {
                    crate::store::Error::Damaged { key: key.to_string(), reason: error.to_string() }
                })?;
                held += u64::from(head.shared_count) + u64::from(head.exclusive.is_some());
                waiting += u64::from(head.waiter_count);
            }
            match page.records.last() {
                Some((last, _)) if page.has_more => range = range.after(last),
                _ => break,
            }
        }
        self.set_gauges(held, waiting);
        Ok(())
    }
}

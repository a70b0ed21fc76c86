//! Tokens by which programs sign in.
//!
//! All are in memory, too, so that no call has to read the store; what is committed is in memory before it is answered.

mod secret;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hashbrown::HashMap;
use parking_lot::RwLock;
use steward_proto::store::v1::TokenRecord;

use self::secret::Secret;
use super::bearer::{Bearers, Proven};
use super::changes;
use super::refusal::unauthenticated;
use super::rights::Scopes;
use crate::clock::{Clock, Timestamp};
use crate::error::{Category, Failure};
use crate::store::key::KeyBuilder;
use crate::store::tx::{Tx, decode, scan};
use crate::store::{self, Key, KeyRange, Step, Store, Table, update};

/// How many tokens there may be.
const MAX_TOKENS: usize = 100_000;
/// How many that are good one user may have. Those that have expired make room for new ones.
const MAX_TOKENS_OF_USER: usize = 1000;
/// How long a token that has expired is listed.
const LISTED_TIME: Duration = Duration::from_hours(30 * 24);
/// How many old ones are swept with each that is made.
const SWEPT: usize = 16;
/// How many are forgotten in one transaction.
const REVOKED_AT_ONCE: usize = 40;

/// All tokens.
pub struct Tokens {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// By their ids, which nobody chooses.
    known: RwLock<HashMap<String, Arc<Known>>>,
}

/// A token, ready to be checked.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) record: TokenRecord,
    scopes: Option<Arc<Scopes>>,
    /// Refused already, though the store may not have forgotten it yet.
    is_revoked: AtomicBool,
}

/// What a new token is to be.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) user: String,
    pub(super) scopes: Vec<String>,
    pub(super) ttl: Duration,
    pub(super) description: String,
    pub(super) created_by: String,
}

impl Tokens {
    /// Those in `store`.
    pub async fn open(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Result<Arc<Self>, store::Error> {
        let range = KeyRange::prefix(&Key::table(Table::Token));
        let mut known = HashMap::new();
        for (key, value) in scan(&*store, range, MAX_TOKENS).await? {
            let record: TokenRecord = decode(&key, &value)?;
            known.insert(record.id.clone(), Arc::new(Known::of(record)));
        }
        Ok(Arc::new(Tokens { store, clock, known: RwLock::new(known) }))
    }

    /// Makes a token. Returns what its user is to send, and what is kept.
    pub(super) async fn create(&self, wanted: Wanted) -> Result<(String, Arc<Known>), Failure> {
        Scopes::parse(&wanted.scopes).map_err(|problem| Failure::invalid([("scopes", problem)]))?;
        let swept = self.make_room(&wanted.user)?;
        let secret = Secret::new().map_err(|error| Failure::new(Category::Internal, "INTERNAL", error.to_string()))?;
        let now = self.clock.now();
        let record = TokenRecord {
            id: secret.id().to_owned(),
            user: wanted.user,
            description: wanted.description,
            scopes: wanted.scopes,
            secret_sha256: secret.digest().to_vec().into(),
            create_us: now.micros(),
            expire_us: now.plus(wanted.ttl).micros(),
            created_by: wanted.created_by,
        };
        update(&*self.store, format!("the token {}", record.id), || async {
            let mut tx = Tx::new(&*self.store);
            if tx.bytes(&key(&record.id)).await?.is_some() {
                return Err(store::Error::Refused("an id was drawn twice".to_owned()));
            }
            tx.put(key(&record.id), &record);
            for id in &swept {
                tx.delete(key(id));
            }
            Ok(tx.answer(()))
        })
        .await?;
        let token = Arc::new(Known::of(record));
        let mut known = self.known.write();
        known.insert(token.record.id.clone(), Arc::clone(&token));
        for id in &swept {
            known.remove(id);
        }
        Ok((secret.reveal(), token))
    }

    /// Which tokens a new one of `user` takes the places of: some that have expired so long ago that nobody wants to see
    /// them any more, and where there is no other place, some that have expired at all. Tokens that are good stay.
    fn make_room(&self, user: &str) -> Result<Vec<String>, Failure> {
        let now = self.clock.now();
        let has_expired = |token: &&Arc<Known>| token.expire_time() <= now;
        let is_old = |token: &&Arc<Known>| token.expire_time().plus(LISTED_TIME) < now;
        let known = self.known.read();
        let of_user: Vec<_> = known.values().filter(|token| token.record.user == user).collect();
        let mut swept: Vec<_> = known.values().filter(is_old).take(SWEPT).collect();
        if of_user.len() >= MAX_TOKENS_OF_USER {
            swept.extend(of_user.iter().copied().filter(has_expired).take(SWEPT));
        }
        if known.len() >= MAX_TOKENS {
            swept.extend(known.values().filter(has_expired).take(SWEPT));
        }
        let swept: HashSet<String> = swept.into_iter().map(|token| token.record.id.clone()).collect();
        let good = of_user.iter().filter(|token| !has_expired(token)).count();
        if good >= MAX_TOKENS_OF_USER || known.len() - swept.len() >= MAX_TOKENS {
            let problem = "there are too many tokens: revoke some first";
            return Err(Failure::new(Category::ResourceExhausted, "TOO_MANY_TOKENS", problem));
        }
        Ok(swept.into_iter().collect())
    }

    /// Revokes tokens. They are refused from now on, whether the store can forget them or not; an error means that they
    /// could be back after a restart, and they stay in the list so that it can be tried again.
    pub(super) async fn revoke(&self, ids: &[String]) -> Result<(), store::Error> {
        for token in ids.iter().filter_map(|id| self.find(id)) {
            token.is_revoked.store(true, Ordering::Relaxed);
        }
        changes::note();
        for ids in ids.chunks(REVOKED_AT_ONCE) {
            let forget = update(&*self.store, "the revocation of tokens", || async {
                let mut tx = Tx::new(&*self.store);
                for id in ids {
                    if tx.bytes(&key(id)).await?.is_some() {
                        tx.delete(key(id));
                    }
                }
                Ok::<Step<()>, store::Error>(tx.answer(()))
            });
            forget.await?;
            let mut known = self.known.write();
            for id in ids {
                known.remove(id);
            }
        }
        Ok(())
    }

    /// Up to `limit` tokens that are wanted, by user, the time they were made, and id, after the one of `after`.
    pub(super) fn list(
        &self,
        after: Option<&(String, u64, String)>,
        limit: usize,
        is_wanted: impl Fn(&TokenRecord) -> bool,
    ) -> Vec<Arc<Known>> {
        let mut found: std::collections::BTreeMap<(String, u64, String), Arc<Known>> = {
            let known = self.known.read();
            known
                .values()
                .filter(|token| is_wanted(&token.record))
                .map(|token| (token.place(), Arc::clone(token)))
                .collect()
        };
        if let Some(after) = after {
            found = found.split_off(after);
            found.remove(after);
        }
        found.into_values().take(limit).collect()
    }

    /// Whose token it is; `None` when it is none of this kind.
    fn look_up(&self, token: &str) -> Option<Result<Proven, Failure>> {
        let secret = Secret::parse(token)?;
        let found = self.find(secret.id());
        let is_right =
            |known: &Arc<Known>| secret.is_of(&known.record.secret_sha256) && !known.is_revoked.load(Ordering::Relaxed);
        // A token that is not known and a wrong secret are one, so that no id can be looked for.
        let Some(known) = found.filter(is_right) else { return Some(Err(unauthenticated("the token is not known"))) };
        if known.expire_time() <= self.clock.now() {
            return Some(Err(unauthenticated("the token has expired")));
        }
        let user = known.record.user.clone();
        Some(Ok(Proven { user, groups: Vec::new(), scopes: known.scopes.clone() }))
    }

    /// The token of an id.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Known>> {
        self.known.read().get(id).cloned()
    }
}

impl Known {
    fn of(record: TokenRecord) -> Self {
        // What cannot be read any more allows nothing; an empty list means everything.
        let scopes = match &record.scopes {
            scopes if scopes.is_empty() => None,
            scopes => Some(Arc::new(Scopes::parse(scopes).unwrap_or_default())),
        };
        Known { record, scopes, is_revoked: AtomicBool::new(false) }
    }

    fn expire_time(&self) -> Timestamp {
        Timestamp::from_nanos(i64::try_from(self.record.expire_us.saturating_mul(1000)).unwrap_or(i64::MAX))
    }

    /// Where it is in a list.
    pub(super) fn place(&self) -> (String, u64, String) {
        (self.record.user.clone(), self.record.create_us, self.record.id.clone())
    }
}

#[async_trait]
impl Bearers for Tokens {
    fn may_know(&self, token: &str) -> bool {
        secret::is_like_one(token)
    }

    fn recall(&self, token: &str) -> Option<Proven> {
        self.look_up(token)?.ok()
    }

    async fn check(&self, token: &str) -> Option<Result<Proven, Failure>> {
        self.look_up(token)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tokens").finish_non_exhaustive()
    }
}

fn key(id: &str) -> Key {
    KeyBuilder::new(Table::Token).text(id).build()
}

#[cfg(test)]
mod tests;

//! Tokens that were found right a short while ago.

use std::collections::HashMap;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::auth::Proven;
use crate::clock::Timestamp;

/// How long a token is believed without another look.
const LIFETIME: Duration = Duration::from_mins(1);
/// How many are remembered.
const MAX_TOKENS: usize = 10_000;

/// Remembers digests of tokens, under a key that no other process has.
pub(super) struct Cache {
    key: [u8; 32],
    /// Of which keys it knows.
    version: u64,
    proven: HashMap<[u8; 32], (Proven, Timestamp)>,
}

impl Cache {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Cache { key, version: 0, proven: HashMap::new() })
    }

    /// Whose token it is, if that was found out a short while ago with the keys of this version.
    pub(super) fn find(&self, token: &str, version: u64, now: Timestamp) -> Option<Proven> {
        if version != self.version {
            return None;
        }
        let (proven, expire_time) = self.proven.get(&self.digest(token))?;
        (now < *expire_time).then(|| proven.clone())
    }

    /// Remembers whose token it is, not beyond its end.
    pub(super) fn learn(&mut self, token: &str, version: u64, now: Timestamp, end: Timestamp, proven: &Proven) {
        if version != self.version {
            self.proven.clear();
            self.version = version;
        }
        if self.proven.len() >= MAX_TOKENS {
            self.proven.retain(|_, (_, expire_time)| now < *expire_time);
        }
        if self.proven.len() < MAX_TOKENS {
            self.proven.insert(self.digest(token), (proven.clone(), end.min(now.plus(LIFETIME))));
        }
    }

    fn digest(&self, token: &str) -> [u8; 32] {
        Sha256::new_with_prefix(self.key).chain_update(token).finalize().into()
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

//! Who proved a short while ago who they are, so that not every request costs a slow comparison.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use sha2::{Digest as _, Sha256};

use super::Error;
use super::credentials::Credentials;
use super::htpasswd::Hash;

/// How long a proof counts that nobody uses.
const LIFETIME: Duration = Duration::from_mins(1);
/// How long it counts at most.
const MAX_LIFETIME: Duration = Duration::from_mins(10);
/// How many users it remembers.
const MAX_USERS: usize = 10_000;

/// Remembers one proof a user: not the password but a digest under a key that no other process has. The stored hash that
/// it was compared with is part of it, so a changed password is a new one at once.
pub(super) struct Cache {
    /// Of 128 bits, which nobody guesses; so short that usual credentials are one block of the digest with it.
    key: [u8; 16],
    /// By names that are in the file of users, so that a fast hash is good enough.
    proofs: HashMap<String, Proof>,
}

struct Proof {
    digest: [u8; 32],
    hash: Arc<Hash>,
    learn_time: Instant,
    expire_time: Instant,
}

impl Cache {
    /// An empty one, with a new key.
    pub(super) fn new() -> Result<Self, Error> {
        let mut key = [0; 16];
        getrandom::fill(&mut key)?;
        Ok(Cache { key, proofs: HashMap::new() })
    }

    /// Whether these credentials were right for this hash a short while ago. Then they count for a while more, so that
    /// a long backup does not have to prove itself among the attempts of strangers.
    pub(super) fn knows(&mut self, credentials: &Credentials, hash: &Arc<Hash>, now: Instant) -> bool {
        let digest = self.digest(credentials);
        let Some(proof) = self.proofs.get_mut(credentials.user()).filter(|proof| now < proof.expire_time) else {
            return false;
        };
        // How much of two digests is the same tells nobody anything who has not the key.
        let is_known = proof.digest == digest && proof.hash == *hash;
        if is_known {
            proof.expire_time = (now + LIFETIME).min(proof.learn_time + MAX_LIFETIME);
        }
        is_known
    }

    /// Remembers that these credentials are right.
    pub(super) fn learn(&mut self, credentials: &Credentials, hash: &Arc<Hash>, now: Instant) {
        self.proofs.retain(|_, proof| now < proof.expire_time);
        if self.proofs.len() >= MAX_USERS {
            let oldest = self.proofs.iter().min_by_key(|(_, proof)| proof.expire_time).map(|(user, _)| user.clone());
            oldest.and_then(|user| self.proofs.remove(&user));
        }
        let (digest, hash) = (self.digest(credentials), Arc::clone(hash));
        let proof = Proof { digest, hash, learn_time: now, expire_time: now + LIFETIME };
        self.proofs.insert(credentials.user().to_owned(), proof);
    }

    /// What stands for these credentials, and for what they are compared with, among the logins of one moment.
    pub(super) fn guess(&self, credentials: &Credentials, hash: Option<&Hash>) -> [u8; 32] {
        let hash = hash.map_or(&b""[..], Hash::as_bytes);
        Sha256::new_with_prefix(self.digest(credentials)).chain_update(hash).finalize().into()
    }

    fn digest(&self, credentials: &Credentials) -> [u8; 32] {
        Sha256::new_with_prefix(self.key).chain_update(credentials.as_bytes()).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::htpasswd::Users;

    fn hash(text: &str) -> Arc<Hash> {
        let (users, _) = Users::parse(format!("a:{text}").as_bytes());
        Arc::clone(users.find("a").unwrap())
    }

    fn sha(byte: char) -> Arc<Hash> {
        hash(&format!("{{SHA}}{}=", byte.to_string().repeat(27)).replace("==", "A="))
    }

    #[test]
    fn a_proof_counts_for_a_minute_after_its_use_and_for_nothing_else() {
        let mut cache = Cache::new().unwrap();
        let (start, right) = (Instant::now(), Credentials::new("ab", "c"));
        let (old, new) = (sha('A'), sha('E'));
        assert!(!cache.knows(&right, &old, start));
        cache.learn(&right, &old, start);
        assert!(!cache.knows(&right, &old, start + LIFETIME));
        let (mut now, step) = (start, LIFETIME.mul_f32(0.99));
        while cache.knows(&right, &old, now) {
            now += step;
        }
        assert!(now >= start + MAX_LIFETIME && now < start + MAX_LIFETIME + step);
        cache.learn(&right, &old, start);
        assert!(!cache.knows(&right, &new, start), "the password was changed");
        assert!(cache.knows(&right, &sha('A'), start), "the file was read again");
        assert!(!cache.knows(&Credentials::new("ab", "d"), &old, start));
        assert!(!cache.knows(&Credentials::new("a", "bc"), &old, start));
        assert!(!Cache::new().unwrap().knows(&right, &old, start));
    }

    #[test]
    fn it_stays_small_and_expired_proofs_go() {
        let (mut cache, start, hash) = (Cache::new().unwrap(), Instant::now(), sha('A'));
        let user = |number: usize| Credentials::new(&format!("user{number}"), "p");
        for number in 0..50 {
            cache.learn(&user(number), &hash, start);
        }
        cache.learn(&user(50), &hash, start + LIFETIME);
        assert_eq!(cache.proofs.len(), 1);
        for number in 0..MAX_USERS {
            let expire_time = start + LIFETIME * 3 + Duration::from_nanos(number as u64);
            let proof = Proof { digest: [0; 32], hash: Arc::clone(&hash), learn_time: start, expire_time };
            cache.proofs.insert(number.to_string(), proof);
        }
        cache.learn(&user(51), &hash, start + LIFETIME * 2);
        assert_eq!(cache.proofs.len(), MAX_USERS);
        assert!(!cache.proofs.contains_key("0") && cache.proofs.contains_key("1"), "the oldest goes");
    }
}

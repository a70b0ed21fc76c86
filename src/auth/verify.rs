//! Compares passwords: off the threads that serve requests, and only so many at a time.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore};

use super::Error;
use super::cache::Cache;
use super::credentials::Credentials;
use super::htpasswd::{Hash, Users};

/// How many logins may wait for their comparison, or be in it.
const MAX_LOGINS: usize = 192;
/// How many more of those who logged in a while ago: strangers who guess leave them these places.
const RESERVE: usize = 64;

/// Logins with the same name and the same password at one moment, of which one comparison tells all.
type Group = OnceCell<bool>;

/// As many logins wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overloaded;

/// Compares passwords and remembers which were right.
pub(super) struct Verifier {
    logins: Semaphore,
    reserve: Semaphore,
    groups: Mutex<HashMap<[u8; 32], Weak<Group>>>,
    cores: Arc<Semaphore>,
    cache: Mutex<Cache>,
}

impl Verifier {
    pub(super) fn new() -> Result<Self, Error> {
        // The other half is for those who are logged in.
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        Ok(Verifier {
            logins: Semaphore::new(MAX_LOGINS),
            reserve: Semaphore::new(RESERVE),
            groups: Mutex::default(),
            cores: Arc::new(Semaphore::new(cores)),
            cache: Mutex::new(Cache::new()?),
        })
    }

    /// Whether these credentials were found right a short while ago, and the user's password has not changed since.
    pub(super) fn recall(&self, users: &Users, credentials: &Credentials, now: Instant) -> bool {
        users.find(credentials.user()).is_some_and(|hash| self.cache.lock().knows(credentials, hash, now))
    }

    /// Whether the credentials are right. An unknown user takes as long as a wrong password. Who `is_known` logged in a
    /// while ago.
    pub(super) async fn verify(
        &self,
        users: &Arc<Users>,
        credentials: &Arc<Credentials>,
        is_known: bool,
    ) -> Result<bool, Overloaded> {
        let guess = self.cache.lock().guess(credentials, users.find(credentials.user()).map(|hash| &**hash));
        let group = self.join(guess);
        let is_right = group.get_or_try_init(|| self.compare(users, credentials, is_known)).await.copied();
        drop(group);
        self.groups.lock().retain(|_, group| group.strong_count() > 0);
        is_right
    }

    /// The group of a guess that is being looked at, or a new one.
    fn join(&self, guess: [u8; 32]) -> Arc<Group> {
        let mut groups = self.groups.lock();
        if let Some(group) = groups.get(&guess).and_then(Weak::upgrade) {
            return group;
        }
        let group = Arc::default();
        groups.insert(guess, Arc::downgrade(&group));
        group
    }

    async fn compare(
        &self,
        users: &Arc<Users>,
        credentials: &Arc<Credentials>,
        is_known: bool,
    ) -> Result<bool, Overloaded> {
        let place = self.logins.try_acquire();
        let _place = place
            .or_else(|full| if is_known { self.reserve.try_acquire() } else { Err(full) })
            .map_err(|_| Overloaded)?;
        let core = Arc::clone(&self.cores).acquire_owned().await.map_err(|_| Overloaded)?;
        // Requests come in groups; the first of them has done it for all.
        if self.recall(users, credentials, Instant::now()) {
            return Ok(true);
        }
        let (compared_users, compared) = (Arc::clone(users), Arc::clone(credentials));
        let comparison = tokio::task::spawn_blocking(move || {
            // Held until it is done even if the caller has gone: the core is busy.
            let _core = core;
            is_right(&compared_users, compared.user(), |hash| hash.is_of(compared.password()))
        });
        let is_right = comparison.await.unwrap_or(false);
        if let Some(hash) = users.find(credentials.user()).filter(|_| is_right) {
            self.cache.lock().learn(credentials, hash, Instant::now());
        }
        Ok(is_right)
    }
}

fn is_right(users: &Users, user: &str, mut is_of: impl FnMut(&Hash) -> bool) -> bool {
    let hash = users.find(user);
    if hash.is_some_and(|hash| is_of(hash)) {
        return true;
    }
    // A shorter comparison would tell whether the user is known.
    for nobodys in users.nobodys_hashes(hash) {
        let _ = std::hint::black_box(is_of(&nobodys));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$04$CCCCCCCCCCCCCCCCCCCCC.4K7lyz.nKATbsiu/RcZjqWyDNnj87qG";

    fn users(text: &str) -> Arc<Users> {
        Arc::new(Users::parse(text.as_bytes()).0)
    }

    #[tokio::test]
    async fn a_password_is_right_wrong_or_remembered() {
        let (verifier, now) = (Verifier::new().unwrap(), Instant::now());
        let known = users(&format!("a:{BCRYPT}\nb:{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ="));
        for (user, password, is_right) in [
            ("a", "secret", true),
            ("a", "wrong", false),
            ("b", "secret", true),
            ("b", "", false),
            ("c", "secret", false),
        ] {
            let credentials = Arc::new(Credentials::new(user, password));
            assert!(!verifier.recall(&known, &credentials, now), "{user}");
            assert_eq!(verifier.verify(&known, &credentials, false).await, Ok(is_right), "{user}");
            assert_eq!(verifier.recall(&known, &credentials, now), is_right, "{user}");
        }
        let right = Credentials::new("a", "secret");
        assert!(!verifier.recall(&users(""), &right, now), "a user that is gone");
        assert!(!verifier.recall(&users(&format!("a:{}", BCRYPT.replace("$2y", "$2b"))), &right, now), "a new hash");
    }

    #[test]
    fn an_unknown_user_costs_as_many_rounds_of_bcrypt_as_a_wrong_password() {
        let known = users(&format!("a:{BCRYPT}\nb:{}", BCRYPT.replace("$04$", "$06$")));
        for user in ["a", "b", "nobody"] {
            let mut rounds = 0;
            let is_right = is_right(&known, user, |hash| {
                rounds += hash.rounds();
                false
            });
            assert_eq!((is_right, rounds), (false, 1 << 6), "{user}");
        }
        let of_equals = users(&format!("a:{BCRYPT}\nb:{BCRYPT}"));
        for user in ["a", "nobody"] {
            let mut comparisons = 0;
            is_right(&of_equals, user, |_| {
                comparisons += 1;
                false
            });
            assert_eq!(comparisons, 1, "{user}");
        }
    }

    #[tokio::test]
    async fn too_many_logins_are_refused_at_once() {
        let verifier = Verifier::new().unwrap();
        let _all = verifier.logins.acquire_many(u32::try_from(MAX_LOGINS).unwrap()).await.unwrap();
        let credentials = Arc::new(Credentials::new("a", "secret"));
        assert_eq!(verifier.verify(&users(""), &credentials, false).await, Err(Overloaded));
        assert_eq!(verifier.verify(&users(""), &credentials, true).await, Ok(false), "who is known has places left");
    }

    #[tokio::test]
    async fn a_group_of_equal_logins_costs_one_comparison_and_takes_one_place() {
        let verifier = Verifier::new().unwrap();
        let known = users(&format!("a:{BCRYPT}"));
        let cores = verifier.cores.available_permits();
        let busy = Arc::clone(&verifier.cores).acquire_many_owned(u32::try_from(cores).unwrap()).await.unwrap();
        for (password, is_right) in [("secret", true), ("wrong", false)] {
            let credentials = Arc::new(Credentials::new("a", password));
            let mut waiting: Vec<_> = std::iter::repeat_with(|| Box::pin(verifier.verify(&known, &credentials, false)))
                .take(2 * MAX_LOGINS)
                .collect();
            for login in &mut waiting {
                assert!(futures::poll!(login).is_pending());
            }
            assert_eq!(verifier.logins.available_permits(), MAX_LOGINS - 1);
            // Were each compared by itself, the second would wait for a core again.
            verifier.cores.add_permits(1);
            let outcomes = futures::future::join_all(waiting).await;
            assert!(outcomes.iter().all(|outcome| *outcome == Ok(is_right)), "{password}");
            verifier.cores.acquire().await.unwrap().forget();
            assert!(verifier.groups.lock().is_empty());
        }
        drop(busy);
    }
}

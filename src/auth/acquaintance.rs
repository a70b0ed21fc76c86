//! What is known of whoever is at the other end of a connection: an extension of its requests.
//!
//! Somebody who has just proven who they are, and proves it by the same words again, need not be looked up anew: for a
//! moment it is remembered how that ended, unless anything has [changed](super::changes) on which it depends.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::Mutex;

use super::changes;
use super::rights::Standing;

/// How long somebody is remembered. Then everything is looked at again: whether the token has expired, how old the proof
/// of a password is, and whether it is time to look at the files.
const MOMENT: Duration = Duration::from_secs(1);

/// What is known of the other end of a connection. The clones are of one connection.
#[derive(Clone, Debug, Default)]
pub struct Acquaintance(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_admitted: AtomicBool,
    latest: Mutex<Option<Meeting>>,
}

/// Stands for what somebody says of themselves, under keys that nobody else has: not the words, which may be a password.
pub(super) type Likeness = [u64; 2];

/// Somebody whose words were found true.
#[derive(Debug)]
struct Meeting {
    likeness: Likeness,
    met: Met,
    changes: u64,
    end: Instant,
}

/// Who somebody is, and what they have proven it by.
#[derive(Clone, Debug)]
pub(super) struct Met {
    pub(super) standing: Arc<Standing>,
    pub(super) proof: &'static str,
}

impl Acquaintance {
    /// A call has been let through that not everybody may make.
    pub fn admit(&self) {
        self.0.is_admitted.store(true, Ordering::Relaxed);
    }

    /// Whether one ever was.
    pub fn is_admitted(&self) -> bool {
        self.0.is_admitted.load(Ordering::Relaxed)
    }

    /// Who has just said the same from the same address.
    pub(super) fn recall(&self, likeness: &Likeness, address: Option<IpAddr>) -> Option<Met> {
        self.recall_at(likeness, address, changes::count(), Instant::now())
    }

    fn recall_at(&self, likeness: &Likeness, address: Option<IpAddr>, changes: u64, now: Instant) -> Option<Met> {
        let latest = self.0.latest.lock();
        let meeting = latest.as_ref().filter(|meeting| {
            // How much of two likenesses is the same tells nobody anything who has not the keys.
            meeting.likeness == *likeness
                && meeting.met.standing.caller().address == address
                && meeting.changes == changes
                && now < meeting.end
        })?;
        Some(meeting.met.clone())
    }
}

/// Somebody says who they are over a connection, and it is not known yet whether that is true.
pub(super) struct Encounter {
    acquaintance: Acquaintance,
    likeness: Likeness,
    /// As of before anything is looked at: whatever changes meanwhile counts.
    changes: u64,
}

impl Encounter {
    pub(super) fn begin(acquaintance: &Acquaintance, likeness: Likeness) -> Self {
        Self::begin_at(acquaintance, likeness, changes::count())
    }

    fn begin_at(acquaintance: &Acquaintance, likeness: Likeness, changes: u64) -> Self {
        Encounter { acquaintance: acquaintance.clone(), likeness, changes }
    }

    /// It was true.
    pub(super) fn remember(self, met: Met) {
        self.remember_at(met, Instant::now());
    }

    fn remember_at(self, met: Met, now: Instant) {
        let Encounter { acquaintance, likeness, changes } = self;
        *acquaintance.0.latest.lock() = Some(Meeting { likeness, met, changes, end: now + MOMENT });
    }
}

impl fmt::Debug for Encounter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Encounter").finish_non_exhaustive()
    }
}

/// Makes likenesses, by the hash of the standard library that is made against those who choose what is hashed: nobody who
/// has not its random keys finds words that are like others. Twice, because somebody may try as long as a connection lasts.
#[derive(Clone, Default)]
pub(super) struct Portrayal([RandomState; 2]);

impl Portrayal {
    /// Of what a request says by the one header that it has for this; `None` when it has none, or several.
    pub(super) fn of(&self, headers: &HeaderMap) -> Option<Likeness> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        Some(self.0.each_ref().map(|hash| hash.hash_one(value.as_bytes())))
    }
}

impl fmt::Debug for Portrayal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Portrayal").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Identity;

    fn met(address: Option<IpAddr>) -> Met {
        let caller = Identity { user: Some("alice".to_owned()), address, ..Identity::default() };
        Met { standing: Arc::new(Standing::of(caller, None)), proof: "password" }
    }

    #[test]
    fn who_says_the_same_from_the_same_address_is_known_for_a_moment_and_until_something_changes() {
        let (acquaintance, start, here) = (Acquaintance::default(), Instant::now(), Some([192, 0, 2, 1].into()));
        Encounter::begin_at(&acquaintance, [1, 2], 7).remember_at(met(here), start);
        let knows =
            |likeness, address, changes, now| acquaintance.recall_at(&likeness, address, changes, now).is_some();
        assert!(knows([1, 2], here, 7, start + MOMENT.mul_f32(0.9)));
        assert!(!knows([1, 3], here, 7, start), "other words");
        assert!(!knows([1, 2], None, 7, start), "from somewhere else");
        assert!(!knows([1, 2], here, 8, start), "something has changed");
        assert!(!knows([1, 2], here, 7, start + MOMENT), "that was long ago");
    }

    #[test]
    fn what_changes_while_somebody_is_looked_up_counts() {
        let acquaintance = Acquaintance::default();
        let encounter = Encounter::begin(&acquaintance, [1, 2]);
        changes::note();
        encounter.remember(met(None));
        assert!(acquaintance.recall(&[1, 2], None).is_none());
    }

    #[test]
    fn there_is_a_likeness_of_one_header_and_of_no_other_number() {
        let portrayal = Portrayal::default();
        let of = |values: &[&str]| {
            let headers = values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap()));
            portrayal.of(&headers.collect())
        };
        assert!(of(&["Basic a"]).is_some() && of(&["Basic a"]) == of(&["Basic a"]));
        assert_ne!(of(&["Basic a"]), of(&["Basic b"]));
        assert_eq!((of(&[]), of(&["Basic a", "Basic a"])), (None, None));
    }
}

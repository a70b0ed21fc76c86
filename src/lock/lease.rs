//! A lease: the life that several grants share. The rules, without I/O.

use std::time::Duration;

use prost::Message as _;
use steward_proto::store::v1 as pb;

use super::records;
use crate::clock::Timestamp;
use crate::store::{Error, Key, Record};

/// How long a revocation has to release the grants of the lease.
const REVOCATION_GRACE: Duration = Duration::from_secs(10);

/// A lease, dead or alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) owner: String,
    pub(crate) ttl: Duration,
    pub(crate) created: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) max_expires: Option<Timestamp>,
    /// It was ended, and its grants are being released.
    pub(crate) is_revoked: bool,
}

impl Lease {
    /// A new lease.
    pub(crate) fn new(owner: &str, ttl: Duration, max_lifetime: Option<Duration>, now: Timestamp) -> Self {
        let max_expires = max_lifetime.map(|max| now.plus(max));
        let lease = Lease { owner: owner.to_owned(), ttl, created: now, expires: now, max_expires, is_revoked: false };
        lease.kept_alive(now)
    }

    /// Whether grants may still be tied to it.
    pub(crate) fn is_alive(&self, now: Timestamp) -> bool {
        !self.is_revoked && self.expires > now
    }

    /// The lease with its next deadline. Only for a living one.
    #[must_use]
    pub(crate) fn kept_alive(&self, now: Timestamp) -> Self {
        let natural = now.plus(self.ttl);
        let expires = self.max_expires.map_or(natural, |max| natural.min(max));
        Lease { expires, ..self.clone() }
    }

    /// The lease at its end.
    #[must_use]
    pub(crate) fn revoked(&self, now: Timestamp) -> Self {
        Lease { is_revoked: true, expires: self.expires.min(now), ..self.clone() }
    }

    /// When it has to be looked at. Whoever revokes it releases its grants by itself; only if that is cut off by a
    /// crash has the engine to finish it.
    pub(crate) fn deadline(&self) -> Timestamp {
        if self.is_revoked { self.expires.plus(REVOCATION_GRACE) } else { self.expires }
    }

    /// As the store keeps it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        let stored = pb::LeaseRecord {
            owner: self.owner.clone(),
            ttl_nanos: nanos(self.ttl),
            create_nanos: self.created.nanos(),
            expire_nanos: self.expires.nanos(),
            max_expire_nanos: self.max_expires.map_or(0, Timestamp::nanos),
            is_revoked: self.is_revoked,
        };
        stored.encode_to_vec()
    }

    /// Reads what the store keeps.
    pub(crate) fn decode(key: &Key, record: &Record) -> Result<Self, Error> {
        let stored: pb::LeaseRecord = records::decode(key, record)?;
        Ok(Lease {
            ttl: Duration::from_nanos(u64::try_from(stored.ttl_nanos).unwrap_or(0)),
            created: Timestamp::from_nanos(stored.create_nanos),
            expires: Timestamp::from_nanos(stored.expire_nanos),
            max_expires: (stored.max_expire_nanos != 0).then_some(Timestamp::from_nanos(stored.max_expire_nanos)),
            is_revoked: stored.is_revoked,
            owner: stored.owner,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alives_extend_a_lease_up_to_its_longest_life() {
        let at = |seconds: i64| Timestamp::from_nanos(seconds * 1_000_000_000);
        let lease = Lease::new("a", Duration::from_secs(10), Some(Duration::from_secs(15)), at(0));
        assert_eq!(lease.expires, at(10));
        assert!(lease.is_alive(at(9)) && !lease.is_alive(at(10)));
        assert_eq!(lease.kept_alive(at(8)).expires, at(15));
        assert!(!lease.revoked(at(1)).is_alive(at(1)));
    }
}

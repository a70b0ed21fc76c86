//! Users: what each has, and what it may have.

use steward_proto::store::v1::VolumeUserRecord;

use super::error::Error;
use super::keys;
use crate::store::tx::Tx;

/// What a change adds to what a user has; negative numbers give back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) volumes: i64,
    /// Sizes of volumes.
    pub(super) bytes: i64,
    pub(super) snapshots: i64,
}

impl Charge {
    /// One more volume of this size.
    pub(super) fn volume(size_bytes: u64) -> Self {
        Charge { volumes: 1, bytes: signed(size_bytes), snapshots: 0 }
    }

    /// The same, given back.
    #[must_use]
    pub(super) fn back(self) -> Self {
        Charge { volumes: -self.volumes, bytes: -self.bytes, snapshots: -self.snapshots }
    }
}

/// A number of bytes as a change. The limits of sizes are far below the end of the numbers.
pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl Tx<'_> {
    /// What a user has and may have.
    pub(super) async fn user(&mut self, name: &str) -> Result<VolumeUserRecord, Error> {
        let record = self.get(&keys::user(name)).await?;
        Ok(record.unwrap_or_else(|| VolumeUserRecord { user: name.to_owned(), ..VolumeUserRecord::default() }))
    }

    /// Puts what a user has and may have; nothing is kept of one who has nothing and no limits.
    pub(super) fn put_user(&mut self, record: &VolumeUserRecord) {
        let nobody = VolumeUserRecord { user: record.user.clone(), ..VolumeUserRecord::default() };
        if *record == nobody {
            self.delete(keys::user(&record.user));
        } else {
            self.put(keys::user(&record.user), record);
        }
    }

    /// Adds a change to what a user has. Refused if it would have more than it may of what grows; what shrinks or stays
    /// is never in the way.
    pub(super) async fn charge(&mut self, user: &str, charge: Charge) -> Result<(), Error> {
        let mut record = self.user(user).await?;
        apply(&mut record, charge)?;
        self.put_user(&record);
        Ok(())
    }
}

fn apply(record: &mut VolumeUserRecord, charge: Charge) -> Result<(), Error> {
    let user = record.user.clone();
    for (what, has, limit, change) in [
        ("volumes", &mut record.volumes, record.max_volumes, charge.volumes),
        ("bytes", &mut record.logical_bytes, record.max_bytes, charge.bytes),
        ("snapshots", &mut record.snapshots, record.max_snapshots, charge.snapshots),
    ] {
        *has = has.saturating_add_signed(change);
        if change > 0 && limit != 0 && *has > limit {
            return Err(Error::QuotaExceeded { user, what, limit });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited() -> VolumeUserRecord {
        VolumeUserRecord { user: "eva".to_owned(), max_bytes: 100, max_volumes: 2, ..VolumeUserRecord::default() }
    }

    #[test]
    fn a_user_has_no_more_than_its_quota() {
        let mut eva = limited();
        apply(&mut eva, Charge::volume(60)).expect("room");
        let refused = apply(&mut eva.clone(), Charge::volume(41));
        assert!(matches!(refused, Err(Error::QuotaExceeded { what: "bytes", limit: 100, .. })), "{refused:?}");
        apply(&mut eva, Charge::volume(40)).expect("just enough room");
        let refused = apply(&mut eva.clone(), Charge::volume(0));
        assert!(matches!(refused, Err(Error::QuotaExceeded { what: "volumes", limit: 2, .. })), "{refused:?}");
        apply(&mut eva, Charge { snapshots: 1_000, ..Charge::default() }).expect("no limit");
    }

    #[test]
    fn a_quota_that_was_lowered_does_not_keep_anybody_from_giving_back() {
        let mut eva = VolumeUserRecord { volumes: 5, logical_bytes: 500, ..limited() };
        apply(&mut eva, Charge::volume(60).back()).expect("less is always allowed");
        assert_eq!((eva.volumes, eva.logical_bytes), (4, 440));
        apply(&mut eva, Charge { snapshots: 1, ..Charge::default() }).expect("what does not grow is not looked at");
        assert!(apply(&mut eva, Charge { bytes: 1, ..Charge::default() }).is_err());
    }
}
